// SPDX-License-Identifier: Apache-2.0

/// What colours of a card tell apart.
public struct FigureColoring: Sendable, Equatable {
  /// The part of a curve that has a colour.
  public enum Key: String, Sendable {
    /// The thing compared, such as a run.
    case series
    /// The thing measured, such as a group of examples.
    case measure
  }

  /// The part of a curve that has a colour.
  public let key: Key
  /// The names that have one, in the order of the legend.
  public let names: [String]
  /// Their colours.
  public let shades: [Shade]

  /// Colours by name; there is a legend where there is more than one.
  public init(by key: Key, _ colors: [(name: String, shade: Shade)]) {
    (self.key, names, shades) = (key, colors.map(\.name), colors.map(\.shade))
  }
}

/// One plot as a card of a page: the reader's pointer shows its numbers, a step is marked on all cards at once.
public struct FigureCard: Sendable {
  /// A short name for files and links.
  public let id: String
  /// The title, in lines.
  public let title: [String]
  /// How to read it.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// The plot.
  public let panel: FigurePanel
  /// What colours tell apart.
  public let colors: FigureColoring
  /// The measures told apart by dashes, in order; fewer than two for none.
  public let dashes: [String]
  /// Whether their legend lies below the plot, where it does not move it out of line with its neighbours.
  public let hasDashesBelow: Bool
  /// The height of the plot in pixels; it is 400 wide.
  public let height: Double
  /// How many points of a curve fit side by side; those that lie closer are drawn as their mean, with their scatter.
  /// Nil draws all points that the screen can tell apart.
  public let bins: Int?
  /// Whether each point is marked, and what it shows under the pointer is its own.
  private var isDotted: Bool { !panel.details.isEmpty }

  /// A card from its parts.
  ///
  /// - Parameters:
  ///   - id: A short name for files and links.
  ///   - title: The title, in lines.
  ///   - caption: How to read it.
  ///   - section: The heading under which pages show it.
  ///   - panel: The plot.
  ///   - colors: What colours tell apart.
  ///   - dashes: The measures told apart by dashes.
  ///   - hasDashesBelow: Whether their legend lies below the plot.
  ///   - height: The height of the plot in pixels.
  ///   - bins: How many points fit side by side, where those that lie closer are to be joined.
  public init(
    id: String, title: [String], caption: String, section: String, panel: FigurePanel, colors: FigureColoring,
    dashes: [String] = [], hasDashesBelow: Bool = false, height: Double = 260, bins: Int? = nil
  ) {
    (self.id, self.title, self.caption, self.section, self.panel) = (id, title, caption, section, panel)
    (self.colors, self.dashes, self.hasDashesBelow) = (colors, dashes, hasDashesBelow)
    (self.height, self.bins) = (height, bins)
  }

  /// How many points of a curve fit side by side on a card, about one every three pixels.
  public static let pointsAcross = 130
  private static let width = 400.0

  /// The figure; nil without a curve.
  public func figure() -> Figure? {
    guard !panel.lines.isEmpty else { return nil }
    let lines = drawn
    let isJoined = lines.contains(where: \.hasBand) && !panel.lines.contains(where: \.hasBand)
    let drawing = PanelDrawing(
      style: .card, x: encoding(panel.x, "x", isX: true, pixels: Self.width),
      y: encoding(panel.y, "y", isX: false, pixels: height), color: color, dash: dash)
    let layers = drawing.layers(
      of: panel, lines: lines, isClipped: isClipped, isDotted: isDotted)
    let chart: JSON = .object([
      "title": title.count == 1 ? .string(title[0]) : .strings(title), "width": .number(Self.width),
      "height": .number(height), "data": ["name": .string(id)], "usermeta": mark, "layer": .array(layers),
    ])
    let whole = [FigureData(name: id, lines: panel.lines)]
    let marks = panel.marks.map { FigureData(name: $0.name, lines: $0.lines, isCurve: false) }
    let drawnMarks = panel.marks.map { marks in
      FigureData(name: marks.name, lines: marks.opacity == nil ? marks.lines : marks.lines.map(range), isCurve: false)
    }
    return Figure(
      id: id, title: title.joined(separator: ": "), caption: caption + (isJoined ? " " + CurveBins.note : ""),
      section: section, isComposite: false, chart: chart,
      data: [FigureData(name: id, lines: lines, isCurve: panel.x.isTraining)] + drawnMarks, shades: colors.shades,
      table: (whole + marks).flatMap(\.table))
  }

  /// The curves without what the axes cannot show, thinned for the screen.
  private var drawn: [FigureLine] {
    let hasMarks = Set(panel.marks.filter { $0.opacity != nil }.flatMap(\.lines).map(\.name))
    return panel.lines.map { line in
      let shown = line.points.filter { panel.x.shows($0.x) && panel.y.shows($0.y) }
      guard let bins else { return line.through(Downsampling.thinned(shown, limit: Downsampling.limit, value: \.y)) }
      let joined = joined(shown, bins: bins)
      // One band is enough: where there are intervals, they say more than the range of neighbours.
      return line.through(hasMarks.contains(line.name) ? joined.map(\.withoutRange) : joined)
    }
  }

  /// Points that lie closer than a line can show as one, on whole steps.
  private func joined(_ points: [FigurePoint], bins: Int) -> [FigurePoint] {
    CurveBins(count: bins, x: panel.x.scale, y: panel.y.scale, range: panel.y.ends).joined(points).map { point in
      let x = panel.x.isTraining ? point.x.rounded() : point.x
      return FigurePoint(x: x, y: point.y, low: point.low, high: point.high, details: point.details)
    }
  }

  /// A range whose ends are joined as the curves are, so that these lie in it, and end where the plot does.
  private func range(_ line: FigureLine) -> FigureLine {
    let ends = ends(of: panel.y, isX: false)
    func drawn(_ end: (FigurePoint) -> Double?) -> [FigurePoint] {
      let points = line.points.map { point in
        FigurePoint(x: point.x, y: min(ends.upperBound, max(ends.lowerBound, end(point) ?? .nan)))
      }
      return bins.map { joined(points, bins: $0) } ?? points
    }
    return line.through(zip(drawn(\.low), drawn(\.high)).map { FigurePoint(x: $0.x, from: $0.y, to: $1.y) })
  }

  /// Whether curves leave the plot.
  private var isClipped: Bool {
    guard let ends = panel.y.ends else { return false }
    return panel.lines.contains { $0.points.contains { !ends.contains($0.y) } }
  }

  /// What tells the page's switches which axes are common to all charts.
  private var mark: JSON? {
    if panel.y.isAccuracy { return AccuracyAxis.mark }
    return panel.x.isTraining && !panel.x.isSwitchable ? ["steps": "fixed"] : nil
  }

  /// The ends of an axis. Ranges are cut where those of a logarithmic axis would be far from the curves.
  private func ends(of axis: FigureAxis, isX: Bool) -> ClosedRange<Double> {
    let lines = panel.lines + (isX || axis.scale == .logarithmic ? [] : panel.marks.flatMap(\.lines))
    let values = lines.flatMap(\.points).flatMap { isX ? [$0.x] : [$0.y, $0.low ?? $0.y, $0.high ?? $0.y] }
    return axis.domain(of: values + (isX ? [] : panel.references.map(\.value)), isX: isX)
  }

  private func encoding(_ axis: FigureAxis, _ field: String, isX: Bool, pixels: Double) -> JSON {
    axis.encoding(
      field: field, domain: ends(of: axis, isX: isX), isLabelled: true, pixels: pixels, isX: isX,
      isFitted: axis.ends == nil && axis.scale != .logarithmic)
  }

  private var color: JSON {
    let hasLegend = colors.names.count > 1
    let legend = colors.key == .series ? CardLegend.below(colors.names) : CardLegend.above
    return [
      "field": .string(colors.key.rawValue), "type": "nominal",
      "scale": ["domain": .strings(colors.names), "range": .strings(colors.shades.map(\.light))],
      "legend": hasLegend ? legend : nil,
    ]
  }

  private var dash: JSON? {
    guard dashes.count > 1 else { return nil }
    // The legend of measures that have colours too is that of the colours.
    let legend = colors.key == .measure ? [:] : ["symbolStrokeColor": .string(Palette.neutral.light)] as JSON
    return [
      "field": "measure", "type": "nominal",
      "scale": [
        "domain": .strings(dashes), "range": .array(dashes.indices.map(PanelStyle.card.dash)),
      ],
      "legend": CardLegend.above.merging(members: legend).merging(["orient": hasDashesBelow ? "bottom" : nil]),
    ]
  }
}
