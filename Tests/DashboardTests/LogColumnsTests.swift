// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport
import Testing

@testable import Dashboard

/// Logs read into columns, against the reader of records.
@Suite struct LogColumnsTests {
  private func columns(_ run: RunDirectory) -> LogColumns {
    LogColumns(run.url.appendingPathComponent("metrics.csv"), keys: ["split", "group"], values: ["loss", "acc1"])
  }

  private func expectSame(_ columns: LogColumns, _ run: RunDirectory) throws {
    let records = try run.log(MetricRecord.self)
    let groups = Dictionary(grouping: records) { [$0.split, $0.group] }
    #expect(Set(columns.series.map(\.key)) == Set(groups.keys))
    for series in columns.series {
      let last = Dictionary((groups[series.key] ?? []).map { ($0.step, $0) }, uniquingKeysWith: { _, last in last })
      let expected = last.values.sorted { $0.step < $1.step }
      #expect(series.steps == expected.map { Double($0.step) })
      for (read, record) in zip(series.values[0], expected) { #expect(abs(read - record.loss) <= 1e-15 * record.loss) }
      for (read, record) in zip(series.values[1], expected) { #expect(abs(read - record.accuracy1) < 1e-15) }
    }
  }

  @Test func readsWhatTheReaderOfRecordsReads() throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", steps: 300)
    let columns = columns(run)
    #expect(try columns.update())
    try expectSame(columns, run)
    #expect(columns.count == 4 * 301 * 3)
    // Nothing new: nothing is read.
    #expect(try !columns.update())
  }

  @Test func readsOnWhereItStopped() throws {
    let scratch = try Scratch()
    let run = try scratch.run("run")
    let file = run.url.appendingPathComponent("metrics.csv")
    let columns = columns(run)
    _ = try columns.update()
    let handle = try FileHandle(forWritingTo: file)
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("2.1,21,train,all,100,1.5,0.25,\n2.2,22,tra".utf8))
    #expect(try columns.update())
    #expect(columns.series[0].steps.last == 21)
    // The rest of the line comes later; a step that comes again counts for the last time.
    try handle.write(contentsOf: Data("in,all,100,1.25,0.5,\n2.2,22,train,all,100,1,0.75,\n".utf8))
    #expect(try columns.update())
    #expect(columns.series[0].steps.last == 22 && columns.series[0].values[1].last == 0.75)
    try expectSame(columns, run)
  }

  @Test func startsAgainWhenTheFileIsAnother() throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", steps: 40)
    let columns = columns(run)
    _ = try columns.update()
    let file = run.url.appendingPathComponent("metrics.csv")
    // Cut back, as when a run goes on from a checkpoint.
    let text = try String(contentsOf: file, encoding: .utf8)
    let lines = text.split(separator: "\n").prefix(30).joined(separator: "\n") + "\n"
    try lines.write(to: file, atomically: false, encoding: .utf8)
    #expect(try columns.update())
    try expectSame(columns, run)
    try lines.write(to: file, atomically: true, encoding: .utf8)
    #expect(try columns.update())
    try expectSame(columns, run)
    try FileManager.default.removeItem(at: file)
    #expect(try columns.update())
    #expect(columns.series.isEmpty)
    #expect(try !columns.update())
  }

  @Test func namesInQuotes() throws {
    let scratch = try Scratch()
    let path = try scratch.write(
      "step,split,layer,alpha\n0,train,\"block, \"\"a\"\"\",0.5\n1,train,\"block, \"\"a\"\"\",\r\n", "log.csv")
    let columns = LogColumns(URL(fileURLWithPath: path), keys: ["split", "layer"], values: ["alpha"])
    _ = try columns.update()
    #expect(columns.series.map(\.key) == [["train", "block, \"a\""]])
    #expect(columns.series[0].values[0][0] == 0.5 && columns.series[0].values[0][1].isNaN)
  }

  @Test(arguments: [
    ("step,x\n0,1\n1,two\n", "log.csv:3: the line holds \"two\" as x, not a number."),
    ("step,x\n0,1,2\n", "log.csv:2: the line has 3 cells, expected 2."),
    ("step,x\n,1\n", "log.csv:2: the line has no step."),
    ("step,y\n", "log.csv:1: the header \"step,y\" has no column x."),
  ])
  func damage(_ text: String, _ message: String) throws {
    let scratch = try Scratch()
    let columns = LogColumns(URL(fileURLWithPath: try scratch.write(text, "log.csv")), keys: [], values: ["x"])
    let error = #expect(throws: RunStoreError.self) { _ = try columns.update() }
    #expect(error?.description.contains(message) ?? false, "\(String(describing: error))")
    // Once it is mended it can be read.
    try scratch.write("step,x\n0,1\n", "log.csv")
    #expect(try columns.update())
  }

  @Test func theEndOfALog() throws {
    let scratch = try Scratch()
    let lines = (0..<5000).map { "\($0),\($0 % 2 == 0 ? "train" : "test"),0.\($0)\n" }
    let path = try scratch.write("step,split,x\n" + lines.joined() + "5000,train,0.9", "log.csv")
    let tail = LogTail(URL(fileURLWithPath: path), bytes: 512)
    // The last line is still being written.
    #expect(tail.last("step", where: [:]) == 4999 && tail.last("step", where: ["split": "train"]) == 4998)
    #expect(tail.last("x", where: ["split": "test"]) == 0.4999)
    #expect(tail.last("x", where: ["split": "validation"]) == nil && tail.last("y", where: [:]) == nil)
    #expect(tail.last("x", where: ["group": "all"]) == nil)
    for text in ["", "step,split,x", "step,split,x\n", "step,split,x\n1,train"] {
      let short = LogTail(URL(fileURLWithPath: try scratch.write(text, "short.csv")))
      #expect(short.last("step", where: [:]) == nil)
    }
    try scratch.write("step,split,x\r\n3,train,\r\n", "windows.csv")
    let windows = LogTail(URL(fileURLWithPath: scratch.path("windows.csv")))
    #expect(windows.last("step", where: ["split": "train"]) == 3 && windows.last("x", where: [:]) == nil)
    #expect(LogTail(URL(fileURLWithPath: scratch.path("none"))).last("step", where: [:]) == nil)
  }

  @Test func numbers() {
    func value(_ text: String) -> Double? {
      Array(text.utf8).withUnsafeBufferPointer { PlainNumber.value($0, 0..<$0.count) }
    }
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let expected = Double(bitPattern: random.next())
      guard expected.isFinite else { continue }
      let read = value("\(expected)") ?? .nan
      #expect(abs(read - expected) <= 4e-16 * abs(expected) + 1e-300, "\(expected)")
    }
    for text in [
      "0", "-0.0", "1", "12.5", "1e5", "1.5E-3", "+2", ".5", "3.", "123456789012345678901234567890", "1e400",
    ] {
      #expect(value(text) == Double(text.hasSuffix(".") ? text + "0" : text), "\(text)")
    }
    for text in ["", "nan", "NaN"] { #expect(value(text)?.isNaN ?? false) }
    #expect(value("inf") == .infinity && value("-inf") == -.infinity)
    for text in ["x", "1x", "-", "1e", "e5", "1.2.3", "--1", "0x10"] { #expect(value(text) == nil, "\(text)") }
  }
}
