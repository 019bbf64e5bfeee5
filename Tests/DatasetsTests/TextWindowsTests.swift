// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors
import TestSupport
import Testing

@testable import Datasets

@Suite struct TextWindowsTests {
  private func windows(_ dataset: Dataset) throws -> [[UInt8]] {
    let length = dataset.exampleShape[0]
    let bytes = try ByteStorage(count: dataset.count * length) {
      try dataset.copyBytes(of: dataset.labels.indices, into: $0)
    }
    return bytes.withUnsafeBytes { all in
      stride(from: 0, to: all.count, by: length).map { Array(all[$0..<$0 + length]) }
    }
  }

  private func load(
    _ path: String, _ name: String, _ split: Split, _ change: (inout DatasetOptions) -> Void = { _ in }
  ) throws -> Dataset {
    var options = DatasetOptions()
    change(&options)
    return try DatasetLoader.load(name: name, split: split, directory: path, options: options)
  }

  /// No byte twice, so that a window says where it was.
  private let text = Data((0..<200).map { UInt8($0) })

  @Test func tokensHaveAWindowAtEveryByte() throws {
    let scratch = try Scratch()
    try text.write(to: URL(fileURLWithPath: scratch.path("a.txt")))
    let (train, test) = try (
      load(scratch.path("a.txt"), "text:4", .train), load(scratch.path("a.txt"), "text:4", .test)
    )
    // 160 bytes to train on and 40 to test on; a window of 4 needs one more.
    #expect(train.count == 156 && test.count == 36 && train.testFraction == 0.2 && !train.predictsAll)
    #expect(train.vocabulary == 256 && train.classCount == 256 && train.name == "text:4")
    for dataset in [train, test] {
      for (window, label) in zip(try windows(dataset), dataset.labels) {
        #expect(window == (0..<4).map { window[0] + UInt8($0) } && label == Int(window[3]) + 1)
      }
    }
    #expect(Set(try windows(train).map { $0[0] }) == Set(0...155))
    #expect(Set(try windows(test).map { $0[0] }) == Set(160...195))
    let part = try DatasetLoader.load(
      name: "text:4", split: .train, directory: scratch.path("a.txt"), count: 5)
    #expect(try windows(part) == Array(windows(train).prefix(5)))
    #expect(try windows(train.subset(indices: [7, 0, 7])) == [7, 0, 7].map { try windows(train)[$0] })
    #expect(try windows(train.subset(first: 2)) == Array(windows(train).prefix(2)))
    // As if the windows lay one after the other.
    let apart = try Dataset(
      name: train.name, split: .train, exampleShape: [4], classNames: train.classNames,
      images: ByteStorage(windows(train).flatMap { $0 }), labels: train.labels)
    #expect(try apart.contentChecksum() == train.contentChecksum())
    expectError("Example 156 was asked for") { _ = try train.imageTensor(at: [3, 156]) }
    let other = try load(scratch.path("a.txt"), "text:4", .train) { $0.testSeed = 2 }
    #expect(try windows(other) != windows(train) && Set(windows(other)) == Set(windows(train)))
    #expect(try train.imageTensor(at: [3]).values(as: Int.self) == windows(train)[3].map { Int($0) })
  }

  @Test func sequencesDoNotOverlap() throws {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch.path("texts/inner"), withIntermediateDirectories: true)
    for name in ["b.txt", "a.txt", ".hidden"] {
      try text.write(to: URL(fileURLWithPath: scratch.path("texts/" + name)))
    }
    let train = try load(scratch.path("texts"), "text:10", .train) { ($0.example, $0.testFraction) = (.sequence, 0.5) }
    #expect(train.predictsAll && train.testFraction == 0.5)
    // Of 100 bytes, 9 windows with the next byte; two files.
    #expect(try train.count == 18 && windows(train).map { $0[0] }.sorted() == (0..<9).flatMap { [$0 * 10, $0 * 10] })
    #expect(train.sourceChecksums.keys.sorted() == ["a.txt", "b.txt"])
    #expect(try train.subset(indices: [1, 0]).predictsAll)
    let all = try load(scratch.path("texts"), "text:10", .test) { ($0.example, $0.testFraction) = (.sequence, 0) }
    #expect(all.count == 38 && all.testFraction == nil)
  }

  @Test func whatCannotBeReadIsNamed() throws {
    let scratch = try Scratch()
    try text.prefix(20).write(to: URL(fileURLWithPath: scratch.path("short.txt")))
    try FileManager.default.createDirectory(atPath: scratch.path("empty"), withIntermediateDirectories: true)
    expectError("short.txt has 20 bytes, of which 16 are to train on", "shorter windows, such as text:2") {
      _ = try load(scratch.path("short.txt"), "text", .train)
    }
    expectError("short.txt has 20 bytes, of which 4 are to test on", "--test-fraction") {
      _ = try load(scratch.path("short.txt"), "text:5", .test)
    }
    expectError("/nowhere does not exist", "--data-dir") { _ = try load("/nowhere", "text", .train) }
    expectError("holds no files") { _ = try load(scratch.path("empty"), "text", .train) }
    expectError("no data folder was given", "--data-dir") { _ = try DatasetLoader.load(name: "text", split: .train) }
    expectError("17 examples were asked for", "between 1 and 14") {
      _ = try DatasetLoader.load(name: "text:2", split: .train, directory: scratch.path("short.txt"), count: 17)
    }
    for name in ["text:", "text:0", "text:-1", "text:4097", "text:x", "text:08"] {
      expectError("from 1 to 4096") { _ = try load(scratch.path("short.txt"), name, .train) }
    }
    expectError("nothing else says which to test on") {
      _ = try load(scratch.path("short.txt"), "text:2", .test) { $0.keepsFolderWhole = true }
    }
  }

  @Test func everyByteHasAName() {
    #expect(Set(TextWindows.classNames).count == 256)
    #expect(TextWindows.classNames[97] == "a" && TextWindows.classNames[10] == "0x0a")
    #expect(TextWindows.classNames.allSatisfy { !$0.contains { $0.isWhitespace || ",\"'".contains($0) } })
  }

  @Test func labelsTakeNoise() throws {
    let scratch = try Scratch()
    try text.write(to: URL(fileURLWithPath: scratch.path("a.txt")))
    let noisy = try LabelNoise(kind: .uniform, rate: 0.5, seed: 1)
      .apply(to: load(scratch.path("a.txt"), "text:4", .train))
    #expect(noisy.corruptCount > 40)
  }
}
