// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Datasets

@Suite struct IDXTests {
  let folder: Scratch
  /// Dimensions 2 × 3, values 1 ... 6.
  let raw: [UInt8] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]

  init() throws { folder = try Scratch() }

  func gzip(_ bytes: [UInt8]) throws -> [UInt8] { [UInt8](try Gzip.deflate(Data(bytes))) }

  func refused(_ bytes: [UInt8], _ name: String, _ parts: [String], at location: SourceLocation = #_sourceLocation) {
    do {
      _ = try IDXFile.read(path: folder.write(bytes, name))
      Issue.record("No error was thrown.", sourceLocation: location)
    } catch {
      let text = (error as? DatasetError)?.description ?? "not a DatasetError: \(error)"
      #expect(text.contains(name), "\(text)", sourceLocation: location)
      for part in parts { #expect(text.contains(part), "\(text)", sourceLocation: location) }
    }
  }

  @Test(arguments: ["a-idx2-ubyte", "a-idx2-ubyte.gz"]) func writesWhatItReads(name: String) throws {
    let file = try IDXFile(dimensions: [2, 3], values: ByteStorage([1, 2, 3, 4, 5, 6]))
    try file.write(path: folder.path(name))
    let again = try IDXFile.read(path: folder.path(name))
    #expect(again.dimensions == [2, 3])
    #expect(bytes(again.values) == [1, 2, 3, 4, 5, 6])
    #expect(again.fileChecksum.count == 64)
    let stored = try folder.bytes(name)
    #expect(name.hasSuffix(".gz") ? stored.starts(with: [0x1F, 0x8B]) : stored == raw)
  }

  @Test func compressionIsTheSameEveryTime() throws {
    var generator = SeededGenerator(seed: 1)
    let large = (0..<3_000_000).map { _ in UInt8(generator.integer(below: 7)) }
    let file = try IDXFile(dimensions: [3_000_000], values: ByteStorage(large))
    try file.write(path: folder.path("a.gz"))
    try file.write(path: folder.path("b.gz"))
    #expect(try folder.bytes("a.gz") == folder.bytes("b.gz"))
    #expect(try bytes(IDXFile.read(path: folder.path("a.gz")).values) == large)
  }

  @Test func readsWhatGzipOfOtherProgramsWrites() throws {
    // Written by Python's gzip module, with a time and a file name in the header.
    let python: [UInt8] = [
      31, 139, 8, 8, 1, 0, 0, 0, 2, 255, 120, 46, 105, 100, 120, 0, 99, 96, 224, 96,
      98, 96, 96, 0, 97, 102, 70, 38, 102, 22, 86, 54, 0, 72, 148, 62, 229, 18, 0, 0,
      0,
    ]
    #expect(try bytes(IDXFile.read(path: folder.write(python, "python.gz")).values) == [1, 2, 3, 4, 5, 6])
    let members = try gzip(Array(raw[0..<7])) + gzip(Array(raw[7...]))
    let path = try folder.write(members, "members.gz")
    #expect(try bytes(IDXFile.read(path: path).values) == [1, 2, 3, 4, 5, 6])
    let misnamed = try folder.write(raw, "unpacked-by-the-browser.gz")
    #expect(try IDXFile.read(path: misnamed).dimensions == [2, 3])
    let hidden = try folder.write(gzip(raw), "compressed-without-ending")
    #expect(try IDXFile.read(path: hidden).dimensions == [2, 3])
  }

  @Test func emptyDimensionsAreRead() throws {
    let path = try folder.write([0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3], "empty")
    #expect(try IDXFile.read(path: path).values.count == 0)
    let packed = try folder.write(gzip([0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3]), "empty.gz")
    #expect(try IDXFile.read(path: packed).values.count == 0)
  }

  @Test func missingFilesAndFolders() throws {
    expectError("nowhere.gz", "does not exist") { _ = try IDXFile.read(path: folder.path("nowhere.gz")) }
    expectError(folder.url.path, "not a regular file") { _ = try IDXFile.read(path: folder.url.path) }
    expectError("not a regular file") { _ = try IDXFile.read(path: "/dev/zero") }
  }

  @Test func damagedRawFiles() {
    refused([], "empty", ["too short"])
    refused([0, 0, 8], "three", ["too short"])
    refused(Array(raw.dropLast(2)), "short", ["truncated", "6 values", "4 follow"])
    refused(raw + [7, 8], "long", ["2 bytes after", "byte 18"])
    refused([1] + raw.dropFirst(), "magic", ["not an IDX file", "01 00 08 02"])
    refused([0, 0, 8, 0], "flat", ["not an IDX file"])
    refused([0, 0, 13, 2] + raw.dropFirst(4), "floats", ["type 0d", "unsigned bytes"])
    refused([0, 0, 8, 200, 0, 0, 0, 1], "header", ["ends inside its header", "200 dimensions"])
  }

  @Test func headersThatPromiseTooMuch() throws {
    let huge: [UInt8] = [0, 0, 8, 3] + [UInt8](repeating: 0xFF, count: 12)
    refused(huge, "huge", ["more values than any file"])
    refused(try gzip(huge), "huge.gz", ["more values than any file"])
    let large: [UInt8] = [0, 0, 8, 2, 0, 1, 0, 0, 0, 1, 0, 0]
    refused(large, "large", ["at most"])
    let bomb: [UInt8] = [0, 0, 8, 2, 0, 0, 0x7F, 0xFF, 0, 0, 0x7F, 0xFF]
    refused(bomb, "bomb", ["truncated", "0 follow"])
    refused(try gzip(bomb), "bomb.gz", ["far more than a compressed"])
  }

  @Test func damagedGzipFiles() throws {
    let packed = try gzip(raw)
    refused(Array(packed.dropLast(9)), "short.gz", ["truncated"])
    refused(Array(packed.dropLast(4)), "no-length.gz", ["truncated"])
    refused(Array(packed.prefix(12)), "header.gz", ["truncated"])
    refused(packed + [1, 2, 3], "trailing.gz", ["3 bytes after the end"])
    var wrong = packed
    wrong[packed.count - 6] ^= 1
    refused(wrong, "crc.gz", ["damaged", "check"])
    refused(try gzip(Array(raw.dropLast())), "one-less.gz", ["truncated", "17 of the 18"])
    refused(try gzip(raw + [9]), "one-more.gz", ["more than the 18 bytes"])
    refused(try gzip([1, 2, 3, 4, 5]), "not-idx.gz", ["not an IDX file"])
    refused(try gzip([]), "nothing.gz", ["too short"])
    refused(Array("<html>".utf8), "page.gz", ["neither gzip nor IDX", "3c 68 74 6d"])
  }

  // Whatever bytes a file has, reading it returns or throws a DatasetError; it never traps.
  @Test func randomDamageNeverTraps() throws {
    var generator = SeededGenerator(seed: 77)
    var values = [UInt8](repeating: 0, count: 400)
    for k in values.indices { values[k] = UInt8(generator.integer(below: 5)) }
    let file = try IDXFile(dimensions: [20, 20], values: ByteStorage(values)).encoded()
    let originals = [[UInt8](file), [UInt8](try Gzip.deflate(file))]
    var survivors = 0
    for round in 0..<6000 {
      var bytes = originals[round % 2]
      switch generator.integer(below: 4) {
      case 0: bytes.removeLast(generator.integer(below: bytes.count + 1))
      case 1: bytes.insert(UInt8(generator.integer(below: 256)), at: generator.integer(below: bytes.count + 1))
      default: break
      }
      for _ in 0..<(1 + generator.integer(below: 4)) where !bytes.isEmpty {
        // Mostly in the header, where the decisions are.
        let place = generator.integer(below: min(bytes.count, generator.integer(below: 2) == 0 ? 20 : bytes.count))
        bytes[place] = UInt8(generator.integer(below: 256))
      }
      do {
        let read = try IDXFile.parse(Data(bytes), path: "fuzz.gz")
        #expect(read.dimensions.reduce(1, *) == read.values.count)
        survivors += 1
      } catch { #expect(error is DatasetError) }
    }
    #expect(survivors > 0)
  }

  @Test func arraysThatDoNotFit() throws {
    let six = try ByteStorage([1, 2, 3, 4, 5, 6])
    expectError("do not fill") { _ = try IDXFile(dimensions: [2, 2], values: six) }
    expectError("cannot be written as IDX") { _ = try IDXFile(dimensions: [], values: six) }
    expectError("cannot be written as IDX") { _ = try IDXFile(dimensions: [-2, -3], values: six) }
    expectError("do not fill") { _ = try IDXFile(dimensions: [1 << 31, 1 << 31, 1 << 31], values: six) }
    expectError("cannot be written", "free space") {
      try IDXFile(dimensions: [6], values: six).write(path: folder.path("no/such/folder/a"))
    }
  }
}
