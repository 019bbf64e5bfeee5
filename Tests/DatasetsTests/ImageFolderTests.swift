// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Datasets

@Suite struct ImageFolderTests {
  let folder: Scratch
  let fixtures: PictureFixtures

  init() throws {
    folder = try Scratch()
    fixtures = try PictureFixtures.load()
    try fixtures.writeFolder(at: folder.url.path)
  }

  func load(
    _ split: Split = .train, count: Int? = nil, _ change: (inout DatasetOptions) -> Void = { _ in }
  ) throws -> Dataset {
    var options = DatasetOptions()
    options.imageSize = 21
    options.resize = 26
    change(&options)
    return try DatasetLoader.load(
      name: "folder", split: split, directory: folder.url.path, count: count, options: options)
  }

  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: folder.path(name)) }

  @Test func orderIsThatOfTheNames() throws {
    let data = try load { $0.maximumBytesInMemory = 0 }
    guard case .files(let files) = data.storage else {
      Issue.record("The images are in memory.")
      return
    }
    #expect(
      (0..<data.count).compactMap { files.path(at: $0) } == [
        "train/cat/Z", "train/cat/a.jpg", "train/cat/b picture.JPG", "train/cat/c.jpeg", "train/cat/d.png",
        "train/cat/more/e.jpg", "train/dog/1.png", "train/dog/2.PNG", "train/dog/3.png", "train/dog/4.png",
        "train/dog/5.jpg", "train/dog/é,\"6.png",
      ])
    #expect(
      data.classNames == ["cat", "dog"] && data.labels == Array(repeating: 0, count: 6) + Array(repeating: 1, count: 6))
    #expect(data.exampleShape == [3, 21, 21] && data.normalization == .imageNet)
    #expect(try load(.test).labels == [0, 0, 1, 1])
  }

  @Test func memoryAndFilesGiveTheSame() throws {
    let (kept, lazy) = (try load(), try load { $0.maximumBytesInMemory = 0 })
    #expect(kept.images != nil && lazy.images == nil)
    #expect(try kept.contentChecksum() == lazy.contentChecksum())
    #expect(kept.sourceChecksums == lazy.sourceChecksums && kept.sourceChecksums.count == 1)
    for indices in [[3], [11, 0, 5, 5], Array(0..<12)] {
      let (a, b) = (try kept.imageTensor(at: indices), try lazy.imageTensor(at: indices))
      #expect(try a.shape == [indices.count, 3, 21, 21] && a.values(as: Float.self) == b.values(as: Float.self))
    }
    #expect(try kept.subset(indices: [7, 2]).contentChecksum() == lazy.subset(indices: [7, 2]).contentChecksum())
    #expect(try kept.subset(first: 5).contentChecksum() == lazy.subset(first: 5).contentChecksum())
    expectError("Example 12") { _ = try lazy.imageTensor(at: [12]) }
    let red = try #require(fixtures.pictures.first { $0.name == "full-chroma" }).first.map { Float($0) / 255 }
    let values = try lazy.imageTensor(at: [0]).values(as: Float.self)
    for (value, expected) in zip(values, red) { #expect(abs(value * 0.229 + 0.485 - expected) < 1e-6) }
  }

  @Test func unusableFilesAreNamedOrSkipped() throws {
    try folder.write(fixtures.data("gif"), "train/cat/bad.jpg")
    try folder.write(fixtures.data("truncated"), "train/dog/0.jpg")
    for memory in [0, 512 << 20] {
      expectError(
        "train/cat/bad.jpg cannot be used: it is a GIF, neither JPEG nor PNG", "1 more cannot be used", "--skip-bad"
      ) { _ = try load { $0.maximumBytesInMemory = memory } }
      let data = try load {
        $0.maximumBytesInMemory = memory
        $0.skipsBadImages = true
      }
      #expect(data.count == 12 && data.labels.reduce(0, +) == 6)
      #expect(data.skipped.map(\.path) == ["train/cat/bad.jpg", "train/dog/0.jpg"])
      #expect(data.skipped[1].reason.contains("truncated") && data.notes.count == 1)
    }
    #expect(try load(.test).skipped.isEmpty)
  }

  /// A file that goes bad after the start is named when its batch comes, and only then.
  @Test func unusableFileOnTheWay() throws {
    let data = try load { $0.maximumBytesInMemory = 0 }
    try folder.write(fixtures.data("gif"), "train/dog/2.PNG")
    try folder.write(Data(), "train/dog/3.png")
    var seen = 0
    expectError("train/dog/2.PNG cannot be used: it is a GIF", "--skip-bad") {
      try data.forEachBatch(of: Array(0..<12), size: 3) { _, range in seen = range.upperBound }
    }
    #expect(seen == 6)
  }

  @Test func foldersThatDoNotFit() throws {
    try folder.write([1], "val/bird/1.jpg")
    expectError("classes of", "train lacks \"bird\"", "Give both the same") { _ = try load() }
    try remove("val/bird")
    try folder.write([1], "train/zebra/.hidden")
    expectError("val lacks \"zebra\"") { _ = try load(.test) }
    try FileManager.default.createDirectory(atPath: folder.path("val/zebra"), withIntermediateDirectories: true)
    expectError("class folder", "train/zebra is empty") { _ = try load() }
    try remove("train/zebra")
    try remove("val/zebra")
    try folder.write(fixtures.data("grey"), "test/cat/1.jpg")
    #expect(try load(.test).notes == ["\(folder.url.path) has val and test; val is used"])
    try remove("test")
    try FileManager.default.moveItem(atPath: folder.path("val"), toPath: folder.path("test"))
    #expect(try load(.test).count == 4)
    try remove("test/cat")
    try remove("test/dog")
    expectError("test has no class folders") { _ = try load(.test) }
    try remove("test")
    try folder.write(fixtures.data("grey"), "validation/cat/1.jpg")
    expectError("has a folder validation beside train, but no val or test", "folder to val") { _ = try load(.test) }
    try remove("validation")
    try folder.write([1], "val")
    expectError("val is a file, but a folder") { _ = try load(.test) }
    expectError("There is no folder /nowhere") {
      _ = try DatasetLoader.load(name: "folder", split: .train, directory: "/nowhere")
    }
  }

  @Test func sizesThatMakeNoSense() throws {
    expectError("image-size must be from 1 to 4096, not 0") { _ = try ImageTransform(size: 0) }
    expectError("resize must be between the image-size, 32,") { _ = try ImageTransform(size: 32, resize: 31) }
    #expect(try ImageTransform().resize == 256 && ImageTransform(size: 64).resize == 73)
  }

  // MARK: - Batches

  func batches(
    workers: Int, prefetch: Int, _ augmentation: Augmentation, memory: Int = 0, seed: UInt64 = 3
  ) throws -> [(indices: [Int], values: [Float])] {
    let data = try load {
      $0.maximumBytesInMemory = memory
      $0.workers = workers
      $0.prefetch = prefetch
    }
    let loader = BatchLoader(data, indices: Array(0..<10), augmentation: augmentation, seed: seed)
    var sampler = try BatchSampler(count: 10, batchSize: 4, seed: 1)
    return try (0..<7).map { _ in
      let batch = try loader.next(&sampler)
      return (batch.indices, try batch.images.values(as: Float.self))
    }
  }

  @Test(arguments: ["none", "flip+crop", "random-resized-crop+flip"])
  func theSameWithAnyNumberOfWorkers(word: String) throws {
    let augmentation = try Augmentation(word)
    let one = try batches(workers: 1, prefetch: 0, augmentation)
    for (workers, prefetch) in [(2, 2), (5, 1), (5, 7)] {
      let other = try batches(workers: workers, prefetch: prefetch, augmentation)
      #expect(zip(one, other).allSatisfy { $0.indices == $1.indices && $0.values == $1.values })
    }
    #expect(Set(one.prefix(3).flatMap(\.indices)).count == 10)
    if word != "none" {
      let other = try batches(workers: 2, prefetch: 2, augmentation, seed: 4)
      #expect(!zip(one, other).allSatisfy { $0.values == $1.values })
    } else {
      let kept = try batches(workers: 2, prefetch: 2, augmentation, memory: 512 << 20)
      #expect(zip(one, kept).allSatisfy { $0.indices == $1.indices && $0.values == $1.values })
    }
  }

  /// Any state of the sampler will do, as after a resume.
  @Test func continuesFromAnyState() throws {
    let data = try load { $0.maximumBytesInMemory = 0 }
    let augmentation = try Augmentation("flip+crop")
    var sampler = try BatchSampler(count: 12, batchSize: 5, seed: 1)
    let loader = BatchLoader(data, indices: Array(0..<12), augmentation: augmentation, seed: 2)
    for _ in 0..<4 { _ = try loader.next(&sampler) }
    let saved = sampler
    let after = try loader.next(&sampler)
    var again = saved
    let repeated = try loader.next(&again)
    var restored = saved
    let anew = try BatchLoader(data, indices: Array(0..<12), augmentation: augmentation, seed: 2).next(&restored)
    for batch in [repeated, anew] {
      #expect(batch.indices == after.indices)
      #expect(try batch.images.values(as: Float.self) == after.images.values(as: Float.self))
    }
    #expect(sampler == again && again == restored)
  }

  @Test func failureArrivesAtItsBatch() throws {
    let data = try load { $0.maximumBytesInMemory = 0 }
    let loader = BatchLoader(data, indices: Array(0..<12))
    var sampler = try BatchSampler(count: 12, batchSize: 3, seed: 1)
    var copy = sampler
    let order = (0..<4).map { _ in copy.next() }
    guard case .files(let files) = data.storage, let path = files.path(at: order[2][1]) else { return }
    try folder.write([], path)
    _ = try loader.next(&sampler)
    _ = try loader.next(&sampler)
    expectError("\(path) cannot be used: it is empty") { _ = try loader.next(&sampler) }
    expectError("\(path) cannot be used: it is empty") { _ = try loader.next(&sampler) }
  }
}
