// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What was appended to a run's logs since the last look.
public struct RunUpdate: Sendable, Equatable {
  /// New lines of `metrics.csv`.
  public var metrics: [MetricRecord] = []
  /// New lines of `coherence.csv`.
  public var coherence: [CoherenceRecord] = []
  /// New lines of `coherence-intervals.csv`.
  public var coherenceIntervals: [CoherenceIntervalRecord] = []
  /// New lines of `measures.csv`.
  public var measures: [MeasureRecord] = []
  /// New lines of `contributions.csv`.
  public var contributions: [ContributionRecord] = []
  /// New lines of `push.csv`.
  public var pushes: [PushRecord] = []
  /// New lines of `events.jsonl`.
  public var events: [RunEvent] = []
  /// Where to go on next time.
  public var offsets: RunLogOffsets
  /// Whether a log became shorter (the run was resumed from a checkpoint or started again): this update then holds
  /// every record from the beginning and replaces what was read before.
  public var isRestart = false

  /// Whether nothing is new.
  public var isEmpty: Bool {
    metrics.isEmpty && coherence.isEmpty && coherenceIntervals.isEmpty && contributions.isEmpty && measures.isEmpty
      && pushes.isEmpty && events.isEmpty
  }
}

extension RunDirectory {
  /// Reads what was appended since `offsets` (from the beginning without them). A last line that is still being
  /// written is left for the next call.
  ///
  /// - Throws: `RunStoreError` when a line cannot be read.
  public func follow(from offsets: RunLogOffsets = RunLogOffsets()) throws -> RunUpdate {
    let isRestart = RunFile.logs.contains { name in size(of: name) < offsets.bytes[name] ?? 0 }
    var update = RunUpdate(offsets: isRestart ? RunLogOffsets() : offsets)
    update.isRestart = isRestart
    update.metrics = try followed(MetricRecord.self, in: RunFile.metrics, &update.offsets)
    update.coherence = try followed(CoherenceRecord.self, in: RunFile.coherence, &update.offsets)
    update.coherenceIntervals = try followed(CoherenceIntervalRecord.self, in: RunFile.intervals, &update.offsets)
    update.measures = try followed(MeasureRecord.self, in: RunFile.measures, &update.offsets)
    update.contributions = try followed(ContributionRecord.self, in: RunFile.contributions, &update.offsets)
    update.pushes = try followed(PushRecord.self, in: RunFile.pushes, &update.offsets)
    let start = update.offsets.bytes[RunFile.events] ?? 0
    let lines = try readLog(RunFile.events, from: start)
    update.events = try Self.events(in: lines, file: file(RunFile.events).path)
    update.offsets.bytes[RunFile.events] = start + lines.count
    return update
  }

  private func followed<Record: CSVRecord>(
    _: Record.Type, in name: String, _ offsets: inout RunLogOffsets
  ) throws -> [Record] {
    let start = offsets.bytes[name] ?? 0
    let lines = try readLog(name, from: start)
    offsets.bytes[name] = start + lines.count
    return try CSV.read(
      Record.self, from: lines, file: file(name).path, checkHeader: start == 0, ignoreUnfinished: true)
  }

  private func size(of name: String) -> Int {
    var information = stat()
    return stat(file(name).path, &information) == 0 ? Int(information.st_size) : 0
  }

  /// The finished lines of a log from a byte offset on; empty when there is no such file.
  func readLog(_ name: String, from offset: Int) throws -> Data {
    let path = file(name).path
    let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return Data() }
      throw RunStoreError.system("read", path, code: errno)
    }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    do {
      try handle.seek(toOffset: UInt64(max(0, offset)))
      let data = try handle.readToEnd() ?? Data()
      guard let end = data.lastIndex(of: 0x0A) else { return Data() }
      return Data(data[...end])
    } catch {
      throw RunStoreError("Cannot read \(path): \(error).", remedy: "Check the disk and try again.")
    }
  }

  static func events(in data: Data, file: String) throws -> [RunEvent] {
    try data.split(separator: 0x0A).enumerated().map { number, line in
      try RunJSON.decode(RunEvent.self, from: Data(line), at: "\(file):\(number + 1)")
    }
  }
}
