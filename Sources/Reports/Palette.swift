// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A colour for light pages and its twin for dark ones.
struct Shade: Sendable, Equatable {
  let light: String
  let dark: String
}

/// Colours that stay apart for colour-blind readers and in grey-scale print.
enum Palette {
  /// Examples whose label is unchanged, and those whose label noise changed (Okabe and Ito's blue and vermilion).
  static let pristine = Shade(light: "#0072b2", dark: "#56b4e9")
  static let corrupt = Shade(light: "#d55e00", dark: "#ff9a4d")
  /// The test set.
  static let test = Shade(light: "#009e73", dark: "#2fc79c")
  /// Anything that is not one of the groups.
  static let neutral = Shade(light: "#4d4d4d", dark: "#c4c4c4")

  /// Okabe and Ito's colours, for runs without an order; blue first, yellow left out as too pale on white.
  static let categorical = [
    Shade(light: "#0072b2", dark: "#4aa8e0"), Shade(light: "#d55e00", dark: "#ff8a3d"),
    Shade(light: "#009e73", dark: "#2fc79c"), Shade(light: "#cc79a7", dark: "#e39ac2"),
    Shade(light: "#e69f00", dark: "#ffc04d"), Shade(light: "#56b4e9", dark: "#9fd6f7"),
    Shade(light: "#5b4a9c", dark: "#a99be6"), Shade(light: "#333333", dark: "#dddddd"),
  ]

  /// Anchors of the plasma colour map (van der Walt and Smith), evenly spaced.
  private static let plasma: [(Double, Double, Double)] = [
    (13, 8, 135), (65, 4, 157), (106, 0, 168), (143, 13, 164), (177, 42, 144), (204, 71, 120), (225, 100, 98),
    (242, 132, 75), (252, 166, 54), (252, 206, 37), (240, 249, 33),
  ]

  /// Colours for `count` ordered levels, from little to much, even in lightness.
  static func ordered(_ count: Int) -> [Shade] {
    (0..<count).map { index in
      let place = count == 1 ? 0 : Double(index) / Double(count - 1)
      return Shade(light: color(at: 0.04 + 0.66 * place), dark: color(at: 0.97 - 0.57 * place))
    }
  }

  private static func color(at place: Double) -> String {
    let position = min(max(place, 0), 1) * Double(plasma.count - 1)
    let index = min(Int(position), plasma.count - 2)
    let fraction = position - Double(index)
    let (from, to) = (plasma[index], plasma[index + 1])
    func mix(_ a: Double, _ b: Double) -> Int { Int((a + (b - a) * fraction).rounded()) }
    return String(format: "#%02x%02x%02x", mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
  }
}
