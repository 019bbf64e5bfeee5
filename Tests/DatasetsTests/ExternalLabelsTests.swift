// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Datasets

@Suite struct ExternalLabelsTests {
  let folder: Scratch

  init() throws { folder = try Scratch() }

  func load(_ content: some Collection<UInt8>, _ name: String, count: Int = 3, classes: Int = 10) throws -> [Int] {
    try ExternalLabels.load(from: folder.write(content, name), expectedCount: count, classCount: classes)
  }

  func npy(_ descr: String, _ shape: String, _ values: [UInt8], version: UInt8 = 1) -> [UInt8] {
    let text = Array("{'descr': '\(descr)', 'fortran_order': False, 'shape': \(shape), }\n".utf8)
    let length = [UInt8(text.count & 0xFF), UInt8(text.count >> 8)] + (version == 1 ? [] : [0, 0])
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + text + values
  }

  @Test func rawBytes() throws {
    #expect(try load([3, 0, 9], "a.u8") == [3, 0, 9])
    expectError("a.u8", "holds 2 labels", "3 examples") { _ = try load([3, 0], "a.u8") }
    expectError("a.u8: label 1 is 10", "0 to 9") { _ = try load([3, 10, 0], "a.u8") }
  }

  @Test(arguments: [
    "3\n0\n9\n", "3\r\n0\r\n9", "label\n3\n0\n9\n", "\u{FEFF}label\n3\n\n0\n9\n\n", " 3 \n 0\n9",
    "sample_id,label\n2,9\n0,3\n1,0\n", "index,label,file\n0,3,\"a,b.png\"\n1,0,c.png\n2,9,d.png\n",
    "Index, Label\n0,3\n1,0\n2,9\n", "\"label\",name\n\"3\",x\n0,y\n9,z\n",
    "index,original,assigned,is_corrupt\n0,1,3,1\n1,0,0,0\n2,9,9,0\n",
  ])
  func csv(text: String) throws {
    #expect(try load(text.utf8, "a.csv") == [3, 0, 9])
  }

  /// Lines that name files are about these, in whatever order, whatever their index says.
  @Test(arguments: [
    "file,label\nb/2.png,9\na/1.png,3\nb/x.png,1\n\"a/1,2.png\",0\n",
    "index,label,file\n9,9,b/2.png\n7,0,\"a/1,2.png\"\n8,3,a/1.png\n",
  ])
  func labelsByFile(_ text: String) throws {
    let (path, files) = (try folder.write(text.utf8, "a.csv"), ["a/1.png", "a/1,2.png", "b/2.png"])
    #expect(try ExternalLabels.load(from: path, expectedCount: 3, classCount: 10) { files[$0] } == [3, 0, 9])
  }

  @Test func badFiles() throws {
    func load(_ text: String, _ files: [String]?) throws {
      let file: ((Int) -> String?)? = files.map { files in { files[$0] } }
      _ = try ExternalLabels.load(
        from: folder.write(text.utf8, "a.csv"), expectedCount: 2, classCount: 10, file: file)
    }
    expectError("has no label for b.png", "paths below the data folder") {
      try load("file,label\na.png,1\nc.png,1\n", ["a.png", "b.png"])
    }
    expectError("line 3: a.png already has a label on line 2") {
      try load("file,label\na.png,1\na.png,2\n", ["a.png", "b.png"])
    }
    expectError("names files, but the examples have none", "column index") { try load("file,label\na.png,1\n", nil) }
    expectError("line 1", "Separate columns by commas") { try load("file;label\na.png;1\n", nil) }
    expectError("holds 1 labels", "--test-fraction 0") { try load("1\n", ["a.png", "b.png"]) }
  }

  @Test func badCSV() {
    expectError("line 2", "\"x\" is not a whole number") { _ = try load("3\nx\n9\n".utf8, "a.csv") }
    expectError("line 1", "no column `label`") { _ = try load("foo,bar\n1,2\n".utf8, "a.csv") }
    expectError("line 3 has 3 columns where 2") {
      _ = try load("sample_id,label\n0,1\n1,2,3\n".utf8, "a.csv")
    }
    expectError("line 3", "example 0 already has a label on line 2") {
      _ = try load("sample_id,label\n0,1\n0,2\n1,3\n".utf8, "a.csv")
    }
    expectError("line 4", "no example 3", "0 to 2") {
      _ = try load("sample_id,label\n0,1\n1,2\n3,3\n".utf8, "a.csv")
    }
    expectError("the index \"a\"") { _ = try load("sample_id,label\na,1\n".utf8, "a.csv") }
    expectError("line 3: the label is 12") { _ = try load("1\n2\n12\n".utf8, "a.csv") }
    expectError("holds 0 labels") { _ = try load([], "a.csv") }
    expectError("not UTF-8") { _ = try load([0xFF, 0xFE, 0x31], "a.csv") }
    expectError("is not a whole number") { _ = try load("1\n99999999999999999999\n3".utf8, "a.csv") }
  }

  @Test func numPyArrays() throws {
    #expect(try load(npy("|u1", "(3,)", [3, 0, 9]), "a.npy") == [3, 0, 9])
    #expect(try load(npy("|b1", "(3,)", [1, 0, 1]), "a.npy") == [1, 0, 1])
    #expect(try load(npy("<i2", "(3,)", [3, 0, 0, 0, 9, 0]), "a.npy") == [3, 0, 9])
    #expect(try load(npy(">u2", "(3,)", [0, 3, 0, 0, 0, 9]), "a.npy", classes: 10) == [3, 0, 9])
    let longs = [3, 0, 9].flatMap { [UInt8($0)] + [UInt8](repeating: 0, count: 7) }
    #expect(try load(npy("<i8", "(3,)", longs), "a.npy") == [3, 0, 9])
    #expect(try load(npy("<i8", "(3,)", longs, version: 2), "a.npy") == [3, 0, 9])
  }

  @Test func badNumPyArrays() {
    expectError("not a NumPy array") { _ = try load([1, 2, 3], "a.npy") }
    expectError("unknown version 9") { _ = try load(npy("|u1", "(3,)", [3, 0, 9], version: 9), "a.npy") }
    expectError("'<f4'", "whole numbers") { _ = try load(npy("<f4", "(3,)", [3, 0, 9]), "a.npy") }
    expectError("'|O'") { _ = try load(npy("|O", "(3,)", [3, 0, 9]), "a.npy") }
    expectError("one dimension") { _ = try load(npy("|u1", "(1, 3)", [3, 0, 9]), "a.npy") }
    expectError("one dimension") { _ = try load(npy("|u1", "()", [3]), "a.npy") }
    expectError("3 bytes", "declares 4") { _ = try load(npy("|u1", "(4,)", [3, 0, 9]), "a.npy") }
    expectError("declares 9223372036854775807") {
      _ = try load(npy("<i8", "(9223372036854775807,)", [3, 0, 9]), "a.npy")
    }
    expectError("ends inside its header") { _ = try load(Array(npy("|u1", "(3,)", []).prefix(30)), "a.npy") }
    expectError("is -1") { _ = try load(npy("|i1", "(3,)", [0xFF, 0, 1]), "a.npy") }
    expectError("too large for a class") {
      _ = try load(npy("<u8", "(1,)", [UInt8](repeating: 0xFF, count: 8)), "a.npy", count: 1)
    }
  }

  @Test func randomDamageNeverTraps() throws {
    var generator = SeededGenerator(seed: 78)
    let table = Array("sample_id,label\n0,1\n1,2\n2,3".utf8)
    let originals = [npy("<i8", "(3,)", [UInt8](repeating: 0, count: 24)), table]
    for round in 0..<4000 {
      var bytes = originals[round % 2]
      if generator.integer(below: 3) == 0 { bytes.removeLast(generator.integer(below: bytes.count + 1)) }
      for _ in 0..<2 where !bytes.isEmpty {
        bytes[generator.integer(below: bytes.count)] = UInt8(generator.integer(below: 256))
      }
      let data = Data(bytes)
      do {
        if round % 2 == 0 {
          _ = try NumPyLabels.parse(data, path: "fuzz.npy")
        } else {
          _ = try CSVLabels(path: "fuzz.csv", columns: ["label"], classNames: []).parse(data, expectedCounts: [3])
        }
      } catch { #expect(error is DatasetError) }
    }
  }

  @Test func otherFiles() {
    expectError("missing.csv", "does not exist") {
      _ = try ExternalLabels.load(from: folder.path("missing.csv"), expectedCount: 3, classCount: 10)
    }
    expectError(".npy, .csv or .u8") { _ = try load([1], "a.txt") }
    expectError("at most") { _ = try load([UInt8](repeating: 1, count: 1_100_000), "large.u8") }
  }

  @Test func trueFlipsAreKnown() throws {
    let path = try folder.write([0, 5, 2], "a.u8")
    let labels = try ExternalLabels(path: path, expectedCount: 3, classCount: 10)
    #expect(try labels.compared(to: [0, 1, 2]).corruptIndices == [1])
  }
}
