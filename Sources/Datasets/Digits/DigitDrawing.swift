// SPDX-License-Identifier: Apache-2.0

/// How much the drawn digits vary.
///
/// The defaults keep a linear classifier clearly below a small network, and leave every picture enough of its own for
/// random labels to be memorised. Test accuracy with seed 0, plain SGD (lr 0.1, batch 100), measured in PyTorch:
/// softmax regression on 60 000, 6 epochs: 88.7 %; 784-256-10 on 60 000, 5 epochs: 97.9 %; the same on the first
/// 10 000, 30 epochs: 97.1 %. 784-512-10 on 2 000 random labels (batch 50): 99.2 % on them after 60 epochs.
struct DigitVariation: Sendable {
  /// Standard deviation of each control point, in box units.
  var pointJitter = 0.025
  /// Greatest rotation either way, radians.
  var rotation = 0.26
  /// Greatest shear either way, x per y.
  var shear = 0.26
  /// Smallest and greatest height, pixels.
  var height = (low: 16.0, high: 21.0)
  /// Smallest and greatest width as a share of the height.
  var aspect = (low: 0.6, high: 0.92)
  /// Greatest shift of the centre either way, pixels.
  var shift = 2.45
  /// Standard deviation of the elastic warp at its control grid, pixels.
  var warp = 0.65
  /// Smallest and greatest half-width of the pen, pixels.
  var pen = (low: 0.65, high: 1.4)
  /// Chance of a stray mark, and of a second one after it.
  var strayChance = 0.35
  /// Greatest amplitude of the paper's grain, of 255.
  var grain = 16.0
}

/// Draws one handwritten-looking digit into 28 × 28 bytes, ink bright on dark as in MNIST.
///
/// Only exactly rounded arithmetic is used, so that a generator's state means the same picture everywhere.
struct DigitDrawing {
  static let side = 28
  static let pixelCount = side * side

  private var generator: SeededGenerator
  private let shapes: [[[GlyphStroke]]]
  private let variation: DigitVariation
  private var ink = [Double](repeating: 0, count: DigitDrawing.pixelCount)

  /// - Parameter shapes: the styles of every class.
  init(
    generator: SeededGenerator, shapes: [[[GlyphStroke]]] = GlyphShapes.styles,
    variation: DigitVariation = DigitVariation()
  ) { (self.generator, self.shapes, self.variation) = (generator, shapes, variation) }

  /// Draws a digit of a random class and writes it to `pixels`, which holds `pixelCount` bytes; returns the class.
  mutating func draw(into pixels: UnsafeMutableRawBufferPointer) -> Int {
    let label = generator.integer(below: shapes.count)
    let styles = shapes[label]
    let style = styles[generator.integer(below: styles.count)]
    let placement = Placement(&generator, variation)
    let warp = Warp(&generator, variation)
    let pen = generator.uniform(variation.pen.low, variation.pen.high)
    let pressure = generator.uniform(0.78, 1)
    for stroke in style {
      let points = outline(stroke).map { warp.moved(placement.pixel($0)) }
      // The pen grows or thins a little along the stroke.
      let drift = generator.uniform(-0.18, 0.18)
      mark(points, from: pen * (1 - drift), to: pen * (1 + drift), strength: pressure)
    }
    drawStrays()
    develop(into: pixels)
    return label
  }

  // The stroke as a fine polyline in box units, its control points jittered.
  private mutating func outline(_ stroke: GlyphStroke) -> [Point] {
    let jitter = variation.pointJitter
    let control = stride(from: 0, to: stroke.points.count - 1, by: 2).map { k in
      Point(
        x: stroke.points[k] / 100 + jitter * generator.normal(),
        y: stroke.points[k + 1] / 100 + jitter * generator.normal())
    }
    switch stroke.kind {
    case .line: return Self.subdivided(control)
    case .curve: return Self.spline(control, closed: false)
    case .loop: return Self.spline(control, closed: true)
    }
  }

  // Straight pieces cut up, so that the warp bends them.
  private static func subdivided(_ control: [Point]) -> [Point] {
    guard var last = control.first else { return [] }
    var result = [last]
    for point in control.dropFirst() {
      for step in 1...4 {
        let t = Double(step) / 4
        result.append(Point(x: last.x + t * (point.x - last.x), y: last.y + t * (point.y - last.y)))
      }
      last = point
    }
    return result
  }

  // A uniform Catmull-Rom spline through the control points, four pieces between each two.
  private static func spline(_ control: [Point], closed: Bool) -> [Point] {
    let n = control.count
    guard n > 1 else { return control }
    func at(_ k: Int) -> Point { closed ? control[(k + n) % n] : control[min(max(k, 0), n - 1)] }
    var result = [control[0]]
    for k in 0..<(closed ? n : n - 1) {
      let (a, b, c, d) = (at(k - 1), at(k), at(k + 1), at(k + 2))
      for step in 1...4 {
        let t = Double(step) / 4
        result.append(Point(x: catmullRom(a.x, b.x, c.x, d.x, t), y: catmullRom(a.y, b.y, c.y, d.y, t)))
      }
    }
    return result
  }

  private static func catmullRom(_ a: Double, _ b: Double, _ c: Double, _ d: Double, _ t: Double) -> Double {
    let linear = c - a
    let square = 2 * a - 5 * b + 4 * c - d
    let cube = 3 * b - a - 3 * c + d
    return 0.5 * (2 * b + t * (linear + t * (square + t * cube)))
  }

  // Faint short marks anywhere: dust, slips of the pen.
  private mutating func drawStrays() {
    for _ in 0..<2 {
      guard generator.unit() < variation.strayChance else { return }
      let start = Point(x: generator.uniform(0, 27), y: generator.uniform(0, 27))
      let middle = Point(x: start.x + generator.uniform(-4, 4), y: start.y + generator.uniform(-4, 4))
      let end = Point(x: middle.x + generator.uniform(-3, 3), y: middle.y + generator.uniform(-3, 3))
      let width = generator.uniform(0.3, 0.7)
      mark([start, middle, end], from: width, to: width, strength: generator.uniform(0.2, 0.6))
    }
  }

  // Raises the ink near each piece of a polyline to the pen's coverage there.
  private mutating func mark(_ points: [Point], from first: Double, to last: Double, strength: Double) {
    let pieces = points.count - 1
    guard pieces > 0 else { return }
    ink.withUnsafeMutableBufferPointer { ink in
      for piece in 0..<pieces {
        let half = first + (last - first) * (Double(piece) + 0.5) / Double(pieces)
        Self.mark(ink, points[piece], points[piece + 1], half: half, strength: strength)
      }
    }
  }

  private static func mark(
    _ ink: UnsafeMutableBufferPointer<Double>, _ a: Point, _ b: Point, half: Double, strength: Double
  ) {
    let reach = half + 0.5
    let (dx, dy) = (b.x - a.x, b.y - a.y)
    let square = dx * dx + dy * dy
    let inverse = square > 0 ? 1 / square : 0
    let columns = pixels(min(a.x, b.x) - reach, max(a.x, b.x) + reach)
    for row in pixels(min(a.y, b.y) - reach, max(a.y, b.y) + reach) {
      let py = Double(row) - a.y
      for column in columns {
        let px = Double(column) - a.x
        let t = min(max((px * dx + py * dy) * inverse, 0), 1)
        let (ex, ey) = (px - t * dx, py - t * dy)
        let distance = ex * ex + ey * ey
        guard distance < reach * reach else { continue }
        let coverage = min(reach - distance.squareRoot(), 1) * strength
        let place = row * side + column
        if coverage > ink[place] { ink[place] = coverage }
      }
    }
  }

  // The pixel centres within [low, high], cut to the picture.
  private static func pixels(_ low: Double, _ high: Double) -> Range<Int> {
    let first = min(max(low.rounded(.up), 0), Double(side))
    let end = min(max(high.rounded(.down) + 1, first), Double(side))
    // In range: within the grid.
    return Int(first)..<Int(end)
  }

  // Adds the paper's grain and turns ink into bytes.
  private mutating func develop(into pixels: UnsafeMutableRawBufferPointer) {
    let grain = variation.grain * generator.unit() / 255
    var word: UInt64 = 0
    for place in 0..<Self.pixelCount {
      if place % 8 == 0 { word = generator.next() }
      let speck = Double(word & 0xFF) * grain
      word >>= 8
      pixels[place] = UInt8(min(ink[place] * 255 + (1 - ink[place]) * speck, 255))
    }
  }
}

/// A point, in box units or pixels.
struct Point {
  var x: Double
  var y: Double
}

/// Where and how a digit stands in the picture: scale, shear, rotation and shift.
private struct Placement {
  let xx, xy, yx, yy: Double
  let center: Point

  init(_ generator: inout SeededGenerator, _ variation: DigitVariation) {
    let height = generator.uniform(variation.height.low, variation.height.high)
    let width = height * generator.uniform(variation.aspect.low, variation.aspect.high)
    let shear = generator.uniform(-variation.shear, variation.shear)
    let angle = generator.uniform(-variation.rotation, variation.rotation)
    let (sine, cosine) = (ExactMath.sine(angle), ExactMath.cosine(angle))
    xx = cosine * width
    xy = (cosine * shear - sine) * height
    yx = sine * width
    yy = (sine * shear + cosine) * height
    let middle = Double(DigitDrawing.side - 1) / 2
    center = Point(
      x: middle + generator.uniform(-variation.shift, variation.shift),
      y: middle + generator.uniform(-variation.shift, variation.shift))
  }

  func pixel(_ point: Point) -> Point {
    let (x, y) = (point.x - 0.5, point.y - 0.5)
    return Point(x: center.x + xx * x + xy * y, y: center.y + yx * x + yy * y)
  }
}

/// A smooth random bend of the paper: random shifts on a 5 × 5 grid, joined bilinearly with smooth steps.
private struct Warp {
  private static let grid = 5
  private let shifts: [Point]

  init(_ generator: inout SeededGenerator, _ variation: DigitVariation) {
    var shifts: [Point] = []
    for _ in 0..<(Self.grid * Self.grid) {
      shifts.append(Point(x: variation.warp * generator.normal(), y: variation.warp * generator.normal()))
    }
    self.shifts = shifts
  }

  func moved(_ point: Point) -> Point {
    let (column, u) = Self.cell(point.x)
    let (row, v) = Self.cell(point.y)
    let first = row * Self.grid + column
    let (a, b) = (shifts[first], shifts[first + 1])
    let (c, d) = (shifts[first + Self.grid], shifts[first + Self.grid + 1])
    let x = (a.x + u * (b.x - a.x)) * (1 - v) + (c.x + u * (d.x - c.x)) * v
    let y = (a.y + u * (b.y - a.y)) * (1 - v) + (c.y + u * (d.y - c.y)) * v
    return Point(x: point.x + x, y: point.y + y)
  }

  // The grid cell of a coordinate, and the smooth step within it.
  private static func cell(_ coordinate: Double) -> (index: Int, step: Double) {
    let cells = Double(grid - 1)
    let place = min(max(coordinate / Double(DigitDrawing.side - 1) * cells, 0), cells)
    // In range: within the grid.
    let index = min(Int(place), grid - 2)
    let t = place - Double(index)
    return (index, t * t * (3 - 2 * t))
  }
}
