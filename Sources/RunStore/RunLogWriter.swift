// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How long every append-only log of a run was at one moment; a checkpoint keeps it, and resuming cuts the logs back.
public struct RunLogOffsets: Codable, Sendable, Equatable {
  /// Bytes by file name, such as `metrics.csv`; the TensorBoard event file is among them.
  public var bytes: [String: Int]

  /// Offsets from bytes by file name.
  public init(bytes: [String: Int] = [:]) { self.bytes = bytes }
}

/// Appends to the logs of a run: those of its records, `events.jsonl` and a TensorBoard event file.
///
/// Every method throws `RunStoreError` when the disk is full or a log cannot be written to; the record that failed is
/// taken back, so the logs stay readable. One writer per run at a time, used from one thread at a time.
public final class RunLogWriter {
  private let folder: URL
  private let events: AppendOnlyFile
  private let tensorBoard: AppendOnlyFile
  /// The logs that are there, by name.
  private var logs: [String: AppendOnlyFile] = [:]
  private var isClosed = false
  private var files: [AppendOnlyFile] { [events, tensorBoard] + logs.sorted { $0.key < $1.key }.map(\.value) }

  /// Opens the logs in a folder; those that every run has are made with their header.
  init(folder: URL, tensorBoardFile: String) throws {
    self.folder = folder
    events = try AppendOnlyFile(folder.appendingPathComponent(RunFile.events))
    tensorBoard = try AppendOnlyFile(folder.appendingPathComponent(tensorBoardFile))
    if tensorBoard.size == 0 {
      try tensorBoard.append(TensorBoard.versionRecord(wallTime: Date().timeIntervalSince1970))
    }
    for type in logRecordTypes { try open(type) }
  }

  private func open<Record: LogRecord>(_: Record.Type) throws {
    let isThere = FileManager.default.fileExists(atPath: folder.appendingPathComponent(Record.file).path)
    if isThere || Record.log.isInEveryRun { _ = try log(of: Record.self) }
  }

  /// A log, with its header.
  private func log<Record: LogRecord>(of _: Record.Type) throws -> AppendOnlyFile {
    guard !isClosed else {
      throw RunStoreError(
        "\(folder.appendingPathComponent(Record.file).path) was already closed.",
        remedy: "Open a new log writer to continue.")
    }
    guard RunFile.isLog(Record.file) else {
      throw RunStoreError(
        "\(Record.file) is not the name of a log.", remedy: "Give the log of \(Record.self) a name such as own.log.csv."
      )
    }
    let log = try logs[Record.file] ?? AppendOnlyFile(folder.appendingPathComponent(Record.file))
    logs[Record.file] = log
    if log.size == 0 { try log.append(CSV.header(Record.self)) }
    return log
  }

  /// Appends lines to the log of the records, which the first of them make where a run need not have it, and their
  /// numbers to TensorBoard.
  public func append<Record: LogRecord>(_ records: [Record]) throws {
    guard !records.isEmpty else { return }
    try log(of: Record.self).append(CSV.lines(records))
    try scalars(records.flatMap { record in Record.log.scalars(record).map { ($0.tag, $0.value, record.step) } })
  }

  /// Appends a line to `events.jsonl`.
  public func append(_ event: RunEvent) throws {
    try events.append(RunJSON.encoder(pretty: false).encode(event) + Data("\n".utf8))
  }

  /// Appends a number to the TensorBoard event file alone.
  public func scalar(_ tag: String, _ value: Double, step: Int) throws { try scalars([(tag, value, step)]) }

  /// Appends numbers to TensorBoard in one write; those without a value are left out.
  private func scalars(_ values: [(tag: String, value: Double?, step: Int)]) throws {
    let now = Date().timeIntervalSince1970
    var records = Data()
    for case (let tag, let value?, let step) in values {
      records.append(TensorBoard.scalarRecord(tag: tag, value: value, step: step, wallTime: now))
    }
    if !records.isEmpty { try tensorBoard.append(records) }
  }

  /// Waits until the disk holds every log, and says how long each is now.
  public func flush() throws -> RunLogOffsets {
    for file in files { try file.synchronize() }
    return RunLogOffsets(
      bytes: Dictionary(files.map { ($0.url.lastPathComponent, $0.size) }, uniquingKeysWith: { first, _ in first }))
  }

  /// Flushes and closes the logs; later appends throw.
  public func close() throws {
    isClosed = true
    for file in files {
      try file.synchronize()
      try file.close()
    }
  }
}
