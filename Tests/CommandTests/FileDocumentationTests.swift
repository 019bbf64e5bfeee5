// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import Testing

@testable import Charts
@testable import RunStore
@testable import Runs
@testable import Training
@testable import coherent

/// docs/files.md against the code.
@Suite struct FileDocumentationTests {
  let text: String

  init() throws {
    let root = try #require(Program.root)
    text = try String(contentsOf: root.appendingPathComponent("docs/files.md"), encoding: .utf8)
  }

  /// The first cells of the table below a heading, without their marks.
  func columns(of heading: String) -> [String] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard let start = lines.firstIndex(of: "### `\(heading)`") else { return [] }
    let section = lines[(start + 1)...].prefix { !$0.hasPrefix("#") }
    let table = section.drop { !$0.hasPrefix("| column |") }.dropFirst(2).prefix { $0.hasPrefix("|") }
    return table.map { $0.split(separator: "|")[0].filter { $0 != "`" && $0 != " " } }
  }

  @Test func everyColumnIsExplained() throws {
    func all<Record: CSVRecord>(_: Record.Type) -> [String] { Record.schema.names + Record.schema.trailing }
    let expected = [
      "metrics.csv": all(MetricRecord.self), "labels.csv": all(LabelRecord.self), "classes.csv": all(ClassRecord.self),
      "examples.csv": all(ExampleRecord.self), "skipped.csv": all(SkippedRecord.self),
      "coherence.csv": all(CoherenceRecord.self), "coherence-intervals.csv": all(CoherenceIntervalRecord.self),
      "contributions.csv": all(ContributionRecord.self), "measures.csv": all(MeasureRecord.self),
      "prediction-changes.csv": all(PredictionChangesRecord.self),
      "measured/NAME.csv": all(QuantityRecord.self), "runs.csv": EndRecord.columns,
      "figures/ID.csv": Figure.tableColumns, "predict --out": Predict.columns,
      "--records": ExampleGradients.columns + ["file"],
      "--split FILE.csv": ExampleSplit.columns, "suspects.csv": SuspectTable.columns,
      "corrections.csv": all(CorrectionRecord.self),
    ]
    for (heading, names) in expected { #expect(columns(of: heading) == names, "\(heading)") }
  }

  @Test func everyFileIsNamed() {
    let files =
      RunFile.logs + [
        RunFile.config, RunFile.manifest, RunFile.labels, RunFile.classes, RunFile.examples, RunFile.skipped,
        RunFile.checkpoints + "/", RunFile.exampleGradients + "/", RunFile.report, RunFile.figures + "/", RunFile.lock,
        RunFile.tensorBoardPrefix + "*", AuditFile.record, AuditFile.suspects, AuditFile.neighbours,
        AuditFile.corrections, AuditFile.page,
      ]
    for file in files { #expect(text.contains("| `\(file)` |"), "\(file)") }
  }

  /// The bundles are the same here, in the page and in the help.
  @Test func bundlesOfProbes() throws {
    let help = try Program.run(["train", "--help"]).output.split { $0.isWhitespace }.joined(separator: " ")
    for (word, probes) in ProbeSpecification.presets {
      #expect(text.contains("| `\(word)` | \(probes.map { "`\($0)`" }.joined(separator: ", ")) |"), "\(word)")
      let sentence =
        probes.count == 1 ? probes[0] : probes.dropLast().joined(separator: ", ") + " and " + (probes.last ?? "")
      #expect(help.contains("\(word) is \(sentence)"), "\(word)")
    }
  }
}
