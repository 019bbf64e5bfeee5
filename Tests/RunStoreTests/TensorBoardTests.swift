// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import RunStore

@Suite struct TensorBoardTests {
  @Test func checksumMatchesThePublishedVectors() {
    // RFC 3720, appendix B.4.
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(CRC32C.checksum((0..<32).map { UInt8($0) }) == 0x46DD_794E)
    #expect(CRC32C.checksum((0..<32).reversed().map { UInt8($0) }) == 0x113F_DB5C)
    #expect(CRC32C.checksum([UInt8]()) == 0)
  }

  @Test func versionRecordIsAsTensorBoardWritesIt() {
    let record = [UInt8](TensorBoard.versionRecord(wallTime: 0))
    #expect(Array(record[0..<8]) == [24, 0, 0, 0, 0, 0, 0, 0])
    #expect(Array(record[12..<21]) == [9, 0, 0, 0, 0, 0, 0, 0, 0])
    #expect(Array(record[21..<23]) == [26, 13])
    #expect(String(decoding: record[23..<36], as: UTF8.self) == "brain.Event:2")
    #expect(record.count == 8 + 4 + 24 + 4)
  }

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// A Python with the real package.
  static let python: String? = [
    ProcessInfo.processInfo.environment["TENSORBOARD_PYTHON"], root.path + "/.deps/test-venv/bin/python",
    "/usr/bin/python3", "/usr/local/bin/python3",
  ].compactMap { $0 }.first { launch($0, ["-c", "import tensorboard"])?.status == 0 }

  @Test(.enabled(if: Self.python != nil, "needs a Python with tensorboard"))
  func realTensorBoardReadsTheValues() throws {
    let python = try #require(Self.python)
    let script = Self.root.appendingPathComponent("scripts/check-tensorboard.py").path
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([metric(0), metric(300, group: "pristine")])
    try log.append([
      CoherenceRecord(step: 5, split: "train", layer: "fc1", m: 8, alpha: 0.25, mCoherence: 2, batchNormPolicy: "none")
    ])
    let offsets = try log.flush()
    try log.scalar("lost", 1, step: 1)
    let second = try run.logWriter(resumingAt: offsets)
    for step in 0..<200 { try second.scalar("lr", 0.1 / Double(step + 1), step: step * 1000) }
    try second.close()

    let output = try #require(launch(python, [script, run.url.path]))
    #expect(output.status == 0)
    let read = try JSONDecoder().decode([String: [[Double]]].self, from: output.output)
    #expect(read["loss/train"] == [[0, Double(Float(2.302585092994046 / 3))]])
    #expect(read["accuracy/train/pristine"] == [[300, Double(Float(0.1 + 0.2))]])
    #expect(read["alpha/train/fc1"] == [[5, 0.25]])
    #expect(read["lost"] == nil)
    let rates: [[Double]] = (0..<200).map { step in
      let rate = Float(0.1 / Double(step + 1))
      return [Double(step * 1000), Double(rate)]
    }
    #expect(read["lr"] == rates)
  }
}

/// Runs a program; nil when it cannot be started.
func launch(_ program: String, _ arguments: [String]) -> (status: Int32, output: Data)? {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return nil }
  let output = pipe.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, output)
}
