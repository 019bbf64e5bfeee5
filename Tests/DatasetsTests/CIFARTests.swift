// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Datasets

/// Files in the format of CIFAR's binary version, a few records each.
@Suite struct CIFARTests {
  let folder: Scratch

  init() throws { folder = try Scratch() }

  func record(_ labels: [UInt8], fill: UInt8) -> [UInt8] { labels + [UInt8](repeating: fill, count: 3072) }

  func load(
    _ name: String = "cifar10", _ split: Split = .train, count: Int? = nil,
    _ change: (inout DatasetOptions) -> Void = { _ in }
  ) throws -> Dataset {
    var options = DatasetOptions()
    change(&options)
    return try DatasetLoader.load(name: name, split: split, directory: folder.url.path, count: count, options: options)
  }

  @Test(arguments: ["", "cifar10/", "cifar-10-batches-bin/"]) func allBatchesInOrder(place: String) throws {
    for batch in 1...5 {
      let number = UInt8(batch)
      let records = record([number], fill: number) + record([9 - number], fill: 100 + number)
      try folder.write(records, "\(place)data_batch_\(batch).bin")
    }
    let data = try load()
    #expect(data.labels == [1, 8, 2, 7, 3, 6, 4, 5, 5, 4])
    #expect(data.exampleShape == [3, 32, 32] && data.classNames[3] == "cat")
    #expect(
      bytes(data.images).enumerated().allSatisfy { place, byte in
        let (batch, second) = (place / 6144 + 1, place / 3072 % 2 == 1)
        return Int(byte) == batch + (second ? 100 : 0)
      })
    #expect(data.sourceChecksums.count == 5 && data.notes.isEmpty)
    #expect(try load(count: 3).labels == [1, 8, 2])
  }

  @Test func fineLabelsOfCIFAR100() throws {
    try folder.write(record([19, 99], fill: 1) + record([0, 3], fill: 2), "cifar-100-binary/train.bin")
    let data = try load("cifar100")
    #expect(data.labels == [99, 3])
    #expect(data.classNames.count == 100 && data.classNames[99] == "worm" && data.classNames[3] == "bear")
    #expect(data.normalization == .cifar100)
    try folder.write(record([19, 100], fill: 1), "cifar-100-binary/test.bin")
    expectError("test.bin: byte 1", "is 100", "0 to 99") { _ = try load("cifar100", .test) }
  }

  @Test func missingBatches() throws {
    expectError("data_batch_1.bin, data_batch_2.bin", "in \(folder.url.path)", "coherent data fetch cifar10") {
      _ = try load { $0.allowsMissingFiles = true }
    }
    for batch in [1, 2, 4] { try folder.write(record([5], fill: 0), "data_batch_\(batch).bin") }
    expectError(
      "data_batch_3.bin, data_batch_5.bin are missing",
      "data_batch_1.bin, data_batch_2.bin, data_batch_4.bin are there",
      "--allow-missing"
    ) { _ = try load() }
    let part = try load { $0.allowsMissingFiles = true }
    #expect(part.count == 3 && part.notes.count == 1)
    #expect(part.notes[0].contains("data_batch_3.bin, data_batch_5.bin are missing, which leaves 3 examples"))
    #expect(part.sourceChecksums.keys.sorted() == ["data_batch_1.bin", "data_batch_2.bin", "data_batch_4.bin"])
  }

  @Test func damagedFiles() throws {
    try folder.write(record([5], fill: 0).dropLast(), "test_batch.bin")
    expectError("test_batch.bin has 3072 bytes", "records of 3073 bytes", "from byte 0 on") {
      _ = try load("cifar10", .test)
    }
    try folder.write(record([5], fill: 0) + [1, 2], "test_batch.bin")
    expectError("has 3075 bytes", "2 bytes follow the last whole record, from byte 3073 on") {
      _ = try load("cifar10", .test)
    }
    try folder.write([], "test_batch.bin")
    expectError("has 0 bytes") { _ = try load("cifar10", .test) }
    try folder.write(record([5], fill: 0) + record([10], fill: 0), "test_batch.bin")
    expectError("test_batch.bin: byte 3073 (the label of record 1) is 10", "0 to 9") { _ = try load("cifar10", .test) }
  }

  @Test func pixelsAreNormalised() throws {
    let pixels = (0..<3072).map { UInt8($0 % 256) }
    try folder.write([2] + pixels, "test_batch.bin")
    let values = try load("cifar10", .test).imageTensor(at: [0]).values(as: Float.self)
    let usual = Normalization.cifar10
    for (place, value) in values.enumerated() {
      let channel = place / 1024
      let expected = (Float(pixels[place]) / 255 - usual.mean[channel]) / usual.deviation[channel]
      #expect(abs(value - expected) < 1e-6)
    }
    let plain = try load("cifar10", .test) { $0.normalize = .none }.imageTensor(at: [0])
    #expect(plain.shape == [1, 3, 32, 32])
    #expect(try plain.values(as: Float.self) == pixels.map { Float($0) * (1 / 255 as Float) })
  }
}

@Suite struct TarTests {
  /// A header as tar writes it, and the file padded to whole blocks.
  static func member(_ name: String, _ content: [UInt8], type: Character = "0") -> [UInt8] {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at place: Int) { header.replaceSubrange(place..<place + text.utf8.count, with: text.utf8) }
    put(name, at: 0)
    put(
      String(repeating: "0", count: 11 - String(content.count, radix: 8).count) + String(content.count, radix: 8),
      at: 124)
    put("        ", at: 148)
    put(String(type), at: 156)
    put("ustar", at: 257)
    let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
    put(String(repeating: "0", count: 6 - sum.count) + sum + "\0 ", at: 148)
    return header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
  }

  @Test func takesOutWhatIsAskedFor() throws {
    let archive =
      Self.member("folder/", [], type: "5") + Self.member("folder/a.bin", Array(1...200))
      + Self.member("../../etc/passwd", [6]) + Self.member("folder/b.bin", [])
      + Self.member("folder/c.bin", [7], type: "2")
      + [UInt8](repeating: 0, count: 1024)
    let files = try TarFile.files(named: ["a.bin", "b.bin", "c.bin"], in: ByteStorage(archive), path: "x.tar")
    #expect(files.keys.sorted() == ["a.bin", "b.bin"])
    #expect(try #require(files["a.bin"]).withUnsafeBytes { Array($0) } == Array(1...200))
  }

  @Test func damage() throws {
    var archive = Self.member("a.bin", [1, 2, 3])
    expectError("x.tar is truncated", "begins at byte 512") {
      _ = try TarFile.files(named: ["a.bin"], in: ByteStorage(archive.prefix(514)), path: "x.tar")
    }
    archive[0] = 9
    expectError("x.tar is damaged", "byte 0") {
      _ = try TarFile.files(named: ["a.bin"], in: ByteStorage(archive), path: "x.tar")
    }
  }
}
