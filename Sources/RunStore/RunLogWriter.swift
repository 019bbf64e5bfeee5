// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How long every append-only log of a run was at one moment; a checkpoint keeps it, and resuming cuts the logs back.
public struct RunLogOffsets: Codable, Sendable, Equatable {
  /// Bytes by file name, such as `metrics.csv`; the TensorBoard event file is among them.
  public var bytes: [String: Int]

  /// Offsets from bytes by file name.
  public init(bytes: [String: Int] = [:]) {
    self.bytes = bytes
  }
}

/// Appends to the logs of a run: `metrics.csv`, `coherence.csv`, `events.jsonl` and a TensorBoard event file; and
/// `coherence-intervals.csv`, `contributions.csv`, `measures.csv` and `push.csv`, each of which exists only once it has a record.
///
/// Every method throws `RunStoreError` when the disk is full or a log cannot be written to; the record that failed is
/// taken back, so the logs stay readable. One writer per run at a time, used from one thread at a time.
public final class RunLogWriter {
  private let metrics: AppendOnlyFile
  private let coherence: AppendOnlyFile
  private let events: AppendOnlyFile
  private let tensorBoard: AppendOnlyFile
  private let intervals: LazyLog
  private let contributions: LazyLog
  private let measures: LazyLog
  private let pushes: LazyLog
  private var lazyLogs: [LazyLog] { [intervals, contributions, measures, pushes] }
  private var files: [AppendOnlyFile] { [metrics, coherence, events, tensorBoard] + lazyLogs.compactMap(\.file) }

  /// Opens the logs in a folder; those that are empty get their header.
  init(folder: URL, tensorBoardFile: String) throws {
    metrics = try AppendOnlyFile(folder.appendingPathComponent(RunFile.metrics))
    coherence = try AppendOnlyFile(folder.appendingPathComponent(RunFile.coherence))
    events = try AppendOnlyFile(folder.appendingPathComponent(RunFile.events))
    tensorBoard = try AppendOnlyFile(folder.appendingPathComponent(tensorBoardFile))
    intervals = try LazyLog(folder.appendingPathComponent(RunFile.intervals))
    contributions = try LazyLog(folder.appendingPathComponent(RunFile.contributions))
    measures = try LazyLog(folder.appendingPathComponent(RunFile.measures))
    pushes = try LazyLog(folder.appendingPathComponent(RunFile.pushes))
    if metrics.size == 0 { try metrics.append(CSV.header(MetricRecord.self)) }
    if coherence.size == 0 { try coherence.append(CSV.header(CoherenceRecord.self)) }
    if tensorBoard.size == 0 {
      try tensorBoard.append(TensorBoard.versionRecord(wallTime: Date().timeIntervalSince1970))
    }
  }

  /// Appends lines to `metrics.csv` and their numbers to TensorBoard, as `loss/train`, `accuracy/train/pristine`, ...
  public func append(_ records: [MetricRecord]) throws {
    guard !records.isEmpty else { return }
    try metrics.append(CSV.lines(records))
    try scalars(
      records.flatMap { record in
        let place = record.group == "all" ? record.split : "\(record.split)/\(record.group)"
        let values = [("loss", record.loss), ("accuracy", record.accuracy1), ("accuracy5", record.accuracy5)]
        return values.map { name, value in ("\(name)/\(place)", value, record.step) }
      })
  }

  /// Appends lines to `coherence.csv` and their numbers to TensorBoard, as `alpha/train`, `m_coherence/train/LAYER`, ...
  public func append(_ records: [CoherenceRecord]) throws {
    guard !records.isEmpty else { return }
    try coherence.append(CSV.lines(records))
    try scalars(
      records.flatMap { record in
        let place = record.layer == "all" ? record.split : "\(record.split)/\(record.layer)"
        let values = [
          ("alpha", record.alpha), ("m_coherence", record.mCoherence), ("alpha_unbiased", record.alphaUnbiased),
          ("share", record.share),
        ]
        return values.map { name, value in ("\(name)/\(place)", value, record.step) }
      })
  }

  /// Appends lines to `contributions.csv`, which the first of them create, and the numbers of the actual designations
  /// to TensorBoard, as `f_pristine/paper`, `i_corrupt/population`, ...
  public func append(_ records: [ContributionRecord]) throws {
    guard !records.isEmpty else { return }
    try contributions.append(records)
    try scalars(
      records.filter { $0.world == 0 }.flatMap { record in
        let values = [
          ("f_pristine", record.pristineShare), ("f_corrupt", record.corruptShare),
          ("i_pristine", record.pristineCumulative), ("i_corrupt", record.corruptCumulative),
        ]
        return values.map { name, value in ("\(name)/\(record.sample)", value, record.step) }
      })
  }

  /// Appends lines to `coherence-intervals.csv`, which the first of them create.
  public func append(_ records: [CoherenceIntervalRecord]) throws {
    guard !records.isEmpty else { return }
    try intervals.append(records)
  }

  /// Appends lines to `measures.csv`, which the first of them create, and their numbers to TensorBoard, as
  /// `noise_scale/train`, ...
  public func append(_ records: [MeasureRecord]) throws {
    guard !records.isEmpty else { return }
    try measures.append(records)
    try scalars(records.map { ("\($0.measure)/\($0.split)", $0.value, $0.step) })
  }

  /// Appends lines to `push.csv`, which the first of them create.
  public func append(_ records: [PushRecord]) throws {
    guard !records.isEmpty else { return }
    try pushes.append(records)
  }

  /// Appends a line to `events.jsonl`.
  public func append(_ event: RunEvent) throws {
    try events.append(RunJSON.encoder(pretty: false).encode(event) + Data("\n".utf8))
  }

  /// Appends a number to the TensorBoard event file alone.
  public func scalar(_ tag: String, _ value: Double, step: Int) throws {
    try scalars([(tag, value, step)])
  }

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
    for log in lazyLogs { log.close() }
    for file in files {
      try file.synchronize()
      try file.close()
    }
  }
}
