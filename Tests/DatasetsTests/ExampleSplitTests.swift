// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Testing
import TestSupport

@testable import Datasets

@Suite struct ExampleSplitTests {
  let folder: Scratch

  init() throws { folder = try Scratch() }

  func load(_ text: String, count: Int = 6) throws -> ExampleSplit {
    try ExampleSplit(path: folder.write(text.utf8, "parts.csv"), count: count)
  }

  @Test(arguments: [
    "index,split,group\n4,train,hard\n0,train,easy\n5,test,easy\n2,train,\n",
    "\u{FEFF}index,split,group\r\n\r\n5,test,easy\r\n 4 , train , hard \r\n2,train,\r\n0,train,\"easy\"",
  ])
  func reads(_ text: String) throws {
    let split = try load(text)
    #expect(split.train == [0, 2, 4] && split.test == [5])
    #expect(split.groups == [0: "easy", 4: "hard", 5: "easy"])
    #expect(split.name == "parts" && split.path == folder.path("parts.csv"))
    #expect(split.checksum == hexadecimal(SHA256.hash(data: Data(text.utf8))))
  }

  @Test func mistakesNameFileLineAndColumn() {
    func expect(_ lines: String, _ parts: String...) {
      do {
        _ = try load("index,split,group\n" + lines)
        Issue.record("No error was thrown for \(lines)")
      } catch {
        for part in parts + ["parts.csv"] { #expect("\(error)".contains(part), "\(error)") }
      }
    }
    expect("0,train,\n6,train,\n", "line 3, column index", "no training example 6", "0 to 5")
    expect("-1,train,\n", "line 2, column index", "no training example -1")
    expect("x,train,\n", "line 2, column index", "\"x\" is not a whole number")
    expect("99999999999999999999,train,\n", "is not a whole number")
    expect("3,train,\n\n3,test,a\n", "line 4, column index", "example 3 is already on line 2")
    expect("0,valid,\n", "line 2, column split", "\"valid\" is neither train nor test")
    expect("0,,\n", "column split")
    expect("0,test,a\n", "no line whose split is train", "nothing to train on")
    expect("", "nothing to train on")
    for name in ["all", "pristine", "corrupt", "Corrupt"] {
      expect("0,train,\(name)\n", "line 2, column group", "\"\(name)\"", "another name")
    }
    expect("0,train,a,b\n", "line 2", "4 columns", "no commas")
    expect("0,train,\"a,b\"\n", "line 2", "no commas")
    expect("0,train\n", "line 2", "2 columns")
    for name in ["very easy", "a/b", "it's", "a\u{7}"] { expect("0,train,\(name)\n", "line 2, column group") }
  }

  @Test func otherFiles() throws {
    expectError("parts.csv, line 1", "\"index,group\"", "\"index,split,group\"") { _ = try load("index,group\n0,a\n") }
    expectError("line 1", "the header is \"0,train,\"") { _ = try load("0,train,\n") }
    expectError("is empty") { _ = try load("\n") }
    expectError("not UTF-8") { _ = try ExampleSplit(path: folder.write([0xFF, 0xFE], "a.csv"), count: 3) }
    expectError("none.csv does not exist") { _ = try ExampleSplit(path: folder.path("none.csv"), count: 3) }
    expectError("not a regular file") { _ = try ExampleSplit(path: folder.url.path, count: 3) }
  }
}
