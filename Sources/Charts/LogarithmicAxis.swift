// SPDX-License-Identifier: Apache-2.0

import Foundation

extension Figure {
  /// The same figure with a logarithmic step axis, without step 0; figures that are not over steps, or whose step axis
  /// is logarithmic from 0 on, stay as they are.
  public func logarithmicSteps() -> Figure {
    let panels = chart.panels
    guard panels.contains(where: { $0.layers.contains(where: Self.isSwitchable) }), chart["usermeta"]?["steps"] == nil
    else { return self }
    let steps = data.flatMap(\.lines).flatMap(\.line.points).map(\.x).filter { $0 > 0 }
    guard let low = steps.min(), let high = steps.max(), low < high else { return self }
    let ticks = JSON.numbers(LogarithmicAxis.ticks(from: low, to: high))
    return replacing(
      { Self.logarithmic($0, ticks: ticks) },
      data: data.map { set in
        guard set.plainRows.isEmpty else { return set }
        return FigureData(
          name: set.name,
          panels: set.lines.map { ($0.panel, $0.line.through($0.line.points.filter { $0.x > 0 })) },
          isCurve: set.isCurve)
      })
  }

  private static func isSwitchable(_ layer: JSON) -> Bool {
    let x = layer["encoding"]?["x"]
    return x?["title"] == .string(FigureAxis.steps.title) && x?["scale"]?["type"] == "linear"
  }

  private static func logarithmic(_ chart: JSON, ticks: JSON) -> JSON {
    chart.mappingPanels { panel in
      panel.mappingLayers { layer in
        guard isSwitchable(layer), let encoding = layer["encoding"], let x = encoding["x"] else { return layer }
        let axis = (x["axis"] ?? [:]).merging(["values": ticks])
        let changed = x.merging(["scale": ["type": "log", "nice": false], "axis": axis])
        // The rise, which fills such an axis, is not to be cut off.
        let y = panel["usermeta"] == AccuracyAxis.mark ? encoding["y"]?.merging(["scale": ["domain": [0, 1]]]) : nil
        return layer.merging(["encoding": encoding.merging(["x": changed, "y": y])])
      }
    }
  }
}

/// Ticks of logarithmic axes.
package enum LogarithmicAxis {
  /// Powers of ten; 1, 2 and 5 times them where the range spans less than two, and closer ones where fewer than two of
  /// these lie in it: an axis without labels says nothing.
  package static func ticks(from low: Double, to high: Double) -> [Double] {
    guard low > 0, high > low, high.isFinite else { return [] }
    let powers = (Int(clamping: floor(log10(low)))...Int(clamping: floor(log10(high)))).map { pow(10, Double($0)) }
    let choices: [[Double]] = high / low < 100 ? [[1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]] : [[1]]
    for factors in choices {
      let found = powers.flatMap { power in factors.map { $0 * power } }.filter { $0 >= low && $0 <= high }
      if found.count > 1 { return found }
    }
    return evenTicks(from: low, to: high)
  }

  /// Two to four round numbers, evenly spaced.
  private static func evenTicks(from low: Double, to high: Double) -> [Double] {
    let step = FigureAxis.roundStep(atLeast: (high - low) / 4)
    let first = (low / step).rounded(.up)
    return (0...4).map { Wording.rounded((first + Double($0)) * step) }.filter { $0 >= low && $0 <= high }
  }
}
