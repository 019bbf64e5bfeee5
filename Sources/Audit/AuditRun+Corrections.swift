// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

extension AuditRun {
  /// Corrections to train with: those that a person has made, or what the audit itself would do.
  public struct WrittenCorrections: Sendable {
    /// The file.
    public let file: URL
    /// How many examples are left out, and how many get another label.
    public let dropped, relabelled: Int
    /// Whether a person has decided.
    public let isByHand: Bool
  }

  /// The probability of an error, and the mean prediction of the suggested class, from which on a flagged label is
  /// replaced rather than left out.
  static let relabelling = (posterior: 0.9, prediction: 0.5)

  /// The folder's corrections.csv where it has decisions; otherwise flagged.csv beside it, in which flagged labels are
  /// replaced where the suggestion is clear, and their examples left out otherwise.
  ///
  /// - Parameter directory: the folder of the audit.
  /// - Throws: `RunStoreError` when decisions cannot be read, or the disk is full.
  public func writeCorrections(to directory: AuditDirectory) throws -> WrittenCorrections {
    let names = model.dataset.classNames
    let files = model.dataset.file(at: 0).map { _ in model.labels.indices.map { model.dataset.file(at: $0) } }
    let examples = LabelledExamples(classes: names, labels: model.labels, files: files)
    let decided = try Corrections.read(directory.corrections, for: examples).decided
    func count(_ decision: LabelDecision) -> Int { decided.values.count { $0.decision == decision } }
    if !decided.isEmpty {
      return WrittenCorrections(
        file: directory.corrections, dropped: count(.drop), relabelled: count(.relabel), isByHand: true)
    }
    let records = analysis.order.prefix(analysis.flagged).map { row -> CorrectionRecord in
      let index = index(of: row)
      let suggested = analysis.suggested[row]
      let prediction = analysis.evidence.dynamics.meanProbabilities(of: row)[suggested]
      let isClear =
        analysis.estimate.probabilities[row] >= Self.relabelling.posterior && prediction >= Self.relabelling.prediction
      return CorrectionRecord(
        index: index, file: model.dataset.file(at: index), given: names[model.labels[index]],
        decision: isClear ? .relabel : .drop, label: isClear ? names[suggested] : nil)
    }
    let file = directory.url.appendingPathComponent("flagged.csv")
    try Corrections.write(records, to: file)
    let relabelled = records.count { $0.decision == .relabel }
    return WrittenCorrections(
      file: file, dropped: records.count - relabelled, relabelled: relabelled, isByHand: false)
  }
}
