// SPDX-License-Identifier: Apache-2.0

/// Histograms of groups over each other, with bins of any width.
public struct FigureHistogram: Sendable {
  /// A bar of a group.
  public struct Bin: Sendable, Equatable {
    /// The group.
    public let group: String
    /// Where the bar begins and ends.
    public let from, to: Double
    /// Its height.
    public let height: Double
    /// The share of the group that it stands for, from 0 to 1.
    public let share: Double

    /// A bar from its parts.
    public init(group: String, from: Double, to: Double, height: Double, share: Double) {
      (self.group, self.from, self.to, self.height, self.share) = (group, from, to, height, share)
    }
  }

  /// A short name for files and links.
  public let id: String
  /// The title.
  public let title: String
  /// How to read it.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// The axes, with their ends.
  public let x, y: FigureAxis
  /// The groups with their colours, in the order of the legend.
  public let groups: FigureColoring
  /// The bars.
  public let bins: [Bin]

  /// A histogram from its bars.
  public init(
    id: String, title: String, caption: String, section: String, x: FigureAxis, y: FigureAxis, groups: FigureColoring,
    bins: [Bin]
  ) {
    (self.id, self.title, self.caption, self.section) = (id, title, caption, section)
    (self.x, self.y, self.groups, self.bins) = (x, y, groups, bins)
  }

  /// The figure; nil without bars.
  public func figure() -> Figure? {
    guard !bins.isEmpty else { return nil }
    let edges = x.encoding(
      field: "from", domain: x.domain(of: bins.flatMap { [$0.from, $0.to] }, isX: true), isLabelled: true, pixels: 400,
      isX: true)
    let heights = y.encoding(
      field: "height", domain: y.domain(of: bins.map(\.height) + [0], isX: false), isLabelled: true, pixels: 260,
      isX: false)
    let chart: JSON = [
      "title": .string(title), "width": 400, "height": 260, "data": ["name": "bins"],
      "mark": ["type": "bar", "opacity": 0.62, "binSpacing": 0, "tooltip": true],
      "encoding": [
        "x": edges, "x2": ["field": "to"], "y": heights.merging(["stack": .null]), "y2": ["datum": 0],
        "color": [
          "field": "group", "type": "nominal",
          "scale": ["domain": .strings(groups.names), "range": .strings(groups.shades.map(\.light))],
          "legend": ["title": nil, "orient": "top", "symbolType": "square", "symbolSize": 110, "symbolStrokeWidth": 0],
        ],
        "tooltip": [
          ["field": "group", "title": "group"], ["field": "from", "title": "after"], ["field": "to", "title": "up to"],
          ["field": "percent", "title": "share of group"],
        ],
      ],
    ]
    let rows = bins.map { bin -> JSON in
      [
        "group": .string(bin.group), "from": .number(Wording.rounded(bin.from)), "to": .number(Wording.rounded(bin.to)),
        "height": .number(Wording.rounded(bin.height)), "percent": .string(Wording.percent(bin.share)),
      ]
    }
    return Figure(
      id: id, title: title, caption: caption, section: section, isComposite: false, chart: chart,
      data: [FigureData(name: "bins", rows: rows)], shades: groups.shades,
      table: bins.map { FigureRow(panel: "bins", series: $0.group, x: FigureRow.text($0.from), y: $0.share) })
  }
}
