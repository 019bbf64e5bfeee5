// SPDX-License-Identifier: Apache-2.0

import Foundation

extension Tensor: CustomStringConvertible, CustomDebugStringConvertible {
  /// The elements, aligned, and below them element type, shape and device:
  ///
  ///     [[ 1.0000, -2.5000],
  ///      [    nan,  3.0000]]
  ///     float32 [2, 2] on cpu
  ///
  /// Of more than 1000 elements only the edges of each dimension are copied to the host and shown, with "…" for what
  /// lies between. Where the elements cannot be had, the text says why.
  public var description: String {
    let facts = "\(summary) on \(device)" + (requiresGradient ? ", requires gradient" : "")
    do {
      return try withoutGradients { try TensorPrinter(self).text } + "\n" + facts
    } catch {
      return "The elements of \(facts) cannot be shown: \(error)"
    }
  }

  /// As `description`.
  public var debugDescription: String { description }
}

/// Lays out the elements of a tensor as text.
private struct TensorPrinter {
  /// What is shown of a dimension: the first `head` indices and the last `tail`, with a gap between unless that is all.
  private struct Window {
    let head: Int
    let tail: Int
    let hasGap: Bool
    var count: Int { head + tail }
  }

  /// More elements are summarised.
  private static let wholeLimit = 1000
  /// Indices at each end of a summarised dimension.
  private static let edge = 3
  private static let lineWidth = 80

  private let windows: [Window]
  /// The elements shown, in row-major order, all of one width.
  private let cells: [String]

  init(_ tensor: Tensor) throws {
    let shape = tensor.shape
    windows = shape.contains(0) ? [] : Self.windows(of: shape, count: tensor.count)
    guard !shape.contains(0) else {
      cells = []
      return
    }
    let shown = try Self.shown(of: tensor.detach(), windows, dimension: 0)
    let words: [String] =
      switch try tensor.dtype {
      case .bool: try shown.values(as: Bool.self).map { $0 ? "true" : "false" }
      case .int64, .int32, .uint8: try shown.values(as: Int.self).map(String.init)
      case .float32, .float64, .float16, .bfloat16: Self.words(of: try shown.values(as: Double.self))
      }
    let width = words.map(\.count).max() ?? 0
    cells = words.map { String(repeating: " ", count: width - $0.count) + $0 }
  }

  /// From the last dimension to the first, as much of each as keeps the number of elements within the limit.
  private static func windows(of shape: [Int], count: Int) -> [Window] {
    let isWhole = count <= wholeLimit
    var room = wholeLimit
    let windows = shape.reversed().map { extent in
      let wanted = isWhole ? extent : min(extent, 2 * edge)
      let shown = max(1, min(wanted, room))
      room /= shown
      let tail = shown < extent ? shown / 2 : 0
      return Window(head: shown - tail, tail: tail, hasGap: shown < extent)
    }
    return windows.reversed()
  }

  /// The part of a tensor that is shown. Every piece is narrowed in all dimensions before it is joined to others, so
  /// that nothing large is copied.
  private static func shown(of tensor: Tensor, _ windows: [Window], dimension: Int) throws -> Tensor {
    guard dimension < windows.count else { return tensor }
    let window = windows[dimension]
    guard window.hasGap else { return try shown(of: tensor, windows, dimension: dimension + 1) }
    let head = try shown(of: tensor.narrow(dimension, from: 0, length: window.head), windows, dimension: dimension + 1)
    guard window.tail > 0 else { return head }
    let start = tensor.size(dimension) - window.tail
    let tail = try shown(
      of: tensor.narrow(dimension, from: start, length: window.tail), windows, dimension: dimension + 1)
    return try Tensor.concatenate([head, tail], dimension: dimension)
  }

  /// Whole numbers as "2.", others with four decimals, and with exponents where magnitudes are far apart.
  private static func words(of values: [Double]) -> [String] {
    let sizes = values.filter { $0.isFinite && $0 != 0 }.map(abs)
    let (smallest, largest) = (sizes.min() ?? 1, sizes.max() ?? 1)
    let isWhole = values.allSatisfy { !$0.isFinite || $0 == $0.rounded() }
    let isScientific = largest > 1e8 || largest / smallest > 1000 && !isWhole || smallest < 1e-4
    return values.map { value in
      if value.isNaN { return "nan" }
      if value.isInfinite { return value < 0 ? "-inf" : "inf" }
      if isScientific { return String(format: "%.4e", value) }
      return String(format: isWhole ? "%.0f." : "%.4f", value)
    }
  }

  var text: String {
    guard !cells.isEmpty else { return "[]" }
    var rest = cells[...]
    return block(dimension: 0, cells: &rest)
  }

  /// The elements of one index of the dimensions before this one.
  private func block(dimension: Int, cells: inout ArraySlice<String>) -> String {
    guard dimension < windows.count else { return cells.popFirst() ?? "" }
    let window = windows[dimension]
    var parts = (0..<window.count).map { _ in block(dimension: dimension + 1, cells: &cells) }
    if window.hasGap { parts.insert("…", at: window.head) }
    let indent = String(repeating: " ", count: dimension + 1)
    if dimension == windows.count - 1 { return "[" + Self.row(parts, indent: indent) + "]" }
    let separator = "," + String(repeating: "\n", count: windows.count - 1 - dimension) + indent
    return "[" + parts.joined(separator: separator) + "]"
  }

  /// The elements of the last dimension, over as many lines as they need.
  private static func row(_ parts: [String], indent: String) -> String {
    let width = (parts.map(\.count).max() ?? 0) + 2
    let perLine = max(1, (lineWidth - indent.count) / width)
    let lines = stride(from: 0, to: parts.count, by: perLine).map { start in
      parts[start..<min(start + perLine, parts.count)].joined(separator: ", ")
    }
    return lines.joined(separator: ",\n" + indent)
  }
}
