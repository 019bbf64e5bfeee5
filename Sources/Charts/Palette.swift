// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A colour for light pages and its twin for dark ones.
public struct Shade: Sendable, Equatable {
  /// The colour on light pages and on dark ones, as #rrggbb.
  public let light, dark: String

  /// A colour and its twin.
  public init(light: String, dark: String) { (self.light, self.dark) = (light, dark) }
}

/// Colours that stay apart for colour-blind readers and in grey-scale print. A colour means one thing on all figures:
/// a group of examples, a level of noise, or one of the things compared. The three kinds have no colour in common.
package enum Palette {
  /// Examples whose label is unchanged, and those whose label noise changed (Okabe and Ito's blue and vermilion).
  package static let pristine = Shade(light: "#0072b2", dark: "#56b4e9")
  package static let corrupt = Shade(light: "#d55e00", dark: "#ff9a4d")
  /// The test set.
  package static let test = Shade(light: "#009e73", dark: "#2fc79c")
  /// The training set, and anything that is not one of the groups.
  package static let neutral = Shade(light: "#4d4d4d", dark: "#c4c4c4")

  /// The colour of a split, wherever it is told apart from others by colour.
  package static func split(_ name: String) -> Shade {
    switch name {
    case "train": neutral
    case "test": test
    default: categorical[0]
    }
  }

  /// For runs and other things compared, without an order: what Okabe and Ito's colours leave beside the groups, and
  /// others as far from them.
  package static let categorical = [
    Shade(light: "#882255", dark: "#e0679f"), Shade(light: "#e69f00", dark: "#ffc04d"),
    Shade(light: "#56b4e9", dark: "#a8dcf8"), Shade(light: "#7d8a1a", dark: "#c3cf52"),
    Shade(light: "#8c564b", dark: "#c99a8f"), Shade(light: "#5b4a9c", dark: "#a99be6"),
    Shade(light: "#cc79a7", dark: "#e3a9c8"), Shade(light: "#111111", dark: "#f2f2f2"),
  ]

  /// From little to much, evenly spaced; lightness rises on light pages and falls on dark ones.
  private static let lightAnchors: [(Double, Double, Double)] = [
    (38, 6, 118), (98, 10, 165), (160, 36, 158), (209, 77, 137), (236, 142, 172),
  ]
  private static let darkAnchors: [(Double, Double, Double)] = [
    (226, 212, 255), (196, 160, 255), (204, 112, 240), (222, 74, 186), (214, 50, 120),
  ]

  /// Colours for `count` ordered levels, from little to much, even in lightness.
  static func ordered(_ count: Int) -> [Shade] {
    (0..<count).map { ordered(at: count == 1 ? 0 : Double($0) / Double(count - 1)) }
  }

  /// Colours of noise levels: that of the level itself, so that a level has one colour on all figures. Levels too close
  /// for that share the whole range.
  package static func noise(_ levels: [Double]) -> [Shade] {
    let sorted = Set(levels).sorted()
    let isApart = zip(sorted, sorted.dropFirst()).allSatisfy { $1 - $0 > 0.15 }
    return levels.map { level in
      if isApart { return ordered(at: level) }
      return ordered(at: Double(sorted.firstIndex(of: level) ?? 0) / Double(sorted.count - 1))
    }
  }

  private static func ordered(at place: Double) -> Shade {
    Shade(light: color(at: place, among: lightAnchors), dark: color(at: place, among: darkAnchors))
  }

  private static func color(at place: Double, among anchors: [(Double, Double, Double)]) -> String {
    let position = min(max(place, 0), 1) * Double(anchors.count - 1)
    let index = min(Int(clamping: position), anchors.count - 2)
    let fraction = position - Double(index)
    let (from, to) = (anchors[index], anchors[index + 1])
    func mix(_ a: Double, _ b: Double) -> Int { Int(clamping: (a + (b - a) * fraction).rounded()) }
    return String(format: "#%02x%02x%02x", mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
  }
}
