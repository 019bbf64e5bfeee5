// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How a run ended for one group of examples: a line of `runs.csv`, which outlives the runs it is about.
public struct EndRecord: Sendable, Equatable {
  /// The run's name.
  public var run: String
  /// Its seed.
  public var seed: UInt64
  /// Whether it is complete, diverged, or was never finished.
  public var status: RunManifest.Status
  /// Seconds of training, evaluations and probes, in all attempts; nil for a run that was not stopped in order.
  public var wallSeconds: Double?
  /// Seconds of processors in them, which pauses and neighbours do not lengthen; nil also for a run of an older program.
  public var processorSeconds: Double?
  /// Loss and accuracy at the run's last evaluation.
  public var metrics: MetricRecord

  /// One record for every group that was evaluated, in the order of `metrics.csv`.
  ///
  /// - Parameters:
  ///   - directory: the run directory.
  ///   - name: how the run is to be called.
  /// - Throws: `RunStoreError` when the run cannot be read.
  public static func ends(of directory: RunDirectory, name: String) throws -> [EndRecord] {
    let manifest = try directory.manifest()
    let metrics = try directory.log(MetricRecord.self)
    let last = metrics.map(\.step).max()
    return metrics.filter { $0.step == last }.map {
      EndRecord(
        run: name, seed: manifest.seed, status: manifest.status, wallSeconds: manifest.summary?.wallSeconds,
        processorSeconds: manifest.summary?.processorSeconds, metrics: $0)
    }
  }

  /// Records as the text of a CSV file.
  public static func table(_ records: [EndRecord]) -> String {
    columns.joined(separator: ",") + "\n" + records.map(\.line).joined()
  }
}

extension EndRecord {
  static let columns = ["run", "seed", "status", "wall_seconds", "processor_seconds"] + MetricRecord.schema.names

  private var line: String {
    ([run.cell, "\(seed)", status.rawValue, wallSeconds.cell, processorSeconds.cell].map(CSV.quoted)
      + [CSV.lines([metrics])]).joined(separator: ",")
  }
}
