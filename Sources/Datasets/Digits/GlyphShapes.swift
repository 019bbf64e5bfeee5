// SPDX-License-Identifier: Apache-2.0

/// A stroke of a digit: control points x, y, x, y, ... in hundredths of the digit's box, x to the right and y down.
struct GlyphStroke: Sendable {
  enum Kind: Sendable {
    /// Straight pieces from point to point.
    case line
    /// A Catmull-Rom spline through the points.
    case curve
    /// The same, closed.
    case loop
  }

  let kind: Kind
  let points: [Double]

  static func line(_ points: Double...) -> GlyphStroke { GlyphStroke(kind: .line, points: points) }
  static func curve(_ points: Double...) -> GlyphStroke { GlyphStroke(kind: .curve, points: points) }
  static func loop(_ points: Double...) -> GlyphStroke { GlyphStroke(kind: .loop, points: points) }
}

/// Invented characters, as many classes as wanted: two or three strokes each, whose points are drawn once and for all by
/// the class's number. The first K are the same for every number of classes.
enum InventedGlyphs {
  /// The one style of every class.
  static func styles(classes: Int) -> [[[GlyphStroke]]] { (0..<classes).map { [strokes(of: $0)] } }

  private static func strokes(of label: Int) -> [GlyphStroke] {
    var generator = SeededGenerator(seed: 0, stream: .glyphShapes, index: label)
    return (0..<2 + generator.integer(below: 2)).map { _ in
      let isCurved = generator.integer(below: 2) == 1
      let count = 3 + generator.integer(below: 3)
      // Far enough from the point before for the pen to leave a stroke.
      var points: [Double] = []
      while points.count < 2 * count {
        let (x, y) = (generator.uniform(4, 96), generator.uniform(4, 96))
        if let lastX = points.dropLast().last, let lastY = points.last,
          (x - lastX) * (x - lastX) + (y - lastY) * (y - lastY) < 900
        {
          continue
        }
        points += [x, y]
      }
      return GlyphStroke(kind: isCurved ? .curve : .line, points: points)
    }
  }
}

/// How people write the ten digits: several styles for each.
enum GlyphShapes {
  static let styles: [[[GlyphStroke]]] = [zero, one, two, three, four, five, six, seven, eight, nine]

  private static let zero: [[GlyphStroke]] = [
    [.loop(50, 2, 20, 15, 10, 50, 20, 85, 50, 98, 80, 85, 90, 50, 80, 15)],
    [.loop(52, 0, 32, 15, 25, 50, 32, 85, 50, 100, 68, 85, 75, 50, 70, 15)],
    [.curve(62, 8, 35, 3, 14, 30, 12, 65, 34, 97, 66, 95, 88, 65, 86, 28, 62, 4, 45, 12)],
    [.curve(45, 3, 18, 25, 12, 62, 32, 96, 64, 94, 88, 60, 80, 20, 55, 5)],
  ]

  private static let one: [[GlyphStroke]] = [
    [.line(50, 0, 50, 100)], [.line(32, 22, 54, 0, 54, 100)], [.line(30, 20, 52, 0, 52, 98), .line(28, 99, 78, 98)],
    [.curve(56, 0, 52, 35, 50, 65, 46, 100)],
  ]

  private static let two: [[GlyphStroke]] = [
    [.curve(14, 25, 30, 5, 60, 0, 82, 20, 75, 45, 45, 72, 12, 98), .line(12, 98, 88, 97)],
    [.curve(16, 22, 36, 2, 66, 4, 80, 26, 66, 52, 36, 80, 16, 92, 14, 80, 30, 76, 55, 92, 92, 94)],
    [.curve(15, 12, 45, 2, 76, 14, 74, 40, 48, 70, 15, 96), .curve(15, 96, 40, 90, 62, 97, 90, 92)],
    [.curve(18, 30, 28, 6, 58, 0, 78, 18, 72, 42, 52, 66, 18, 98), .line(18, 98, 84, 98)],
  ]

  private static let three: [[GlyphStroke]] = [
    [.curve(14, 14, 45, 0, 78, 15, 70, 38, 40, 47), .curve(40, 47, 74, 54, 88, 77, 60, 98, 14, 88)],
    [.line(15, 3, 80, 3, 42, 40), .curve(42, 40, 78, 48, 86, 76, 56, 98, 12, 90)],
    [.curve(18, 10, 50, 0, 74, 14, 66, 38, 46, 48, 70, 54, 84, 74, 62, 96, 30, 98, 12, 86)],
    [.curve(20, 18, 42, 2, 72, 8, 74, 32, 48, 46, 38, 45), .curve(44, 46, 80, 52, 84, 84, 50, 100, 18, 92)],
  ]

  private static let four: [[GlyphStroke]] = [
    [.line(26, 2, 12, 56, 90, 56), .line(70, 12, 68, 100)], [.line(64, 0, 8, 66, 95, 66), .line(64, 0, 64, 100)],
    [.curve(22, 4, 16, 38, 34, 54, 62, 52, 82, 44), .curve(84, 2, 80, 40, 74, 70, 70, 100)],
    [.line(34, 4, 10, 58), .line(10, 58, 88, 52), .line(76, 2, 60, 100)],
  ]

  private static let five: [[GlyphStroke]] = [
    [.line(82, 3, 26, 3, 20, 43), .curve(20, 43, 50, 36, 84, 55, 80, 85, 46, 100, 12, 89)],
    [.curve(86, 5, 58, 8, 32, 8), .curve(32, 8, 26, 38), .curve(26, 38, 58, 42, 82, 66, 66, 92, 40, 99, 14, 92)],
    [.curve(84, 4, 42, 6, 24, 28, 50, 46, 80, 66, 66, 92, 40, 98, 14, 88)],
    [.line(34, 6, 26, 46), .curve(26, 46, 60, 40, 82, 62, 72, 92, 38, 99, 14, 86), .line(34, 6, 86, 0)],
  ]

  private static let six: [[GlyphStroke]] = [
    [.curve(72, 2, 36, 24, 14, 64, 30, 95, 64, 96, 82, 73, 60, 54, 30, 62, 17, 78)],
    [.curve(60, 0, 34, 34, 18, 68, 30, 96, 62, 97, 78, 76, 62, 58, 36, 62, 22, 76)],
    [.curve(78, 10, 56, 2, 26, 22, 14, 60, 26, 92, 58, 98, 82, 80, 74, 56, 44, 52, 18, 70)],
    [.curve(52, 0, 28, 38, 22, 76, 46, 98, 72, 88, 70, 64, 46, 60, 26, 76)],
  ]

  private static let seven: [[GlyphStroke]] = [
    [.line(10, 5, 88, 4, 40, 100)], [.line(12, 6, 86, 4, 44, 100), .line(30, 50, 78, 47)],
    [.line(12, 22, 13, 5, 86, 5), .curve(86, 5, 62, 38, 48, 70, 44, 100)],
    [.curve(10, 10, 36, 3, 62, 8, 86, 4), .curve(86, 4, 72, 40, 56, 70, 50, 100)],
  ]

  private static let eight: [[GlyphStroke]] = [
    [.loop(50, 48, 22, 30, 28, 6, 50, 0, 72, 6, 78, 28, 50, 48, 16, 72, 26, 95, 52, 100, 78, 94, 84, 72)],
    [.loop(50, 0, 24, 10, 24, 34, 50, 46, 76, 34, 76, 10), .loop(50, 46, 18, 58, 16, 88, 50, 100, 84, 88, 82, 58)],
    [.curve(78, 14, 52, 0, 24, 14, 34, 40, 66, 58, 82, 80, 56, 100, 22, 88, 26, 64, 62, 42, 80, 16)],
    [.curve(74, 10, 44, 0, 22, 20, 42, 44, 74, 66, 74, 92, 42, 99, 18, 82, 34, 58, 66, 38, 76, 14)],
  ]

  private static let nine: [[GlyphStroke]] = [
    [.loop(80, 24, 52, 2, 22, 18, 22, 44, 52, 54, 76, 42), .line(80, 20, 78, 60, 70, 100)],
    [.loop(78, 26, 56, 2, 24, 14, 20, 42, 48, 54, 74, 42), .curve(80, 22, 82, 60, 64, 94, 26, 96)],
    [.curve(80, 20, 54, 0, 22, 16, 20, 44, 50, 54, 78, 30), .line(80, 18, 76, 100)],
    [.curve(76, 12, 46, 0, 20, 22, 30, 48, 62, 46, 80, 18, 78, 56, 62, 100)],
  ]
}
