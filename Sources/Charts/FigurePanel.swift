// SPDX-License-Identifier: Apache-2.0

/// A point of a curve, with the range behind it.
public struct FigurePoint: Sendable, Equatable {
  /// Place and value, in the units of the axes.
  public let x, y: Double
  /// The range, such as the least and the greatest value over seeds; nil where there is none.
  public let low, high: Double?
  /// More numbers shown under the pointer, one for each of the panel's `details`.
  public let details: [Double?]

  /// A point, with a range or without.
  public init(x: Double, y: Double, low: Double? = nil, high: Double? = nil, details: [Double?] = []) {
    (self.x, self.y, self.low, self.high, self.details) = (x, y, low, high, details)
  }

  /// A stretch of a band, without a curve in it.
  public init(x: Double, from low: Double, to high: Double) { self.init(x: x, y: .nan, low: low, high: high) }

  /// The same point without the range.
  public var withoutRange: FigurePoint { FigurePoint(x: x, y: y, details: details) }
}

/// A curve of a panel.
public struct FigureLine: Sendable, Equatable {
  /// What is compared, such as a run or a level of noise.
  public let series: String
  /// What is measured, such as `train` or `test`, where a panel shows more than one measure.
  public let measure: String?
  /// The points, in order.
  public let points: [FigurePoint]

  /// A curve from its points.
  public init(_ series: String, measure: String? = nil, points: [FigurePoint]) {
    (self.series, self.measure, self.points) = (series, measure, points)
  }

  /// The same curve through other points.
  public func through(_ points: [FigurePoint]) -> FigureLine { FigureLine(series, measure: measure, points: points) }

  /// Whether a band lies behind it.
  public var hasBand: Bool { points.contains { $0.low != nil } }

  /// Series and measure, as tables name them.
  var name: String { [series, measure ?? ""].filter { !$0.isEmpty }.joined(separator: ", ") }
}

/// A dotted line across a panel.
public struct FigureReference: Sendable, Equatable, ExpressibleByFloatLiteral {
  /// Where it lies on the y axis.
  public let value: Double
  /// Its name, beside the plot; empty for none.
  public let label: String

  /// A line from its place.
  public init(_ value: Double, label: String = "") { (self.value, self.label) = (value, label) }

  /// A line without a name.
  public init(floatLiteral value: Double) { self.init(value) }
}

/// Shaded ranges, or hollow points, beside the curves of a panel: intervals, nulls, cross-checks.
public struct FigureMarks: Sendable, Equatable {
  /// What they are called in the data, such as `coherence-intervals`; no two of a figure alike.
  public let name: String
  /// By the curve they belong to, whose colour they have.
  public let lines: [FigureLine]
  /// How dark ranges are, from 0 to 1; hollow points in place of ranges where nil.
  public let opacity: Double?

  /// Marks from their places.
  public init(_ name: String, lines: [FigureLine], opacity: Double? = nil) {
    (self.name, self.opacity) = (name, opacity)
    self.lines = lines.filter { !$0.points.isEmpty }
  }
}

/// One plot: axes, curves and what lies behind them.
public struct FigurePanel: Sendable {
  /// The headings of its row and column in a grid, which also are its place.
  public let row, column: String
  /// The axes.
  public let x, y: FigureAxis
  /// The curves; a panel without any says so.
  public let lines: [FigureLine]
  /// Dotted horizontal lines, such as the share of labels left unchanged.
  public let references: [FigureReference]
  /// Ranges and points beside the curves.
  public let marks: [FigureMarks]
  /// What the `details` of points are.
  public let details: [String]

  /// A panel from its parts.
  public init(
    row: String = "", column: String = "", x: FigureAxis, y: FigureAxis, lines: [FigureLine],
    references: [FigureReference] = [], marks: [FigureMarks] = [], details: [String] = []
  ) {
    (self.row, self.column, self.x, self.y) = (row, column, x, y)
    self.lines = lines.filter { !$0.points.isEmpty }
    (self.references, self.details) = (references, details)
    self.marks = marks.filter { !$0.lines.isEmpty }
  }
}
