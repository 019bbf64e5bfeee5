// SPDX-License-Identifier: Apache-2.0

/// Points that no line joins, such as what was predicted against what came: each with a colour and a shape for its group
/// and a number that says what it is.
public struct FigureScatter: Sendable {
  /// A point.
  public struct Point: Sendable, Equatable {
    /// What has its colour, such as an optimizer.
    public let group: String
    /// What it is, such as a setting; points of different groups may have the same name.
    public let name: String
    /// Its place, in the units of the axes.
    public let x, y: Double

    /// A point from its parts.
    public init(group: String, name: String, x: Double, y: Double) {
      (self.group, self.name, self.x, self.y) = (group, name, x, y)
    }
  }

  /// A short name for files and links.
  public let id: String
  /// The title.
  public let title: String
  /// How to read it; what the numbers stand for follows it.
  public let caption: String
  /// The heading under which pages show it.
  public let section: String
  /// The axes.
  public let x, y: FigureAxis
  /// The groups in the order of the legend.
  public let groups: [String]
  /// The points.
  public let points: [Point]

  /// A figure from its points.
  public init(
    id: String, title: String, caption: String, section: String, x: FigureAxis, y: FigureAxis, groups: [String],
    points: [Point]
  ) {
    (self.id, self.title, self.caption, self.section) = (id, title, caption, section)
    (self.x, self.y, self.groups, self.points) = (x, y, groups, points)
  }

  /// The figure; nil without points.
  public func figure() -> Figure? {
    guard !points.isEmpty else { return nil }
    let (width, height) = (340.0, 240.0)
    let names = unique(points.map(\.name))
    let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, "\($0 + 1)") })
    let shades = Palette.shades(for: groups, .categorical)
    let places: JSON = [
      "x": x.encoding(
        field: "x", domain: x.domain(of: points.map(\.x), isX: true), isLabelled: true, pixels: width, isX: true),
      "y": y.encoding(
        field: "y", domain: y.domain(of: points.map(\.y), isX: false), isLabelled: true, pixels: height, isX: false),
      "color": [
        "field": "group", "type": "nominal",
        "scale": ["domain": .strings(groups), "range": .strings(shades.map(\.light))],
        "legend": ["title": nil, "orient": "bottom"],
      ],
    ]
    let shape: JSON = ["field": "group", "type": "nominal", "scale": ["domain": .strings(groups)]]
    let chart: JSON = .object([
      "title": .string(title), "width": .number(width), "height": .number(height), "data": ["name": "points"],
      "usermeta": ["steps": "fixed"],
      "layer": [
        [
          "mark": ["type": "point", "filled": true, "size": 46, "opacity": 0.9],
          "encoding": places.merging([
            "shape": shape,
            "tooltip": [
              ["field": "group", "title": " "], ["field": "name", "title": "in"],
              ["field": "x", "title": .string(x.title), "format": ".4~g"],
              ["field": "y", "title": .string(y.title), "format": ".4~g"],
            ],
          ]),
        ],
        [
          "mark": ["type": "text", "fontSize": 7, "dx": 6, "dy": -5, "tooltip": nil],
          "encoding": places.merging(["text": ["field": "number"]]),
        ],
      ],
    ])
    let rows: [JSON] = points.map {
      [
        "group": .string($0.group), "name": .string($0.name), "number": .string(numbers[$0.name] ?? ""),
        "x": .number(Wording.rounded($0.x)), "y": .number(Wording.rounded($0.y)),
      ]
    }
    let key = names.enumerated().map { "\($0 + 1) \($1)" }.joined(separator: "; ")
    return Figure(
      id: id, title: title, caption: "\(caption) \(key).", section: section, isComposite: false, chart: chart,
      data: [FigureData(name: "points", rows: rows)], shades: shades,
      table: points.map {
        FigureRow(panel: $0.name, series: $0.group, x: FigureRow.text(Wording.rounded($0.x)), y: $0.y)
      })
  }
}
