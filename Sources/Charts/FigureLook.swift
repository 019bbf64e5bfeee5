// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How figures look in print, where they are to differ from the page's own.
public struct FigureLook: Sendable, Equatable {
  /// Width and height of the whole picture in inches; nil for the page's own, and where only one is given the other
  /// follows it.
  public var width, height: Double?
  /// The size of letters in points.
  public var fontSize: Double?
  /// Whether step axes are logarithmic, which leaves out step 0.
  public var logarithmicSteps: Bool
  /// Where accuracy axes begin, from 0 to below 1; nil for the page's own choice.
  public var accuracyFrom: Double?
  /// Whether the title is drawn: papers have it in their captions.
  public var hasTitle: Bool

  /// A look from its parts.
  ///
  /// - Throws: `ChartError` for sizes that no figure can have.
  public init(
    width: Double? = nil, height: Double? = nil, fontSize: Double? = nil, logarithmicSteps: Bool = false,
    accuracyFrom: Double? = nil, hasTitle: Bool = true
  ) throws {
    for (name, size) in [("width", width), ("height", height)] {
      guard let size, !(1...40).contains(size) else { continue }
      throw ChartError("A figure cannot have a \(name) of \(size) inches.", remedy: "Give 1 to 40 inches.")
    }
    if let fontSize, !(3...72).contains(fontSize) {
      throw ChartError("Letters cannot be \(fontSize) points high.", remedy: "Give 3 to 72 points.")
    }
    if let accuracyFrom, !(0..<1).contains(accuracyFrom) {
      throw ChartError(
        "An accuracy axis cannot begin at \(Wording.level(accuracyFrom)).",
        remedy: "Give a value from 0 to below 100 %.")
    }
    (self.width, self.height, self.fontSize) = (width, height, fontSize)
    (self.logarithmicSteps, self.accuracyFrom, self.hasTitle) = (logarithmicSteps, accuracyFrom, hasTitle)
  }

  /// A figure with this look. A size becomes `usermeta.size` in points for charts of several panels, which the exporter
  /// fits, as Vega-Lite fits single ones alone.
  public func applied(to figure: Figure) -> Figure {
    var figure = logarithmicSteps ? figure.logarithmicSteps() : figure
    if let accuracyFrom { figure = figure.replacing { Self.accuracy($0, from: accuracyFrom) } }
    if let fontSize { figure = figure.replacing { Self.scaled($0, by: fontSize / Self.usualFontSize) } }
    if !hasTitle { figure = figure.replacing { $0.without("title") } }
    return width == nil && height == nil ? figure : figure.replacing(sized)
  }

  private static let usualFontSize = 11.0
  private static let pointsPerInch = 72.0

  private static func accuracy(_ chart: JSON, from start: Double) -> JSON {
    chart.mappingPanels { panel in
      guard panel["usermeta"] == AccuracyAxis.mark else { return panel }
      let ends: JSON = ["domain": .numbers([start, start > 0 ? 1 + 0.015 * (1 - start) : 1])]
      return panel.mappingLayers { layer in
        guard let encoding = layer["encoding"], let y = encoding["y"] else { return layer }
        let mark = layer["mark"] ?? [:]
        return layer.merging([
          "mark": mark.merging(["clip": true]), "encoding": encoding.merging(["y": y.merging(["scale": ends])]),
        ])
      }
    }
  }

  /// The chart with letters of another size, and lines and gaps in proportion.
  private static func scaled(_ chart: JSON, by factor: Double) -> JSON {
    let config = ChartStyle.printConfig.refined(by: chart["config"] ?? [:])
    return scaledSizes(chart, by: factor).merging(["config": scaledSizes(config, by: factor)])
  }

  /// What grows with the letters.
  private static let lengths: Set<String> = [
    "padding", "titlePadding", "labelPadding", "offset", "columnPadding", "rowPadding", "tickSize", "minExtent",
    "strokeWidth", "symbolStrokeWidth", "gradientThickness", "dx", "dy", "row", "column",
  ]

  private static func scaledSizes(_ value: JSON, by factor: Double) -> JSON {
    switch value {
    case .array(let values): return .array(values.map { scaledSizes($0, by: factor) })
    case .object(let members):
      return .object(
        members.map { member in
          guard case .number(let size) = member.value else {
            return JSON.Member(key: member.key, value: scaledSizes(member.value, by: factor))
          }
          let isLength = lengths.contains(member.key) || member.key.lowercased().hasSuffix("fontsize")
          let power = isLength ? 1.0 : member.key == "symbolSize" || member.key == "size" ? 2 : 0
          return JSON.Member(key: member.key, value: .number(Wording.rounded(size * pow(factor, power))))
        })
    default: return value
    }
  }

  private func sized(_ chart: JSON) -> JSON {
    let (wide, high) = (width.map { $0 * Self.pointsPerInch }, height.map { $0 * Self.pointsPerInch })
    let letters = (fontSize ?? Self.usualFontSize) * 11.5 / 11
    if chart["concat"] != nil {
      let size: JSON = .object(["width": wide.map(JSON.number), "height": high.map(JSON.number)])
      let folded = chart.mappingPanels { panel in
        panel.mappingLayers { layer in
          wide.map { Self.foldingLegends(layer, width: $0 - 60, fontSize: letters).layer } ?? layer
        }
      }
      return folded.merging(["usermeta": (chart["usermeta"] ?? [:]).merging(["size": size])])
    }
    guard case .number(let ownWidth)? = chart["width"], case .number(let ownHeight)? = chart["height"] else {
      return chart
    }
    // About what axes, title and legends take beside the plot.
    let beside = 5 * letters
    let factor = letters / 11.5
    let plotWidth = wide.map { $0 - beside } ?? ownWidth * factor
    var rows = 0
    let folded = chart.mappingLayers { layer in
      let result = Self.foldingLegends(layer, width: plotWidth, fontSize: letters)
      rows = max(rows, result.rows)
      return result.layer
    }
    let title = Self.lines(of: chart["title"], width: plotWidth, fontSize: 1.13 * letters)
    let below = (4.2 + 1.5 * Double(rows) + (title.isEmpty ? 0 : 1 + 1.4 * Double(title.count))) * letters
    // Rows with a name each need their height; any other plot keeps its form.
    let isNominal = chart["encoding"]?["y"]?["type"] == "nominal"
    let plotHeight = isNominal ? ownHeight * factor * 0.75 : plotWidth * ownHeight / ownWidth
    let total = (wide ?? ((high ?? 0) - below) * ownWidth / ownHeight + beside, high ?? plotHeight + below)
    return folded.merging([
      "width": .number(total.0.rounded()), "height": .number(total.1.rounded()),
      "autosize": ["type": "fit", "contains": "padding"], "title": title.isEmpty ? JSON?.none : .strings(title),
    ])
  }

  /// A title in lines that fit.
  private static func lines(of title: JSON?, width: Double, fontSize: Double) -> [String] {
    let words: [[Substring]]
    switch title {
    case .string(let text)?: words = [text.split(separator: " ")]
    case .array(let lines)?:
      words = lines.compactMap { if case .string(let text) = $0 { text.split(separator: " ") } else { nil } }
    default: words = []
    }
    let most = max(8, Int(clamping: width / (0.55 * fontSize)))
    return words.flatMap { words in
      words.reduce(into: [String]()) { lines, word in
        if let last = lines.last, last.count + word.count < most {
          lines[lines.count - 1] = "\(last) \(word)"
        } else {
          lines.append(String(word))
        }
      }
    }
  }

  /// Legends above and below in as many columns as fit, and how many rows they then have.
  private static func foldingLegends(_ layer: JSON, width: Double, fontSize: Double) -> (layer: JSON, rows: Int) {
    guard let encoding = layer["encoding"] else { return (layer, 0) }
    var rows: [JSON: Int] = [:]
    let changed = ["color", "strokeDash"].reduce(encoding) { encoding, channel in
      guard let own = encoding[channel], let legend = own["legend"], case .object = legend,
        legend["orient"] == "bottom" || legend["orient"] == "top", case .array(let domain)? = own["scale"]?["domain"]
      else { return encoding }
      let names = domain.compactMap { if case .string(let text) = $0 { text } else { nil } }
      let columns = ChartStyle.legendColumns(names, width: width, fontSize: fontSize)
      // Colours and dashes of the same names are one legend.
      rows[own["field"] ?? .null] = (names.count + columns - 1) / columns
      let folded = legend.merging(["columns": .number(Double(columns)), "columnPadding": .number(0.8 * fontSize)])
      return encoding.merging([channel: own.merging(["legend": folded])])
    }
    return (layer.merging(["encoding": changed]), rows.values.reduce(0, +))
  }
}

extension JSON {
  /// This object without a member.
  func without(_ key: String) -> JSON {
    guard case .object(let members) = self else { return self }
    return .object(members.filter { $0.key != key })
  }

  /// A chart with every panel changed; a chart of one panel is its own.
  func mappingPanels(_ change: (JSON) -> JSON) -> JSON {
    guard case .array(let panels)? = self["concat"] else { return change(self) }
    return merging(["concat": .array(panels.map(change))])
  }

  /// A panel with every layer changed; one without layers is its own.
  func mappingLayers(_ change: (JSON) -> JSON) -> JSON {
    guard case .array(let layers)? = self["layer"] else { return change(self) }
    return merging(["layer": .array(layers.map(change))])
  }
}
