// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@Suite struct QuantityRecordTests {
  @Test func readsBack() throws {
    let scratch = try Scratch()
    let file = scratch.url.appendingPathComponent("step-cost.csv")
    let records = [
      QuantityRecord(quantity: "seconds_sgd", value: 1.0 / 3), QuantityRecord(quantity: "a, b", value: -1e-300),
    ]
    try QuantityRecord.write(records, to: file)
    #expect(try QuantityRecord.read(file) == records)
    #expect(try String(contentsOf: file, encoding: .utf8).hasPrefix("quantity,value\nseconds_sgd,0.333"))
  }

  @Test func mistakes() throws {
    let scratch = try Scratch()
    let file = scratch.url.appendingPathComponent("x.csv")
    #expect(message { _ = try QuantityRecord.read(file) }.contains("There is no file"))
    for (text, part) in [
      ("quantity,value\na,x\n", "x.csv:2: column value"), ("quantity,value\na,1\na,2\n", "two lines for \"a\""),
      ("name,value\n", "the header is"), ("quantity,value\na\n", "expected 2 columns"),
    ] {
      try text.write(to: file, atomically: true, encoding: .utf8)
      #expect(message { _ = try QuantityRecord.read(file) }.contains(part), "\(text)")
    }
    let folder = scratch.url.appendingPathComponent("none/x.csv")
    #expect(message { try QuantityRecord.write([], to: folder) }.contains("Cannot"))
  }
}
