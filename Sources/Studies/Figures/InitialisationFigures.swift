// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// Starts and shapes of networks: "On the Generalization Mystery".
enum InitialisationFigures {
  /// A start that has fitted random labels, against a fresh one.
  static func adversarial(_ all: FigureSource) -> [Figure?] {
    // The run that fits the random labels only makes the start.
    let source = all.only { $0.manifest.extra["weights"] != nil || $0.noise == 0 }
    let groups = [
      ("fresh start", source.runs.filter { $0.manifest.extra["weights"] == nil }),
      ("start from random labels", source.runs.filter { $0.manifest.extra["weights"] != nil }),
    ]
    func lines(_ curve: (RunHistory) -> Curve) -> [FigureLine] {
      groups.map { FigureLine($0.0, of: $0.1, along: .steps, curve) }
    }
    let coherence = FigureAxis("m-coherence r", scale: .logarithmic, including: [1])
    let panels = [
      FigurePanel(
        column: "Coherence", x: .steps, y: coherence, lines: lines { $0.positiveMCoherence("train") }, references: [1.0]
      ),
      FigurePanel(column: "Training accuracy", x: .steps, y: .accuracy(), lines: lines { $0.accuracy("train") }),
      FigurePanel(column: "Test accuracy", x: .steps, y: .accuracy(), lines: lines { $0.accuracy("test") }),
    ]
    return [
      FigureGrid(
        id: "adversarial-start", title: "A start from random labels",
        caption: source.caption(
          "Training on real labels from fresh weights, and from weights that had fitted random labels: "
            + "coherence r = ‖Σgᵢ‖²/Σ‖gᵢ‖² of a fixed sample of training examples, 1 (dotted) if their gradients are orthogonal, and "
            + "training and test accuracy. The step axis is logarithmic and starts at step 0."),
        section: "Adversarial initialisation", layout: .lettered(columns: 3),
        panels: panels.filter { !$0.lines.isEmpty }
      ).figure()
    ]
  }

  /// A run with the shape of its network.
  private struct Shaped {
    let run: RunHistory
    let width, depth: Int
  }

  /// Hidden layers of `mlp:W,W,...` of one width; nil for other models.
  static func shape(_ model: String) -> (width: Int, depth: Int)? {
    let parts = model.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, parts[0] == "mlp" else { return nil }
    let widths = parts[1].split(separator: ",").map { Int($0) }
    guard let first = widths.first, let width = first, widths.allSatisfy({ $0 == width }) else { return nil }
    return (width, widths.count)
  }

  /// Gap, test accuracy and greatest coherence against width and depth.
  static func widthAndDepth(_ source: FigureSource) -> [Figure?] {
    let shaped = source.runs.compactMap { run in
      shape(run.manifest.model).map { Shaped(run: run, width: $0.width, depth: $0.depth) }
    }
    let rows: [(String, FigureAxis, (RunHistory) -> Double?)] = [
      ("Generalization gap", FigureAxis("Generalization gap", isShare: true, including: [0]), { $0.finalGap }),
      ("Test accuracy", FigureAxis("Test accuracy", isShare: true), { $0.accuracy("test").last?.value }),
      ("Peak coherence α", FigureAxis("Peak coherence α", scale: .logarithmic), peakAlpha),
    ]
    let widths = FigureAxis("Width (units)", scale: .logarithmic, ticks: ticks(shaped.map(\.width)))
    let depths = FigureAxis("Hidden layers", ticks: ticks(shaped.map(\.depth)))
    let panels = rows.flatMap { row, y, value in
      [
        FigurePanel(
          row: row, column: "by width", x: widths, y: y, lines: lines(shaped, by: \.width, fixed: \.depth, value)),
        FigurePanel(
          row: row, column: "by depth", x: depths, y: y, lines: lines(shaped, by: \.depth, fixed: \.width, value)),
      ]
    }
    let levels = source.levels
    return [
      FigureGrid(
        id: "width-depth", title: "Width and depth",
        caption: source.caption(
          "By the number of units of each hidden layer, and by the number of hidden layers: training minus test "
            + "accuracy and test accuracy at the end, and the greatest α = ‖ḡ‖²/mean ‖gᵢ‖² after the initial fall. Left: the depth at "
            + "which most widths were trained; right: the width at which most depths were."),
        section: "Width and depth", colors: levels.count > 1 ? .ordered : .categorical, order: source.noiseNames,
        panels: panels.filter { panel in panels.contains { $0.row == panel.row && !$0.lines.isEmpty } }
      ).figure()
    ]
  }

  private static func ticks(_ values: [Int]) -> [Double] { Set(values).sorted().map(Double.init) }

  /// One line for each noise level along one number, at the value of the other at which the most places were trained.
  private static func lines(
    _ all: [Shaped], by place: KeyPath<Shaped, Int>, fixed: KeyPath<Shaped, Int>, _ value: (RunHistory) -> Double?
  ) -> [FigureLine] {
    func places(_ runs: [Shaped]) -> Int { Set(runs.map { $0[keyPath: place] }).count }
    let groups = Dictionary(grouping: all) { $0[keyPath: fixed] }
    let best = groups.max { (places($0.value), -$0.key) < (places($1.value), -$1.key) }
    guard let chosen = best?.value, places(chosen) > 1 else { return [] }
    return chosen.map(\.run).levels.map { level in
      let own = chosen.filter { Level.isEqual($0.run.noise, level) }
      return FigureLine(
        FigureWording.noise(level),
        values: Set(own.map { $0[keyPath: place] }).map { number in
          (Double(number), own.filter { $0[keyPath: place] == number }.compactMap { value($0.run) })
        })
    }
  }

  /// The peak of r after its initial fall, over m.
  private static func peakAlpha(_ run: RunHistory) -> Double? {
    guard let m = run.probeSizes("train").first, m > 0 else { return nil }
    return CoherenceCourse(of: run).map { $0.peak.value / Double(m) }
  }
}
