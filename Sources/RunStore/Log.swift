// SPDX-License-Identifier: Apache-2.0

/// A record that is one line of an append-only log of a run.
public protocol LogRecord: CSVRecord {
  /// The log.
  static var log: Log<Self> { get }
  /// Optimizer steps so far.
  var step: Int { get }
}

/// An append-only log of a run: what writing, reading, following and resuming it need to know.
public struct Log<Record: LogRecord>: Sendable {
  /// The file's name, such as `measures.csv`.
  public let file: String
  /// Whether every run has the file; otherwise the first record makes it.
  let isInEveryRun: Bool
  /// The numbers of a record for TensorBoard, by tag; those without a value are left out.
  let scalars: @Sendable (Record) -> [(tag: String, value: Double?)]

  /// A log from its parts. The file of a log of one's own has a name that ends in `.log.csv`, by which resuming knows it.
  public init(
    _ file: String, isInEveryRun: Bool = false,
    scalars: @escaping @Sendable (Record) -> [(tag: String, value: Double?)] = { _ in [] }
  ) { (self.file, self.isInEveryRun, self.scalars) = (file, isInEveryRun, scalars) }
}

/// The logs that runs have.
let logRecordTypes: [any LogRecord.Type] = [
  MetricRecord.self, CoherenceRecord.self, CoherenceIntervalRecord.self, ContributionRecord.self, MeasureRecord.self,
  PushRecord.self, PredictionChangesRecord.self,
]

extension LogRecord { static var file: String { log.file } }
