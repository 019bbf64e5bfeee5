// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Reports
import RunStore
import Testing
import TestSupport

@testable import Studies

/// A run directory with chosen groups, probes and measures.
private struct SampleCell: Sendable {
  typealias Value = @Sendable (Int) -> Double

  var noise = 0.0
  var optimizer = "sgd"
  var model = "mlp:256"
  var seed: UInt64 = 1
  var batchSize = 100
  var steps = 1000
  var extra: [String: String] = [:]
  /// Accuracy by split and group, such as `train/all`.
  var accuracy: [String: Value] = [:]
  var coherence: [String: Value] = [:]
  var measures: [String: Value] = [:]

  static let places = [0, 1, 3, 10, 30, 100, 300, 1000]

  func write(in scratch: Scratch) throws -> RunDirectory {
    let run = try RunDirectory.create(
      at: scratch.url.appendingPathComponent("cell-\(UUID().uuidString)").path, existing: .refuse)
    let log = try run.logWriter()
    for step in Self.places where step <= steps {
      try log.append(
        accuracy.sorted { $0.key < $1.key }.map { key, value in
          let parts = key.split(separator: "/").map(String.init)
          return MetricRecord(
            epoch: Double(step) / 100, step: step, split: parts[0], group: parts[1], count: 100,
            loss: 2.3 * (1 - value(step)) + 0.01, accuracy1: value(step))
        })
      let probes = (coherence.isEmpty ? [] : Array(0...9).map { step + $0 }).filter { $0 <= steps }
      for place in probes {
        try log.append(
          coherence.sorted { $0.key < $1.key }.flatMap { split, value in
            ["all", "fc1", "fc2"].map {
              CoherenceRecord(
                step: place, split: split, layer: $0, m: 100, alpha: value(place) / 100, mCoherence: value(place),
                share: $0 == "all" ? 1 : 0.5, batchNormPolicy: "none")
            }
          })
      }
      try log.append(
        measures.sorted { $0.key < $1.key }.map {
          MeasureRecord(step: step, split: "train", measure: $0.key, m: 100, value: $0.value(step))
        })
    }
    try log.close()
    try run.write(
      manifest: RunManifest(
        tool: .init(version: "0.1.0"), commandLine: ["coherent"], seed: seed,
        dataset: .init(name: "mnist", trainExamples: 10_000, classes: 10), model: model, optimizer: optimizer,
        learningRate: 0.1, batchSize: batchSize, plannedSteps: steps,
        noise: .init(kind: noise > 0 ? "permute" : "none", rate: noise, realisedRate: noise * 0.9, seed: seed),
        status: .completed, extra: extra))
    return run
  }
}

/// The figures of the studies from run directories and measurements.
@Suite struct FigureTests {
  private struct Line: Equatable {
    let panel, series: String
    let x: String
    let y, low, high: Double?
  }

  private static func cell(_ noise: Double, seed: UInt64 = 1, _ change: (inout SampleCell) -> Void = { _ in })
    -> SampleCell
  {
    let lift = Double(seed) * 0.01
    var cell = SampleCell(
      noise: noise, seed: seed,
      accuracy: [
        "train/all": { 0.1 + 0.8 * rise($0, at: 30 + 200 * noise) + lift },
        "test/all": { 0.1 + (0.8 - 0.5 * noise) * rise($0, at: 30) + lift },
        "train/pristine": { 0.1 + 0.85 * rise($0, at: 30) },
      ])
    if noise > 0 { cell.accuracy["train/corrupt"] = { 0.05 + 0.8 * rise($0, at: 300) } }
    change(&cell)
    return cell
  }

  private func figures(
    _ id: String, _ cells: [SampleCell], measurements: [(name: String, values: [String: Double])] = []
  ) throws -> [Figure] {
    let scratch = try Scratch()
    let figures = try StudyFigures.figures(
      for: id, runs: cells.map { try $0.write(in: scratch) }, measurements: measurements)
    #expect(Set(figures.map(\.id)).count == figures.count && figures.allSatisfy { !$0.caption.isEmpty })
    if let folder = ProcessInfo.processInfo.environment["COHERENT_SAMPLE_FIGURES"] {
      try leaveSample(of: id, figures, in: URL(fileURLWithPath: folder))
    }
    return figures
  }

  /// Pictures and a page to look at.
  private func leaveSample(of id: String, _ figures: [Figure], in folder: URL) throws {
    try Figure.export(
      figures, to: folder.appendingPathComponent("figures"), formats: [.svg, .png, .pdf], withTables: true)
    let page = StudyPage(
      id: id, title: "A sample of \(id)", question: "Does the page look right?", paper: "A paper", section: "§1",
      profile: "smoke", scale: "made-up runs", verdicts: [], figures: figures, cells: [], machine: [], command: [])
    try page.write(to: folder.appendingPathComponent(id.replacingOccurrences(of: "/", with: "-") + ".html"))
  }

  private func figure(_ id: String, in figures: [Figure]) throws -> [Line] {
    let found = try #require(figures.first { $0.id == id }, "\(figures.map(\.id))")
    return found.csv.split(separator: "\n").dropFirst().map { line in
      var cells: [String] = [""]
      var isQuoted = false
      for character in line {
        if character == "\"" {
          isQuoted.toggle()
        } else if character == ",", !isQuoted {
          cells.append("")
        } else {
          cells[cells.count - 1].append(character)
        }
      }
      return Line(
        panel: cells[0], series: cells[1], x: cells[2], y: Double(cells[3]), low: Double(cells[4]),
        high: Double(cells[5]))
    }
  }

  private func names(_ lines: [Line], _ key: KeyPath<Line, String>) -> [String] {
    unique(lines.map { $0[keyPath: key] })
  }

  private func expectEqual(
    _ value: Double?, _ expected: Double, at location: SourceLocation = #_sourceLocation
  ) throws {
    let difference = try #require(value, sourceLocation: location) - expected
    #expect(abs(difference) < 1e-9, sourceLocation: location)
  }

  @Test func unknownStudiesAreNamed() {
    #expect(throws: StudyError.self) { try StudyFigures.figures(for: "cg/nothing", runs: []) }
    #expect(StudyFigures.studies.count == 29)
  }

  /// A page says what it ran on, which need not be the paper's data.
  @Test func titlesNameTheData() {
    #expect(StudyReport.title("Label noise on MNIST", ranOn: ["digits", "digits"]) == "Label noise on built-in digits")
    #expect(StudyReport.title("Label noise on MNIST", ranOn: ["mnist"]) == "Label noise on MNIST")
    #expect(StudyReport.title("Early stopping", ranOn: ["cifar10"]) == "Early stopping: CIFAR-10")
    #expect(
      StudyReport.title("Early stopping", ranOn: ["mnist", "digits"]) == "Early stopping: built-in digits and MNIST")
    #expect(StudyReport.title("Grokking", ranOn: ["modular:11"]) == "Grokking: sums modulo 11")
    #expect(StudyReport.title("The linear example", ranOn: []) == "The linear example")
  }

  @Test(arguments: StudyFigures.studies)
  func withoutDataThereIsNoFigure(_ id: String) throws {
    #expect(try StudyFigures.figures(for: id, runs: []).isEmpty)
  }

  @Test func labelNoiseHasThePanelsOfFigureOne() throws {
    let cells = [0, 0.5].map { noise in
      Self.cell(noise) { $0.measures["gradient_norm2"] = { step in (2 - noise) / Double(1 + step) } }
    }
    let figures = try figures("cg/label-noise", cells)
    let lines = try figure("label-noise", in: figures)
    #expect(
      names(lines, \.panel) == [
        "Training accuracy", "Test accuracy", "Training loss", "Pristine learned", "Corrupt learned", "Overfit",
      ])
    #expect(names(lines, \.series) == ["0 % noise", "50 % noise"])
    #expect(Set(lines.filter { $0.panel == "Corrupt learned" }.map(\.series)) == ["50 % noise"])
    let norms = try figure("early-gradient-norm", in: figures)
    #expect(norms.filter { $0.panel == "By step" && $0.series == "0 % noise" }.map(\.x) == ["0", "1", "3", "10"])
    let measured = norms.first { $0.series == "measured by the probe" && $0.x == "0" }?.y
    let expected: Double = (2 + 1 + 0.5 + 2.0 / 11) / 4
    try expectEqual(measured, expected)
    // −ΔL/(η·Δt) over ten steps at rate 0.1.
    let slope = norms.first { $0.series == "from the loss slope" && $0.x == "0" }?.y
    let start = Self.cell(0).accuracy["train/all"]
    let accuracy = try #require(start)
    let gained = accuracy(10) - accuracy(0)
    try expectEqual(slope, 2.3 * gained)
  }

  @Test func seedsAreAveragedWithTheirRange() throws {
    let lines = try figure("label-noise", in: figures("cg/label-noise", [1, 2, 3].map { Self.cell(0, seed: $0) }))
    let end = try #require(lines.first { $0.panel == "Test accuracy" && $0.x == "1000" })
    let base = 0.1 + 0.8 * rise(1000, at: 30)
    try expectEqual(end.y, base + 0.02)
    try expectEqual(end.low, base + 0.01)
    try expectEqual(end.high, base + 0.03)
  }

  @Test func aSeedThatIsNotDoneDoesNotBendTheMean() throws {
    let cells = [Self.cell(0), Self.cell(0, seed: 2) { $0.steps = 100 }]
    let lines = try figure("label-noise", in: figures("cg/label-noise", cells))
    #expect(lines.filter { $0.panel == "Test accuracy" }.map(\.x).last == "100")
  }

  @Test func winsorizedGridsHaveRowsForC() throws {
    let cells = [0, 0.5].flatMap { noise in
      ["sgd", "winsorized:c=2"].map { word in Self.cell(noise) { $0.optimizer = word } }
    }
    let figures = try figures("cg/winsorized", cells)
    let lines = try figure("winsorized-grid", in: figures)
    #expect(
      names(lines, \.panel) == ["c = 0, 0 % noise", "c = 0, 50 % noise", "c = 2, 0 % noise", "c = 2, 50 % noise"])
    #expect(names(lines, \.series) == ["training accuracy", "test accuracy", "overfit"])
    #expect(Set(try figure("winsorized-by-clipping", in: figures).map(\.series)).contains("50 % noise, test"))
    let cifar = try self.figures(
      "ws/winsorized-cifar",
      cells.map { cell in
        var changed = cell
        if cell.optimizer != "sgd" { changed.optimizer = "winsorized:s=4" }
        return changed
      })
    #expect(names(try figure("winsorized-cifar", in: cifar), \.panel).last == "50 % noise, s = 4")
  }

  @Test func robustMeansAreComparedWithSGD() throws {
    let cells = [0, 0.5].flatMap { noise in
      ["sgd", "rm3", "m3"].flatMap { word in [1, 2].map { Self.cell(noise, seed: $0) { $0.optimizer = word } } }
    }
    let figures = try figures("ws/robust-means", cells)
    let lines = try figure("robust-means", in: figures)
    #expect(names(lines, \.panel) == ["RM3, 0 % noise", "RM3, 50 % noise", "M3, 0 % noise", "M3, 50 % noise"])
    #expect(
      names(lines.filter { $0.panel.hasPrefix("M3") }, \.series) == [
        "M3, train", "M3, test", "SGD, train", "SGD, test",
      ])
    #expect(lines.contains { $0.x == "10" } && !lines.contains { $0.x == "1000" })
    let bars = try figure("final-gaps", in: figures)
    #expect(bars.filter { $0.panel == "50 % noise" }.map(\.x) == ["SGD", "RM3", "M3"])
    #expect(names(try figure("pristine-and-corrupt", in: figures), \.series) == ["pristine", "corrupt", "test"])
    #expect(try self.figures("gm/m3", cells).map(\.id) == ["m3-pristine-and-corrupt", "final-gaps"])
  }

  @Test func mediansAreComparedWithMeans() throws {
    let runs = [0, 0.5].map { noise in
      Self.cell(noise) {
        $0.optimizer = "m3"
        $0.measures = ["median_along_mean": { _ in 1.2 }, "median_norm_ratio": { _ in 0.9 }]
      }
    }
    let lines = try figure("median-against-mean", in: figures("ws/robust-means", runs))
    #expect(lines.first?.y == 1.2 && lines.last?.y == 0.9 && lines.last?.series == "M3, 50 % noise")
  }

  @Test func claimsHaveTheirFigures() throws {
    let figures = try figures("ws/robust-means", [Self.cell(0) { $0.optimizer = "rm3" }])
    #expect(StudyFigures.figures(about: "WS-2", among: figures) == ["robust-means", "final-gaps"])
    #expect(StudyFigures.figures(about: "XY-1", among: figures).isEmpty)
    // Laws that hold to rounding have their numbers on the score card and nothing to draw.
    let drawn = Set(ScoreCard.claims.map(\.id)).subtracting(["GM-1", "WS-4"])
      .subtracting(StudyCatalog.own.flatMap(\.claims))
    #expect(drawn.isSubset(of: ClaimFigures.ids.keys))
  }

  @Test func gapsAreShownByBatchSize() throws {
    let cells = [33, 330, 3300].flatMap { size in
      ["sgd", "rm3"].map { word in
        Self.cell(0.5) {
          $0.optimizer = word
          $0.batchSize = size
        }
      }
    }
    let lines = try figure("batch-size", in: figures("ws/batch-size", cells))
    #expect(lines.filter { $0.series == "RM3" && $0.panel.hasPrefix("Overfit") }.map(\.x) == ["33", "330", "3300"])
  }

  @Test func easyAndHardExamplesAreATable() throws {
    let cells = ["easy", "hard"].map { part in
      Self.cell(0) {
        $0.extra["split"] = part
        $0.accuracy["train/\(part)"] = { _ in 0.9 }
        $0.accuracy["test/easy"] = { _ in part == "easy" ? 0.85 : 0.44 }
        $0.accuracy["test/hard"] = { _ in part == "easy" ? 0.17 : 0.21 }
      }
    }
    let figures = try figures("ws/easy-hard", cells)
    let table = try figure("cross-generalization", in: figures)
    #expect(table.map(\.y) == [0.85, 0.17, 0.44, 0.21] && table.map(\.x) == ["easy", "hard", "easy", "hard"])
    let curves = try figure("easy-hard", in: figures)
    #expect(names(curves, \.series).contains("hard test examples, test"))
  }

  @Test func difficultyIsInBarsWithCounts() throws {
    let run = Self.cell(0) { cell in
      cell.optimizer = "rm3"
      for level in 0...8 { cell.accuracy["train/difficulty-\(level)"] = { _ in 1 - 0.04 * Double(level) } }
    }
    let figures = try figures("ws/difficulty", [run])
    let bars = try figure("difficulty", in: figures)
    #expect(bars.filter { $0.series == "Training accuracy" }.map(\.x) == (0...8).map(String.init))
    #expect(bars.filter { $0.series.hasSuffix("expected") }.compactMap(\.y) == DifficultyFigures.paper)
    #expect(figures[0].specification.contains("\"note\":\"100\""))
  }

  @Test func coherenceIsShownByNoiseModelEpochAndLoss() throws {
    let cells = ["mlp:256", "mlp:512"].flatMap { model in
      [0, 1].map { noise in
        Self.cell(noise) {
          $0.model = model
          $0.coherence = ["train": { 1 + 50 * exp(-Double($0) / 5) }, "test": { _ in 3 }]
          $0.measures = ["gsnr_mean": { _ in 0.1 }, "stability_log_sum": { Double($0) }]
        }
      }
    }
    let evolution = try figures("mc/evolution", cells)
    #expect(names(try figure("coherence-evolution", in: evolution), \.panel).first == "mlp:256, training sample")
    #expect(evolution.count { $0.id.hasPrefix("coherence-by-layer") } == 4)
    let both = try figure("coherence-real-random", in: figures("gm/coherence", Array(cells.prefix(2))))
    #expect(names(both, \.panel).contains("random labels, by training loss"))
    let growth = try figures(
      "mc/measures", cells,
      measurements: [("m-coherence", ["seconds_m_1000": 0.1, "seconds_m_2000": 0.2, "peak_bytes_m_1000": 1_048_576])])
    #expect(names(try figure("related-measures", in: growth), \.panel) == ["m-coherence", "Signal to noise (GSNR)"])
    let cost = try figure("cost-by-m", in: growth)
    #expect(
      cost.map(\.x) == ["1000", "2000", "1000"] && cost.map(\.y) == [0.1, 0.2, 1] && cost[0].series == "coherence")
    #expect(try figure("stability-sum", in: figures("gm/stability-bound", cells)).last?.y == 1000)
  }

  @Test func startsAndShapesAreCompared() throws {
    let starts = [Self.cell(0), Self.cell(0) { $0.extra["weights"] = "model" }, Self.cell(1)]
    let lines = try figure("adversarial-start", in: figures("gm/adversarial-init", starts))
    #expect(names(lines, \.series) == ["fresh start", "start from random labels"])
    let shapes = ["mlp:64", "mlp:128", "mlp:256", "mlp:128,128", "mlp:128,128,128", "resnet20"].map { model in
      Self.cell(0) { $0.model = model }
    }
    let sweep = try figure("width-depth", in: figures("gm/width-depth", shapes))
    #expect(sweep.filter { $0.panel == "Generalization gap, by width" }.map(\.x) == ["64", "128", "256"])
    #expect(sweep.filter { $0.panel == "Test accuracy, by depth" }.map(\.x) == ["1", "2", "3"])
    #expect(InitialisationFigures.shape("mlp:64,32") == nil && InitialisationFigures.shape("mlp:") == nil)
  }

  @Test func measurementsMakeBarsAndCurves() throws {
    let exact = [
      "alpha_real": 0.625, "alpha_random": 0.25, "test_error_real": 0.04, "test_error_random": 1, "w6_real": 0.8,
    ]
    let linear = try figure(
      "linear-example", in: figures("gm/linear-example", [], measurements: [("linear-example", exact)]))
    #expect(linear.count == 10)
    let cost = try figure(
      "step-cost",
      in: figures(
        "ws/cost", [],
        measurements: [
          (
            "step-cost",
            [
              "seconds_sgd": 2, "ratio_rm3": 1.25, "ratio_rm3_low": 1.2, "ratio_rm3_high": 1.3, "ratio_m3": 1.5,
              "ratio_m3_low": 1.4, "ratio_m3_high": 1.6,
            ]
          )
        ]))
    #expect(cost.filter { !$0.series.contains("expected") }.map(\.y) == [1, 1.25, 1.5])
    let order = try figure(
      "learning-order",
      in: figures(
        "gm/learning-order", [],
        measurements: [
          ("learning-order-seed1", ["spearman_step_0": 0.1, "spearman_step_10": 0.3, "p_step_0": 0.5]),
          ("learning-order-seed2", ["spearman_step_0": 0.3, "spearman_step_10": 0.5]),
        ]))
    #expect(order.map(\.x) == ["0", "10"] && order[0].low == 0.1 && order[0].high == 0.3)
    try expectEqual(order[0].y, 0.2)
  }

  @Test func earlyStoppingGainsByNoise() throws {
    let cells = [0, 0.5].map { noise in
      Self.cell(noise) { $0.accuracy["test/all"] = { step in step == 30 ? 0.9 : 0.9 - noise * 0.4 } }
    }
    let figures = try figures("gm/early-stopping", cells)
    let gain = try figure("early-stopping-gain", in: figures)
    #expect(gain.map(\.x) == ["0", "0.5"])
    try expectEqual(gain[1].y, 0.2)
    #expect(figures.map(\.id) == ["early-stopping-gain", "early-stopping-curves"])
  }

  @Test func otherGridsHaveTheirColumns() throws {
    let models = ["resnet18", "vgg13"].flatMap { model in [0, 0.5].map { Self.cell($0) { $0.model = model } } }
    let byModel = try figure("label-noise-models", in: figures("ws/label-noise", models))
    #expect(names(byModel, \.panel).first == "resnet18, Accuracy")
    let full = try figure(
      "full-batch", in: figures("cg/full-batch", [100, 10_000].map { size in Self.cell(0) { $0.batchSize = size } }))
    #expect(names(full, \.series) == ["batch 100, train", "batch 100, test", "full batch, train", "full batch, test"])
    let sample = SampleRun(
      noise: 0.5, share: { _, step, world in world == 0 ? 0.6 : 0.5 }, difference: { _, step, _ in Double(step) })
    let scratch = try Scratch()
    let grids = try StudyFigures.figures(for: "cg/contributions", runs: [sample.write(in: scratch)])
    let shares = try figure("contribution-grid", in: grids)
    #expect(names(shares, \.panel) == ["paper’s sample, 50 % noise", "whole population, 50 % noise"])
    #expect(shares.first { $0.series == "corrupt, actual" }?.y == 0.4)
    #expect(
      try figure("contribution-early-grid", in: grids).filter { $0.series == "pristine, actual" }.map(\.x).last == "10")
  }
}
