// SPDX-License-Identifier: Apache-2.0

import Foundation

extension Figure {
  /// The same figure with a logarithmic step axis, without step 0; figures that are not over steps, or
  /// whose step axis is fixed, stay as they are.
  public func logarithmicSteps() -> Figure {
    guard chart["usermeta"] != EarlySteps.fixed else { return self }
    let series = data.flatMap(\.series).flatMap(\.points).map(\.step).filter { $0 > 0 }
    guard let low = series.min(), let high = series.max(), low < high else { return self }
    let ticks = JSON.numbers(LogarithmicAxis.ticks(from: Double(low), to: Double(high)))
    return Figure(
      id: id, title: title, caption: caption, section: section, isComposite: isComposite,
      chart: Self.logarithmic(chart, ticks: ticks),
      data: data.map { set in
        guard set.plainRows.isEmpty else { return set }
        return FigureData(
          name: set.name,
          series: set.series.compactMap { series in
            Series(run: series.run, measure: series.measure, points: series.points.filter { $0.step > 0 })
          })
      })
  }

  private static func logarithmic(_ chart: JSON, ticks: JSON) -> JSON {
    chart.mappingPanels { panel in
      panel.mappingLayers { layer in
        guard let encoding = layer["encoding"], let x = encoding["x"], x["field"] == "step" else { return layer }
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
enum LogarithmicAxis {
  /// Powers of ten; 1, 2 and 5 times them where the range spans less than two, and closer ones where fewer than two of
  /// these lie in it: an axis without labels says nothing.
  static func ticks(from low: Double, to high: Double) -> [Double] {
    guard low > 0, high > low, high.isFinite else { return [] }
    let powers = (Int(floor(log10(low)))...Int(floor(log10(high)))).map { pow(10, Double($0)) }
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

  /// A logarithmic axis with these ticks, labelled 0.5, 20, 3k.
  static func axis(from low: Double, to high: Double) -> JSON {
    [
      "values": .numbers(ticks(from: low, to: high)), "labelOverlap": true,
      "labelExpr": "format(datum.value, datum.value < 1 ? '~g' : '~s')",
    ]
  }
}
