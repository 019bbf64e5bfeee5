// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Datasets

@Suite struct DatasetTests {
  @Test func partsMustFitTogether() throws {
    let bytes = try ByteStorage([1, 2, 3, 4])
    func make(_ shape: [Int], _ labels: [Int], _ classes: Int = 2) throws {
      let names = (0..<classes).map { String($0) }
      _ = try Dataset(
        name: "x", split: .train, exampleShape: shape, classNames: names, images: bytes, labels: labels)
    }
    try make([1, 1, 2], [0, 1])
    expectError("4 image bytes do not make 3 examples of 2") { try make([1, 1, 2], [0, 1, 0]) }
    expectError("not the shape") { try make([1, 0, 2], []) }
    expectError("not the shape") { try make([-1, -2, 1], [0, 1]) }
    expectError("not the shape") { try make([.max, .max], [0, 1]) }
    expectError("label 1 is 2", "0 to 1") { try make([1, 1, 2], [0, 2]) }
  }

  @Test func subsetsShareOrCopy() throws {
    let whole = try smallDataset()
    let first = try whole.subset(first: 5)
    #expect(first.labels == [0, 1, 2, 3, 4])
    #expect(bytes(first.images) == Array(bytes(whole.images).prefix(5 * 784)))
    let chosen = try whole.subset(indices: [3, 0, 3])
    #expect(chosen.labels == [3, 0, 3])
    #expect(bytes(chosen.images)[784..<1568] == bytes(whole.images)[0..<784])
    expectError("13 examples", "has 12", "between 1 and 12") { _ = try whole.subset(first: 13) }
    expectError("0 examples") { _ = try whole.subset(first: 0) }
    expectError("-1 examples") { _ = try whole.subset(first: -1) }
    expectError("Example 12", "0 to 11") { _ = try whole.subset(indices: [0, 12]) }
    expectError("Example -1") { _ = try whole.subset(indices: [-1]) }
    expectError("at least one") { _ = try whole.subset(indices: []) }
  }

  @Test func storageOutlivesTheValueItCameFrom() throws {
    var part: ByteStorage? = nil
    do { part = try smallDataset().subset(first: 2).subset(first: 1).images }
    #expect(part?.count == 784)
    #expect(try part.map { bytes($0) } == Array(bytes(smallDataset().images).prefix(784)))
  }

  @Test func labelsCanBeReplaced() throws {
    let whole = try smallDataset(count: 3)
    #expect(try whole.replacingLabels([9, 8, 7]).labels == [9, 8, 7])
    expectError("2 labels", "3 examples") { _ = try whole.replacingLabels([9, 8]) }
    expectError("label 2 is 10") { _ = try whole.replacingLabels([9, 8, 10]) }
  }

  @Test func batchesAreCopied() throws {
    let whole = try smallDataset(count: 4)
    var copy = [UInt8](repeating: 1, count: 2 * 784)
    try copy.withUnsafeMutableBytes { try whole.copyBytes(of: [2, 0], into: $0) }
    let all = bytes(whole.images)
    #expect(copy[0..<784].elementsEqual(all[1568..<2352]))
    #expect(copy[784...].elementsEqual(all[0..<784]))
    expectError("do not fit a buffer") {
      try copy.withUnsafeMutableBytes { try whole.copyBytes(of: [2], into: $0) }
    }
    expectError("Example 4") {
      try copy.withUnsafeMutableBytes { try whole.copyBytes(of: [0, 4], into: $0) }
    }
  }

  @Test func summary() throws {
    let images = try ByteStorage([0, 255, 0, 255])
    let dataset = try Dataset(
      name: "x", split: .test, exampleShape: [1, 1, 2], classNames: ["a", "b", "c"], images: images, labels: [1, 1])
    let summary = try DatasetSummary(of: dataset)
    #expect(summary.classCounts == [0, 2, 0])
    #expect(summary.mean == 0.5)
    #expect(summary.standardDeviation == 0.5)
    #expect(summary.contentChecksum.count == 64)
  }
}

@Suite struct DatasetLoaderTests {
  let folder: Scratch

  init() throws { folder = try Scratch() }

  func images(_ count: Int, _ height: Int = 28, _ width: Int = 28) throws -> IDXFile {
    let values = try ByteStorage([UInt8](repeating: 7, count: count * height * width))
    return try IDXFile(dimensions: [count, height, width], values: values)
  }

  func labels(_ values: [UInt8]) throws -> IDXFile {
    try IDXFile(dimensions: [values.count], values: ByteStorage(values))
  }

  func load(_ name: String = "mnist", count: Int? = nil) throws -> Dataset {
    try DatasetLoader.load(name: name, split: .train, directory: folder.url.path, count: count)
  }

  @Test(arguments: [
    ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("train-images.idx3-ubyte", "train-labels.idx1-ubyte.gz"),
  ])
  func findsFilesInEitherForm(imageName: String, labelName: String) throws {
    try images(3).write(path: folder.path(imageName))
    try labels([4, 5, 6]).write(path: folder.path(labelName))
    let data = try load()
    #expect(data.count == 3)
    #expect(data.labels == [4, 5, 6])
    #expect(data.exampleShape == [1, 28, 28])
    #expect(Set(data.sourceChecksums.keys) == [imageName, labelName])
    #expect(try load(count: 2).labels == [4, 5])
    expectError("4 examples were asked for") { _ = try load(count: 4) }
    #expect(try load("fashion-mnist").classNames.last == "Ankle boot")
  }

  @Test func aFolderForEachDataSet() throws {
    let inner = try Scratch()
    try DatasetLoader.exportIDX(smallDataset(), to: inner.path("mnist"))
    #expect(try DatasetLoader.load(name: "mnist", split: .train, directory: inner.url.path).count == 12)
  }

  @Test(arguments: [true, false]) func exportsWhatItLoads(compressed: Bool) throws {
    let original = try smallDataset()
    try DatasetLoader.exportIDX(original, to: folder.url.path, compressed: compressed)
    let again = try load()
    #expect(again.labels == original.labels)
    #expect(try again.contentChecksum() == original.contentChecksum())
    expectError("already exists") {
      try DatasetLoader.exportIDX(original, to: folder.url.path, compressed: compressed)
    }
  }

  @Test func missingThings() throws {
    expectError("\"cifar-99\"", "digits, mnist, fashion-mnist") { _ = try load("cifar-99") }
    expectError("no data folder", "coherent data fetch mnist --data-dir D") {
      _ = try DatasetLoader.load(name: "mnist", split: .train)
    }
    expectError(
      "train-images-idx3-ubyte.gz or train-images-idx3-ubyte", folder.url.path,
      "coherent data fetch mnist --data-dir \(folder.url.path)"
    ) { _ = try load() }
    try images(1).write(path: folder.path("train-images-idx3-ubyte"))
    expectError("train-labels-idx1-ubyte", "missing") { _ = try load() }
    expectError("train-images") {
      _ = try DatasetLoader.load(name: "mnist", split: .train, directory: "/nonexistent/\u{0}folder")
    }
  }

  @Test func filesThatDoNotBelongTogether() throws {
    try images(3).write(path: folder.path("train-images-idx3-ubyte"))
    try labels([4, 5]).write(path: folder.path("train-labels-idx1-ubyte"))
    expectError("3 images", "2 labels") { _ = try load() }
    try labels([4, 5, 10]).write(path: folder.path("train-labels-idx1-ubyte"))
    expectError("train-labels-idx1-ubyte: label 2 (byte 10) is 10", "0 to 9") { _ = try load() }
    try images(3).write(path: folder.path("train-labels-idx1-ubyte"))
    expectError("3 dimensions where labels have 1", "swapped") { _ = try load() }
    try images(3, 27, 28).write(path: folder.path("train-images-idx3-ubyte"))
    expectError("pictures of 27x28", "28x28") { _ = try load() }
    try labels([1, 2, 3]).write(path: folder.path("train-images-idx3-ubyte"))
    expectError("1 dimensions where images have 3", "swapped") { _ = try load() }
    try images(0).write(path: folder.path("train-images-idx3-ubyte"))
    try labels([]).write(path: folder.path("train-labels-idx1-ubyte"))
    expectError("no examples") { _ = try load() }
  }

  @Test func catalogIsSound() throws {
    #expect(Set(DatasetCatalog.all.map(\.name)).count == DatasetCatalog.all.count)
    for entry in DatasetCatalog.all {
      #expect(try DatasetCatalog.entry(named: entry.name) == entry)
      #expect(entry.isBuiltIn || entry.format == .folder || !entry.mirrors.isEmpty)
      for file in entry.files {
        let sum = file.sha256 ?? ""
        #expect(entry.archive != nil || sum.count == 64 && sum.allSatisfy { $0.isHexDigit && !$0.isUppercase })
        #expect(file.accepted.first == file.name)
      }
    }
    let states = try DatasetFileStatus.check(DatasetCatalog.mnist, in: folder.url.path).map(\.state)
    #expect(states == Array(repeating: .missing, count: 4))
    try folder.write([1], "train-images-idx3-ubyte.gz")
    try folder.write([1], "train-labels.idx1-ubyte")
    let some = try DatasetFileStatus.check(DatasetCatalog.mnist, in: folder.url.path).map(\.state)
    #expect(some == [.different, .unpacked, .missing, .missing])
  }

  /// Fashion-MNIST has MNIST's file names: what is in a folder is known by checksum.
  @Test func filesOfOneDatasetAreNotAnother() throws {
    let contents: [[UInt8]] = [[1, 2], [3]]
    let sums = [
      "a12871fee210fb8619291eaea194581cbd2531e4b23759d225f6806923f63222",
      "084fed08b978af4d7d196a7446a86b58009e636b611db16211b65a9aadff29c5",
    ]
    func entry(_ name: String, _ sums: [String]) -> DatasetEntry {
      DatasetEntry(
        name: name, title: "", citation: "", exampleShape: [1, 2, 2], classNames: [], counts: [:],
        files: zip(["a-idx3-ubyte.gz", "b-idx1-ubyte.gz"], sums).map {
          DatasetFile(name: $0, size: 1, sha256: $1, split: .train, role: .images)
        }, mirrors: [])
    }
    let entries = [entry("one", sums), entry("other", ["00", "11"])]
    func names() throws -> [String] {
      try DatasetFileStatus.found(in: folder.url.path, among: entries).map(\.entry.name)
    }
    #expect(try names() == [])
    for (name, bytes) in zip(["a-idx3-ubyte.gz", "b-idx1-ubyte.gz"], contents) { try folder.write(bytes, name) }
    let found = try DatasetFileStatus.found(in: folder.url.path, among: entries)
    #expect(found.map(\.entry.name) == ["one"] && found.first?.files.map(\.state) == [.verified, .verified])
    // A damaged file belongs to nobody: both may be meant.
    try folder.write([9], "a-idx3-ubyte.gz")
    #expect(try names() == ["one", "other"])
  }
}
