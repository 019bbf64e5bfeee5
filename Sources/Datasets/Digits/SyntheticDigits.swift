// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The built-in data sets `digits` (procedurally drawn handwritten-looking digits, 28 × 28, ten classes, no download) and
/// `glyphs:K` (K invented characters, drawn in the same way).
///
/// Each example is drawn from a generator of its own, derived from (seed, split, index): a smaller set is a prefix of a
/// larger one, the number of threads does not matter, and training and test examples never share a stream.
public enum SyntheticDigits {
  /// Examples available in each split: as many as MNIST has.
  public static func available(_ split: Split) -> Int {
    switch split {
    case .train: 60_000
    case .test: 10_000
    }
  }

  /// The names of the classes, "0" to "9".
  public static let classNames = (0..<10).map { String($0) }

  /// The numbers of classes that glyphs can have.
  public static let glyphClasses = 2...1000

  /// The number K of classes of a name `glyphs:K`; nil for any other name.
  ///
  /// - Throws: `DatasetError` when K is no number in `glyphClasses`.
  static func glyphCount(in name: String) throws -> Int? {
    let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0] == "glyphs" else { return nil }
    guard parts.count == 2, let count = Int(parts[1]), glyphClasses.contains(count) else {
      throw DatasetError(
        "There is no data set called \"\(name)\": glyphs has its number of classes behind a colon.",
        remedy:
          "Write glyphs:K with K from \(glyphClasses.lowerBound) to \(glyphClasses.upperBound), such as glyphs:100.")
    }
    return count
  }

  /// Channels, height, width.
  public static let exampleShape = [1, DigitDrawing.side, DigitDrawing.side]

  /// Draws the first `count` examples of a split on all cores.
  ///
  /// - Parameters:
  ///   - split: training or test examples.
  ///   - count: how many; all that are available when nil.
  ///   - glyphs: the number of classes of invented characters; nil for the ten digits.
  ///   - seed: the seed of the drawings. 0, the default, is the data set that this project reports results on.
  /// - Throws: `DatasetError` when `count` is not in 1 ... `available(split)`.
  public static func draw(split: Split, count: Int? = nil, seed: UInt64 = 0, glyphs: Int? = nil) throws -> Dataset {
    let most = available(split)
    let count = count ?? most
    guard count >= 1, count <= most else {
      throw DatasetError(
        "\(count) digits were asked for, but the \(split.rawValue) split has \(most).",
        remedy: "Ask for a number between 1 and \(most).")
    }
    let stream = split == .train ? SeedStream.digitsTrain : .digitsTest
    let shapes = glyphs.map(InventedGlyphs.styles) ?? GlyphShapes.styles
    let (name, classNames) = (glyphs.map { "glyphs:\($0)" } ?? "digits", shapes.indices.map { String($0) })
    var labels = [Int](repeating: 0, count: count)
    let images = try ByteStorage(count: count * DigitDrawing.pixelCount) { buffer in
      labels.withUnsafeMutableBufferPointer { labels in
        // Blocks write to places of their own, so the shared buffers are never written twice.
        nonisolated(unsafe) let (pixels, labels) = (buffer, labels)
        let block = 250
        DispatchQueue.concurrentPerform(iterations: (count + block - 1) / block) { number in
          for index in (number * block)..<min((number + 1) * block, count) {
            var drawing = DigitDrawing(
              generator: SeededGenerator(seed: seed, stream: stream, index: index), shapes: shapes)
            labels[index] = drawing.draw(into: pixels.row(index, of: DigitDrawing.pixelCount))
          }
        }
      }
    }
    var drawn = try Dataset(
      name: name, split: split, exampleShape: exampleShape, classNames: classNames, images: images, labels: labels)
    drawn.sourceChecksums = ["content": try drawn.contentChecksum()]
    return drawn
  }
}
