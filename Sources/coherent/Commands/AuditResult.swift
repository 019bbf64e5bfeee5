// SPDX-License-Identifier: Apache-2.0

import Audit
import Foundation
import RunStore

/// What `audit` prints.
struct AuditResult: Encodable {
  /// A second training on corrected labels.
  struct Retrained: Encodable {
    let dropped, relabelled: Int
    let isByHand: Bool
    let testAccuracy: Double?
  }

  struct Suspect: Encodable {
    let index: Int
    let file: String?
    let given, suggested: String
    let suspicion: Double
  }

  let audit, page: String
  let count, flagged: Int
  let errors, low, high: Double
  let first: [Suspect]
  let judgements: [ScoreJudgement]
  /// At the last evaluation of the audit's own training.
  let testAccuracy: Double?
  let retrained: Retrained?

  init(
    _ run: AuditRun, _ directory: AuditDirectory, _ judgements: [ScoreJudgement], _ testAccuracy: Double?,
    _ retrained: Retrained?
  ) {
    (audit, page) = (directory.url.path, directory.page.path)
    (count, flagged) = (run.analysis.order.count, run.analysis.flagged)
    let estimate = run.analysis.estimate
    (errors, low, high) = (estimate.errors, estimate.low, estimate.high)
    let names = run.model.dataset.classNames
    first = run.suspects.prefix(10).map {
      Suspect(
        index: $0.index, file: $0.file, given: names[$0.given], suggested: names[$0.suggested], suspicion: $0.suspicion)
    }
    (self.judgements, self.testAccuracy, self.retrained) = (judgements, testAccuracy, retrained)
  }

  var text: String {
    var lines = [
      String(
        format: "About %.0f of %d labels are probably wrong (%.0f to %.0f); %d are flagged.", errors, count, low, high,
        flagged), "",
      Console.table(
        [["rank", "example", "given", "suggested"]]
          + first.enumerated().map { ["\($0 + 1)", $1.file ?? "\($1.index)", $1.given, $1.suggested] }), "",
    ]
    if !judgements.isEmpty {
      func cell(_ estimate: ScoreJudgement.Estimate) -> String {
        String(format: "%.4f (%.4f to %.4f)", estimate.value, estimate.low, estimate.high)
      }
      lines += [
        Console.table(
          [["against the right labels", "AUROC", "average precision", "precision at their number"]]
            + judgements.map {
              [$0.name, cell($0.auroc), cell($0.averagePrecision), cell($0.precisionAtTrueNumber)]
            }), "",
      ]
    }
    if let retrained {
      let source = retrained.isByHand ? "corrections.csv" : "the flagged labels"
      lines += [
        "Test accuracy at the last step \(Console.percent(testAccuracy)), and \(Console.percent(retrained.testAccuracy)) "
          + "after \(retrained.dropped) examples were left out and \(retrained.relabelled) relabelled (by \(source)).",
        "",
      ]
    }
    return (lines + ["Suspects: \(audit)/suspects.csv", "Page: \(page)"]).joined(separator: "\n")
  }
}
