// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where the thumbnails of examples lie on the sheets of a folder: the contents of its `thumbnails.json`.
///
/// The example at position p of `indices` lies on sheet p / (columns·rows), whose file is `thumbnails/` and the number of
/// the sheet in four digits, in row p % (columns·rows) / columns and column p % columns.
public struct ThumbnailIndex: Codable, Sendable, Equatable {
  /// Height and width of a thumbnail, in pixels.
  public let side: Int
  /// Thumbnails in a row of a sheet.
  public let columns: Int
  /// Rows of a sheet.
  public let rows: Int
  /// The example at each position.
  public let indices: [Int]

  /// The name of the file below the folder.
  public static let fileName = "thumbnails.json"

  /// The path of a sheet below the folder.
  ///
  /// - Parameter number: counted from 0.
  public static func sheet(_ number: Int) -> String {
    let digits = String(number)
    return "thumbnails/" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits + ".png"
  }
}

extension PictureSheet {
  /// Writes the thumbnails of examples into a folder: sheets `thumbnails/0000.png`, `0001.png` and so on, each of the full
  /// size, and then `thumbnails.json`, a `ThumbnailIndex`. Sheets of the folder that were written before are replaced.
  ///
  /// - Parameters:
  ///   - indices: the examples, in the order of their positions; one that occurs again is left out.
  ///   - dataset: where they are.
  ///   - folder: an existing folder.
  /// - Returns: the pictures that could not be read and have a placeholder.
  /// - Throws: `DatasetError` when an index is not in the data set, its examples are no pictures, or a file cannot be
  ///   written.
  @discardableResult
  public func writeSheets(of indices: [Int], in dataset: Dataset, into folder: URL) throws -> [UnreadablePicture] {
    var seen: Set<Int> = []
    let indices = indices.filter { seen.insert($0).inserted }
    // Before anything is written.
    _ = try Self.channels(of: dataset)
    try dataset.check(indices)
    let place = folder.appendingPathComponent("thumbnails", isDirectory: true)
    do {
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    } catch {
      throw DatasetError(
        "The folder \(place.path) cannot be made: \(FileReading.reason(error)).",
        remedy: "Check the folder, its permissions and the free space.")
    }
    var unreadable: [UnreadablePicture] = []
    for (number, start) in stride(from: 0, to: indices.count, by: capacity).enumerated() {
      let drawn = try png(of: Array(indices[start..<min(start + capacity, indices.count)]), in: dataset)
      unreadable += drawn.unreadable
      try FileReading.write(drawn.png, to: folder.appendingPathComponent(ThumbnailIndex.sheet(number)).path)
    }
    let index = ThumbnailIndex(side: side, columns: columns, rows: rows, indices: indices)
    try FileReading.write(
      JSONEncoder().encode(index), to: folder.appendingPathComponent(ThumbnailIndex.fileName).path)
    return unreadable
  }
}
