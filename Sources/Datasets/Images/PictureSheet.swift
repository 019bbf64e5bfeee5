// SPDX-License-Identifier: Apache-2.0

import CImageCodecs
import Foundation

/// A picture that has a placeholder on a sheet.
public struct UnreadablePicture: Sendable, Equatable {
  /// The example.
  public let index: Int
  /// Its file below the data folder; nil where the data set has none.
  public let file: String?
  /// Why, as a clause.
  public let reason: String
}

/// A grid of square thumbnails of a data set's pictures, row after row. Large pictures are reduced (antialiased), small
/// ones enlarged pixel by pixel.
///
/// Pictures in memory are shown as they are there, that is as the model sees them; those in files from their files.
public struct PictureSheet: Sendable, Equatable {
  /// How a picture that is not square fills a square.
  public enum Fit: Sendable, Equatable {
    /// All of it, with margins.
    case whole
    /// The central square of it.
    case square
  }

  /// Height and width of a thumbnail, in pixels.
  public let side: Int
  /// Thumbnails in a row.
  public let columns: Int
  /// Rows of thumbnails.
  public let rows: Int
  /// How pictures fill squares.
  public let fit: Fit

  /// The number of thumbnails.
  public var capacity: Int { columns * rows }

  /// The colour of margins and of places without a picture.
  private static let background: UInt8 = 240
  /// The lines of a placeholder.
  private static let line: UInt8 = 150
  /// Height and width of a sheet beyond which it is refused, in pixels.
  private static let greatestLength = 8192

  /// A sheet from its measures.
  ///
  /// - Parameters:
  ///   - side: height and width of a thumbnail, in pixels.
  ///   - columns: thumbnails in a row.
  ///   - rows: rows of thumbnails.
  ///   - fit: how pictures that are not square fill squares.
  /// - Throws: `DatasetError` when a measure is below 1, or the sheet would be longer than 8192 pixels.
  public init(side: Int = 64, columns: Int = 10, rows: Int = 10, fit: Fit = .whole) throws {
    guard [side, columns, rows].allSatisfy({ (1...Self.greatestLength).contains($0) }),
      side * max(columns, rows) <= Self.greatestLength
    else {
      throw DatasetError(
        "A sheet of \(columns) x \(rows) pictures of \(side) pixels cannot be drawn.",
        remedy: "Every number must be at least 1, and a sheet at most \(Self.greatestLength) pixels long.")
    }
    (self.side, self.columns, self.rows, self.fit) = (side, columns, rows, fit)
  }

  /// Draws pictures of a data set into one PNG of columns·side × rows·side pixels, grey where the data set is. A picture
  /// that cannot be read has a placeholder: a crossed-out square.
  ///
  /// - Parameters:
  ///   - indices: the examples, at most `capacity`, in the order of their places.
  ///   - dataset: where they are.
  /// - Returns: the bytes of the file, and the pictures that could not be read.
  /// - Throws: `DatasetError` when there are too many, an index is not in the data set, or the data set's pictures have
  ///   neither one nor three channels.
  public func png(of indices: [Int], in dataset: Dataset) throws -> (png: Data, unreadable: [UnreadablePicture]) {
    guard indices.count <= capacity else {
      throw DatasetError("\(indices.count) pictures do not fit a sheet of \(columns) x \(rows).")
    }
    let channels = try Self.channels(of: dataset)
    try dataset.check(indices)
    let (pitch, square) = (columns * side * channels, side * side * channels)
    var pixels = [UInt8](repeating: Self.background, count: pitch * rows * side)
    var thumbnails = [UInt8](repeating: Self.background, count: indices.count * square)
    let problems = try thumbnails.withUnsafeMutableBytes { room in
      // Each thread writes the thumbnails of its own places.
      nonisolated(unsafe) let room = room
      return try ImageDecoder.inParallel(indices.count, workers: workers(for: dataset)) { place, decoder in
        let target = room.row(place, of: square)
        do {
          try draw(dataset, indices[place], decoder, channels: channels, into: target)
        } catch {
          drawPlaceholder(channels: channels, into: target)
          throw error
        }
      }
    }
    for place in indices.indices {
      let corner = place / columns * side * pitch + place % columns * side * channels
      for row in 0..<side {
        let (from, to) = (place * square + row * side * channels, corner + row * pitch)
        pixels.replaceSubrange(to..<to + side * channels, with: thumbnails[from..<from + side * channels])
      }
    }
    let png = try PNGEncoder.encode(pixels, width: columns * side, height: rows * side, channels: channels)
    let unreadable = problems.sorted { $0.key < $1.key }.map { place, reason in
      UnreadablePicture(index: indices[place], file: dataset.file(at: indices[place]), reason: reason)
    }
    return (png, unreadable)
  }

  private func workers(for dataset: Dataset) -> Int {
    if case .files(let files) = dataset.storage { files.workers } else { 1 }
  }

  static func channels(of dataset: Dataset) throws -> Int {
    let shape = dataset.exampleShape
    guard shape.count == 3, shape[0] == 1 || shape[0] == 3, shape[1...].allSatisfy({ Int32(exactly: $0) != nil }) else {
      throw DatasetError(
        "Examples of \(dataset.name) have the shape \(shape); only those of one or three channels are pictures.")
    }
    return shape[0]
  }

  // One thumbnail: side × side × channels bytes.
  private func draw(
    _ dataset: Dataset, _ index: Int, _ decoder: ImageDecoder, channels: Int, into target: UnsafeMutableRawBufferPointer
  ) throws {
    let size: ic_size
    switch dataset.storage {
    case .memory(let images):
      size = ic_size(width: Int32(dataset.exampleShape[2]), height: Int32(dataset.exampleShape[1]))
      try images.withUnsafeBytes {
        try decoder.take($0.row(index, of: dataset.exampleSize), channels: channels, size: size)
      }
    case .windows: throw DatasetError("Examples of \(dataset.name) are no pictures.")
    case .files(let files): size = try decoder.open(files.fullPath(index))
    }
    let (view, width, height) = view(of: size)
    let (shownWidth, shownHeight) = (Int(view.cropped.width), Int(view.cropped.height))
    var planes = [UInt8](repeating: 0, count: 3 * shownWidth * shownHeight)
    try planes.withUnsafeMutableBytes { try decoder.show(view, into: $0) }
    let (left, top) = ((side - width) / 2, (side - height) / 2)
    for y in 0..<height {
      let row = y * shownHeight / height * shownWidth
      for x in 0..<width {
        let (from, to) = (row + x * shownWidth / width, ((top + y) * side + left + x) * channels)
        for channel in 0..<channels { target[to + channel] = planes[channel * shownWidth * shownHeight + from] }
      }
    }
  }

  // What is shown of a picture, never larger than it is, and the width and height that it then fills.
  private func view(of size: ic_size) -> (view: ic_view, width: Int, height: Int) {
    var view = ic_view()
    view.source = size
    let long = fit == .square ? min(size.width, size.height) : max(size.width, size.height)
    if fit == .square {
      view.source = ic_size(width: long, height: long)
      (view.source_left, view.source_top) = ((size.width - long) / 2, (size.height - long) / 2)
    }
    func filled(_ length: Int32) -> Int { max(1, (2 * Int(length) * side + Int(long)) / (2 * Int(long))) }
    let (width, height) = (filled(view.source.width), filled(view.source.height))
    view.scaled = Int(long) <= side ? view.source : ic_size(width: Int32(width), height: Int32(height))
    view.cropped = view.scaled
    return (view, width, height)
  }

  private func drawPlaceholder(channels: Int, into target: UnsafeMutableRawBufferPointer) {
    for y in 0..<side {
      for x in 0..<side {
        let isLine = x == y || x + y == side - 1 || x == 0 || y == 0 || x == side - 1 || y == side - 1
        for channel in 0..<channels {
          target[(y * side + x) * channels + channel] = isLine ? Self.line : Self.background
        }
      }
    }
  }
}
