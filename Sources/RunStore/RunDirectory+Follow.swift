// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What was appended to a run's logs since the last look.
public struct RunUpdate: Sendable {
  private var records: [String: any Sendable] = [:]
  /// New lines of `events.jsonl`.
  public var events: [RunEvent] = []
  /// Where to go on next time.
  public var offsets: RunLogOffsets
  /// Whether a log became shorter (the run was resumed from a checkpoint or started again): this update then holds
  /// every record from the beginning and replaces what was read before.
  public let isRestart: Bool

  /// Whether nothing is new.
  public private(set) var isEmpty = true

  init(offsets: RunLogOffsets, isRestart: Bool) { (self.offsets, self.isRestart) = (offsets, isRestart) }

  /// The new lines of a log.
  public subscript<Record: LogRecord>(_: Record.Type) -> [Record] { records[Record.file] as? [Record] ?? [] }

  mutating func note<Record: LogRecord>(_ new: [Record]) {
    records[Record.file] = new
    if !new.isEmpty { isEmpty = false }
  }

  mutating func note(_ new: [RunEvent]) {
    events = new
    if !new.isEmpty { isEmpty = false }
  }
}

extension RunDirectory {
  /// Reads what was appended since `offsets` (from the beginning without them). A last line that is still being
  /// written is left for the next call.
  ///
  /// - Throws: `RunStoreError` when a line cannot be read.
  public func follow(from offsets: RunLogOffsets = RunLogOffsets()) throws -> RunUpdate {
    let isRestart = RunFile.logs.contains { name in size(of: name) < offsets.bytes[name] ?? 0 }
    var update = RunUpdate(offsets: isRestart ? RunLogOffsets() : offsets, isRestart: isRestart)
    for type in logRecordTypes { try follow(type, &update) }
    let start = update.offsets.bytes[RunFile.events] ?? 0
    let lines = try readLog(RunFile.events, from: start)
    update.note(try Self.events(in: lines, file: file(RunFile.events).path))
    update.offsets.bytes[RunFile.events] = start + lines.count
    return update
  }

  private func follow<Record: LogRecord>(_: Record.Type, _ update: inout RunUpdate) throws {
    let start = update.offsets.bytes[Record.file] ?? 0
    let lines = try readLog(Record.file, from: start)
    update.offsets.bytes[Record.file] = start + lines.count
    update.note(
      try CSV.read(
        Record.self, from: lines, file: file(Record.file).path, checkHeader: start == 0, ignoreUnfinished: true))
  }

  private func size(of name: String) -> Int {
    var information = stat()
    return stat(file(name).path, &information) == 0 ? Int(information.st_size) : 0
  }

  /// The finished lines of a log from a byte offset on; empty when there is no such file.
  func readLog(_ name: String, from offset: Int) throws -> Data {
    let path = file(name).path
    guard FileManager.default.fileExists(atPath: path) else { return Data() }
    let handle = try openForReading(file(name))
    do {
      try handle.seek(toOffset: UInt64(max(0, offset)))
      let data = try handle.readToEnd() ?? Data()
      guard let end = data.lastIndex(of: 0x0A) else { return Data() }
      return Data(data[...end])
    } catch { throw RunStoreError("Cannot read \(path).", remedy: "Check the disk and try again.") }
  }

  static func events(in data: Data, file: String) throws -> [RunEvent] {
    try data.split(separator: 0x0A).enumerated().map { number, line in
      try RunJSON.decode(RunEvent.self, from: Data(line), at: "\(file):\(number + 1)")
    }
  }
}
