// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// Figures of what was measured without training.
enum MeasuredFigures {
  private static func values(_ source: FigureSource, _ kind: String, _ quantity: String) -> [Double] {
    source.measurements(kind).compactMap { $0[quantity] }
  }

  private static func bar(
    _ source: FigureSource, _ kind: String, _ quantity: String, name: String, expected: Double
  ) -> FigureBar? {
    SeedRange(values(source, kind, quantity)).map {
      FigureBar(name, value: $0.mean, low: $0.low, high: $0.high, expected: expected)
    }
  }

  /// The linear example of "On the Generalization Mystery", with its exact values.
  static func linearExample(_ source: FigureSource) -> [Figure?] {
    func bars(_ entries: [(quantity: String, name: String, expected: Double)]) -> [FigureBar] {
      entries.compactMap { bar(source, "linear-example", $0.quantity, name: $0.name, expected: $0.expected) }
    }
    return [
      FigureBars(
        id: "linear-example", title: "The linear example",
        caption: "Least squares with six weights on four examples that share one feature (real) or none (random): the "
          + "coherence α of their gradients at w = 0, the squared error on a test example after gradient descent, and the "
          + "weight w₆ of the shared feature. Lines across the bars: the exact values, 0.625 and 0.25, 0.04 and 1, and 0.8.",
        section: "Linear example", categories: "", y: FigureAxis("Value", including: [0, 1]),
        panels: [
          .init("α at the start", bars: bars([("alpha_real", "real", 0.625), ("alpha_random", "random", 0.25)])),
          .init(
            "test squared error", bars: bars([("test_error_real", "real", 0.04), ("test_error_random", "random", 1)])),
          .init("shared weight", bars: bars([("w6_real", "real", 0.8)])),
        ]
      ).figure()
    ]
  }

  /// Step times of RM3 and M3 relative to SGD's, by the kind of network.
  static func stepCost(_ source: FigureSource) -> [Figure?] {
    let networks = [("step-cost", "network for images"), (WS7.fullyConnected, "fully connected")]
    let panels = networks.filter { kind, _ in !source.measurements(kind).isEmpty }.map { kind, name in
      let seconds = values(source, kind, "seconds_sgd").map { String(format: "%.3g ms", $0 * 1000) }
      return FigureBars.Panel("\(name), SGD: \(seconds.joined(separator: ", "))", bars: stepCost(source, kind))
    }
    let rounds = values(source, "step-cost", "rounds").first.map { " over \(Wording.whole($0)) rounds" } ?? ""
    return [
      FigureBars(
        id: "step-cost", title: "Time of a step, relative to SGD",
        caption:
          "Time of a training step relative to SGD’s in the same round: the median\(rounds), all optimizers in turn in one "
          + "run, and its 95 % interval. Lines across the bars: the paper’s values (RM3 less than 1 % more, M3 about 30 % "
          + "more).",
        section: "Cost", categories: "Optimizer", y: FigureAxis("Time relative to SGD", including: [0]), panels: panels
      ).figure()
    ]
  }

  private static func stepCost(_ source: FigureSource, _ kind: String) -> [FigureBar] {
    [("sgd", "SGD", 1.0), ("rm3", "RM3", 1.01), ("m3", "M3", 1.3)].compactMap { key, name, paper in
      func mean(_ ending: String) -> Double? {
        let ratios = values(source, kind, "\(key == "sgd" ? "seconds" : "ratio")_\(key)\(ending)")
        return SeedRange(ratios).map { key == "sgd" ? 1 : $0.mean }
      }
      return mean("").map { ratio in
        let (low, high) = (mean("_low") ?? ratio, mean("_high") ?? ratio)
        let interval = key == "sgd" ? "" : String(format: " (%.3f–%.3f)", low, high)
        return FigureBar(
          name, value: ratio, low: low, high: high, expected: key == "sgd" ? nil : paper,
          note: String(format: "%.3f×", ratio) + interval)
      }
    }
  }

  /// Time and memory against the number of examples m.
  static func growth(_ source: FigureSource) -> [Figure?] {
    let found = source.measurements.filter {
      ["measures-cost", "m-coherence"].contains(FigureWording.withoutSeed($0.name))
    }
    func lines(_ prefix: String, scale: Double) -> [FigureLine] {
      var values: [String: [Double: [Double]]] = [:]
      for measurement in found {
        for (quantity, value) in measurement.values where quantity.hasPrefix(prefix) {
          let name = String(quantity.dropFirst(prefix.count))
          let part = FigureWording.numbered(name) ?? measurement.values["m"].map { (name, $0) }
          guard let (stem, m) = part else { continue }
          let words = stem.split(separator: "_").filter { $0 != "m" }.joined(separator: " ")
          values[words.isEmpty ? "coherence" : words, default: [:]][m, default: []].append(value * scale)
        }
      }
      return values.sorted { $0.key < $1.key }.map { name, places in
        FigureLine(name, values: places.map { ($0.key, $0.value) })
      }
    }
    let m = FigureAxis("Examples m", scale: .logarithmic)
    let panels = [
      FigurePanel(
        column: "Time", x: m, y: FigureAxis("Seconds", scale: .logarithmic), lines: lines("seconds_", scale: 1)),
      FigurePanel(
        column: "Memory", x: m, y: FigureAxis("Peak memory (MiB)", including: [0]),
        lines: lines("peak_bytes_", scale: 1 / 1_048_576)),
    ]
    return [
      FigureGrid(
        id: "cost-by-m", title: "Cost against the number of examples",
        caption: "Time and peak memory of one measurement over m examples. On two logarithmic axes a cost of O(m) is a "
          + "line of slope 1, and one of O(m²), as of pairwise measures, of slope 2.",
        section: "Cost", layout: .lettered(columns: 2), panels: panels.filter { !$0.lines.isEmpty }
      ).figure()
    ]
  }

  /// Rank correlation of learning order with agreement, by step.
  static func learningOrder(_ source: FigureSource) -> [Figure?] {
    let prefix = "spearman_step_"
    let kinds = unique(source.measurements.map { FigureWording.withoutSeed($0.name) })
      .filter { $0.hasPrefix("learning-order") }
    let lines = kinds.map { kind in
      var values: [Double: [Double]] = [:]
      for (quantity, value) in source.measurements(kind).flatMap({ $0 }) where quantity.hasPrefix(prefix) {
        guard let step = Double(quantity.dropFirst(prefix.count)) else { continue }
        values[step, default: []].append(value)
      }
      let name = kind.dropFirst("learning-order".count).drop { $0 == "-" }
      return FigureLine(name.isEmpty ? "all examples" : String(name), values: values.map { ($0.key, $0.value) })
    }
    let seeds = kinds.map { source.measurements($0).count }.max() ?? 0
    let examples =
      source.measurements.compactMap { $0.values["examples"] }.max().map { " of \(Wording.whole($0)) examples" } ?? ""
    return [
      FigureGrid(
        id: "learning-order", title: "Examples learned early have most in common",
        caption: "Spearman’s rank correlation\(examples), at each probed step K, between how early an example is first "
          + "learned and ⟨gᵢ, ḡ⟩, what its gradient at step K has in common with the mean gradient; ties get mean ranks, and "
          + "0 (dotted) means no relation. \(seeds > 1 ? "Means over \(seeds) seeds; bands: the least to the greatest value." : "One seed.")",
        section: "Learning order",
        panels: [
          FigurePanel(x: .steps, y: FigureAxis("Rank correlation", including: [0]), lines: lines, references: [0.0])
        ]
      ).figure()
    ]
  }
}
