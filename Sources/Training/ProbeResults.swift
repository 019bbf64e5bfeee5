// SPDX-License-Identifier: Apache-2.0

import Coherence
import NeuralNetworks
import RunStore

/// What the probes due at one step found: records for logs, by their type.
public struct ProbeResults: Sendable {
  private var tables: [(file: String, records: any Sendable, append: @Sendable (RunLogWriter) throws -> Void)] = []
  /// How every example's gradient stands to the mean; nil when it was not looked at.
  public var examples: ExampleGradients?
  /// What training showed of every example; nil before the end, and when nobody kept it.
  public var dynamics: TrainingDynamics?

  /// Nothing found.
  public init() {}

  /// Whether nothing was found.
  public var isEmpty: Bool { tables.isEmpty && examples == nil && dynamics == nil }

  /// The records of a type, in the order in which they were found.
  public subscript<Record: LogRecord>(_: Record.Type) -> [Record] {
    tables.first { $0.file == Record.log.file }?.records as? [Record] ?? []
  }

  /// Takes in records.
  public mutating func add<Record: LogRecord>(_ records: [Record]) {
    guard !records.isEmpty else { return }
    let all = self[Record.self] + records
    let append: @Sendable (RunLogWriter) throws -> Void = { try $0.append(all) }
    let entry = (file: Record.log.file, records: all as any Sendable, append: append)
    if let place = tables.firstIndex(where: { $0.file == entry.file }) {
      tables[place] = entry
    } else {
      tables.append(entry)
    }
  }

  /// Writes the records to their logs.
  ///
  /// - Throws: `RunStoreError` when the disk is full.
  public func write(to log: RunLogWriter) throws { for table in tables { try table.append(log) } }

  /// Takes in measures under their names; those that are undefined or infinite have no line.
  public mutating func add(_ values: [(name: String, value: Double?)], step: Int, split: String, m: Int) {
    add(
      values.compactMap { name, value -> MeasureRecord? in
        guard let value, value.isFinite else { return nil }
        return MeasureRecord(step: step, split: split, measure: name, m: m, value: value)
      })
  }
}

extension CoherenceResult {
  private var whole: [LayerCoherence] { [network] + layers }

  /// α and r of parts of layers that were asked for, by name: no layers, so that they are measures.
  var partMeasures: [(name: String, value: Double?)] {
    parts.flatMap { part in
      [("alpha:\(part.layer)", part.coherence.alpha), ("m_coherence:\(part.layer)", part.coherence.mCoherence)]
    }
  }

  /// The lines of coherence.csv: the network under "all", then its layers.
  func records(step: Int, split: String, policy: BatchNormPolicy) -> [CoherenceRecord] {
    whole.map { part in
      CoherenceRecord(
        step: step, split: split, layer: part.layer, m: part.coherence.m, alpha: part.coherence.alpha,
        mCoherence: part.coherence.mCoherence, alphaUnbiased: part.coherence.alphaUnbiased, share: part.share,
        batchNormPolicy: policy.rawValue)
    }
  }

  /// The lines of coherence-intervals.csv, for the parts that have an interval.
  func intervalRecords(step: Int, split: String) -> [CoherenceIntervalRecord] {
    whole.enumerated().compactMap { place, part in
      guard let unbiased = part.unbiasedInterval, let mCoherence = part.mCoherenceInterval else { return nil }
      return CoherenceIntervalRecord(
        step: step, split: split, layer: part.layer, m: part.coherence.m, alphaUnbiasedLow: unbiased.low,
        alphaUnbiasedHigh: unbiased.high, mCoherenceLow: mCoherence.low, mCoherenceHigh: mCoherence.high,
        mCoherenceFromBatches: place == 0 ? fromBatches : nil)
    }
  }
}
