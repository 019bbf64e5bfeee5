// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How values lie along an axis.
public enum FigureScale: Sendable, Hashable {
  /// Evenly.
  case linear
  /// By their logarithm; values that are not above 0 are left out.
  case logarithmic
  /// By log(1 + value): logarithmic from about 1 on, with 0 at its end.
  case logarithmicFromZero
  /// The same on both sides of 0.
  case signedLogarithmic
}

/// An axis of a panel. Panels with equal axes share their ends.
public struct FigureAxis: Sendable, Hashable {
  /// What it shows, with its unit.
  public let title: String
  /// How values lie along it.
  public let scale: FigureScale
  /// Whether values are shares, written as percentages. Shares between 0 and 1 span the whole of it.
  public let isShare: Bool
  /// The least span, such as 0 for an axis that begins there.
  public let including: [Double]
  /// Where the labels stand; chosen by the axis when empty.
  public let ticks: [Double]
  /// The ends, where they are not those of the values.
  public let ends: ClosedRange<Double>?
  /// Whether values fall from left to right.
  public let isReversed: Bool

  /// An axis from its parts.
  ///
  /// - Parameters:
  ///   - title: what the axis shows.
  ///   - scale: how values are spread over the axis.
  ///   - isShare: whether values are shares, written as per cent.
  ///   - including: Values inside the axis, whatever the data.
  ///   - ticks: Where the labels stand; empty to leave that to the axis.
  ///   - ends: The ends, where they are not those of the values.
  ///   - isReversed: Whether values fall from left to right.
  public init(
    _ title: String, scale: FigureScale = .linear, isShare: Bool = false, including: [Double] = [],
    ticks: [Double] = [], ends: ClosedRange<Double>? = nil, isReversed: Bool = false
  ) {
    (self.title, self.scale, self.isShare, self.including) = (title, scale, isShare, including)
    (self.ticks, self.ends, self.isReversed) = (ticks, ends, isReversed)
  }

  /// Training steps: logarithmic with step 0 at the left end.
  public static let steps = FigureAxis("Training step", scale: .logarithmicFromZero)
  /// Training steps, evenly spaced.
  public static let linearSteps = FigureAxis("Training step")
  /// Accuracy, from 0 to 100 %, or between other ends.
  public static func accuracy(_ title: String = "Accuracy", ends: ClosedRange<Double>? = nil) -> FigureAxis {
    FigureAxis(title, isShare: true, including: [0, 1], ends: ends)
  }
}

extension FigureAxis {
  /// What captions say of `steps`.
  public static let logarithmicStepsNote = "The step axis is logarithmic and starts at step 0."

  /// Whether it shows accuracies, from 0 to 100 % unless all of them lie close together.
  var isAccuracy: Bool { isShare && including == [0, 1] && ticks.isEmpty }

  /// Whether it shows the course of training.
  var isTraining: Bool { title == Self.steps.title || title == "Epoch" }

  /// Whether the switch to logarithmic steps is for it.
  var isSwitchable: Bool { isTraining && scale == .linear && ticks.isEmpty }

  /// The title without unit and direction.
  var shortTitle: String { title.prefix { $0 != "(" && $0 != "," }.trimmingCharacters(in: .whitespaces) }

  /// Whether a value has a place on the axis.
  func shows(_ value: Double) -> Bool {
    switch scale {
    case .linear, .signedLogarithmic: value.isFinite
    case .logarithmic: value.isFinite && value > 0
    case .logarithmicFromZero: value.isFinite && value >= 0
    }
  }

  /// The ends for these values.
  func domain(of values: some Sequence<Double>, isX: Bool) -> ClosedRange<Double> {
    if let ends { return ends }
    let shown = (Array(values) + including).filter(shows)
    guard let low = shown.min(), let high = shown.max() else { return 0...1 }
    switch scale {
    case .linear where isX: return low < high ? low...high : (low - 0.5)...(high + 0.5)
    case .linear where isShare && low >= 0 && high <= 1 && including.contains(1): return 0...1
    case .linear where isShare && low >= 0 && high <= 1: return Self.rounded(low, high).clamped(to: 0...1)
    case .linear: return Self.rounded(low, high)
    case .logarithmic: return isX && low < high ? low...high : (low / 1.25)...(high * 1.25)
    case .logarithmicFromZero: return low...max(high, low + 1)
    case .signedLogarithmic: return low...max(high, low + 1)
    }
  }

  /// The axis for Vega-Lite.
  ///
  /// - Parameters:
  ///   - field: The data field.
  ///   - domain: The ends.
  ///   - isLabelled: Whether title and labels are drawn.
  ///   - pixels: The length, which says how many labels fit.
  ///   - isX: Whether it is the horizontal one.
  ///   - isFitted: Whether the ends follow what is shown, as where the reader hides curves.
  func encoding(
    field: String, domain: ClosedRange<Double>, isLabelled: Bool, pixels: Double, isX: Bool, isFitted: Bool = false
  ) -> JSON {
    let kind: JSON =
      switch scale {
      case .linear: ["type": "linear"]
      case .logarithmic: ["type": "log"]
      case .logarithmicFromZero, .signedLogarithmic: ["type": "symlog", "constant": 1]
      }
    let isRounded = isFitted && !isX && scale == .linear
    let ends: JSON = .object([
      "domain": isFitted ? nil : .numbers([domain.lowerBound, domain.upperBound]),
      "domainMin": isFitted && scale == .logarithmicFromZero ? 0 : nil, "reverse": isReversed ? true : nil,
      "nice": isRounded ? 5 : false, "zero": scale == .linear ? .bool(isRounded && including.contains(0)) : nil,
    ])
    let fitting = max(2, Int(clamping: pixels / (isX ? 34 : 22)))
    var axis: JSON = ["labels": .bool(isLabelled), "labelExpr": .string(labelExpression)]
    if isX { axis = axis.merging(["labelFlush": true, "ticks": true]) }
    let places = ticks.isEmpty ? automaticTicks(domain, pixels: pixels, fitting: fitting) : ticks
    let isCrowded = places.isEmpty || places.count > fitting + 3
    axis = axis.merging(["labelOverlap": .bool(isCrowded)])
    // With a count beside them, Vega would thin the places further.
    axis = axis.merging(
      places.isEmpty
        ? ["tickCount": .number(Double(min(5, fitting)))]
        : ["values": .numbers(isFitted ? places : places.filter(domain.contains))])
    return [
      "field": .string(field), "type": "quantitative", "title": isLabelled ? .string(title) : nil,
      "scale": kind.merging(members: ends), "axis": axis,
    ]
  }

  /// Percentages, or 0.5, 20, 3k, 1,024.
  private var labelExpression: String {
    if isShare { return ChartStyle.percentLabel }
    return "datum.value === 0 ? '0' : abs(datum.value) < 0.001 ? format(datum.value, '~e') : "
      + "abs(datum.value) < 1 ? format(datum.value, '~g') : length(format(datum.value, '~s')) < 5 "
      + "? format(datum.value, '~s') : format(datum.value, ',')"
  }

  private func automaticTicks(_ domain: ClosedRange<Double>, pixels: Double, fitting: Int) -> [Double] {
    let found: [Double]
    switch scale {
    case .linear: return []
    case .logarithmic: found = LogarithmicAxis.ticks(from: domain.lowerBound, to: domain.upperBound)
    case .logarithmicFromZero:
      let zero = domain.contains(0) ? [0.0] : []
      found = zero + LogarithmicAxis.ticks(from: max(1, domain.lowerBound), to: max(2, domain.upperBound))
    case .signedLogarithmic:
      let negative = LogarithmicAxis.ticks(from: 10, to: max(11, -domain.lowerBound)).map { -$0 }
      return negative.reversed() + [0] + LogarithmicAxis.ticks(from: 10, to: max(11, domain.upperBound))
    }
    // Every second or third power of ten where all would run into one another.
    guard found.count > fitting + 1 else { return found }
    let zeros = found.filter { $0 == 0 }
    let powers = found.filter { $0 > 0 }
    let stride = (powers.count + fitting - 1) / max(1, fitting)
    let kept = powers.enumerated().filter { ($0.offset - (powers.count - 1)) % stride == 0 }.map(\.element)
    // 1 stands so close to 0 that their labels would touch on a long axis.
    let unit = pixels * log1p(1) / log1p(domain.upperBound)
    return zeros + kept.filter { zeros.isEmpty || $0 > 1 || unit > 9 }
  }

  /// The least round number, a power of ten times one of the factors, that is not below a positive `raw`.
  static func roundStep(atLeast raw: Double, factors: [Double] = [1, 2, 2.5, 5, 10]) -> Double {
    let power = pow(10, floor(log10(raw)))
    // 0.3 is not above 0.1 + 0.2.
    return factors.map { $0 * power }.first { $0 >= raw * (1 - 1e-9) } ?? raw
  }

  /// The least range between round numbers that holds both, with a little air.
  static func rounded(_ low: Double, _ high: Double) -> ClosedRange<Double> {
    guard low < high else {
      let air = low == 0 ? 1 : abs(low) * 0.5
      return (low - air)...(high + air)
    }
    let step = roundStep(atLeast: (high - low) / 5)
    // A little beyond a round number is not worth the whole next interval.
    let slack = 0.15
    let (lower, upper) = (low / step, high / step)
    let start = ceil(lower) - lower <= slack ? min(lower, ceil(lower)) : floor(lower)
    let end = upper - floor(upper) <= slack ? max(upper, floor(upper)) : ceil(upper)
    return (start * step)...(end * step)
  }
}
