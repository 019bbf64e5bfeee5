// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What `coherent data info` shows of a loaded data set.
public struct DatasetSummary: Sendable, Codable, Equatable {
  /// The data set's name.
  public let name: String
  /// The half it is.
  public let split: Split
  /// Number of examples.
  public let count: Int
  /// Channels, height, width; the number of its tokens where an example has those.
  public let exampleShape: [Int]
  /// The number of different tokens; nil for images.
  public let vocabulary: Int?
  /// One name for each class.
  public let classNames: [String]
  /// Examples of each class, in class order.
  public let classCounts: [Int]
  /// Mean of byte / 255 over all values.
  public let mean: Double
  /// Standard deviation of byte / 255 over all values (divided by their number).
  public let standardDeviation: Double
  /// SHA-256 of images and labels; see `Dataset.contentChecksum()`.
  public let contentChecksum: String
  /// SHA-256 of each source file.
  public let sourceChecksums: [String: String]
  /// Files that were left out, each with the reason; nil when there are none.
  public let skipped: [String]?

  /// Looks at every value of a data set.
  ///
  /// - Throws: `DatasetError` that names a file that cannot be decoded.
  public init(of dataset: Dataset) throws {
    name = dataset.name
    split = dataset.split
    count = dataset.count
    exampleShape = dataset.exampleShape
    vocabulary = dataset.vocabulary
    classNames = dataset.classNames
    var counts = [Int](repeating: 0, count: dataset.classCount)
    for label in dataset.labels { counts[label] += 1 }
    classCounts = counts
    // A histogram makes the sums exact: whole numbers until the last division.
    var histogram = [Int](repeating: 0, count: 256)
    try dataset.forEachPart { bytes in for byte in bytes { histogram[Int(byte)] += 1 } }
    var (sum, squares) = (0.0, 0.0)
    for (value, number) in histogram.enumerated() {
      sum += Double(value) * Double(number)
      squares += Double(value * value) * Double(number)
    }
    let total = Double(max(dataset.count * dataset.exampleSize, 1))
    mean = sum / total / 255
    standardDeviation = max(squares / total - (sum / total) * (sum / total), 0).squareRoot() / 255
    contentChecksum = try dataset.contentChecksum()
    sourceChecksums = dataset.sourceChecksums
    skipped = dataset.skipped.isEmpty ? nil : dataset.skipped.map { "\($0.path): \($0.reason)" }
  }
}

/// Whether the files of a known data set lie in a folder, and are the published ones.
public struct DatasetFileStatus: Sendable, Codable, Equatable {
  /// What was found.
  public enum State: String, Sendable, Codable {
    /// No such file under any of its names.
    case missing
    /// There, with the published checksum.
    case verified
    /// There as an unpacked file, which has no published checksum.
    case unpacked
    /// There, but not the published file: damaged, or from elsewhere.
    case different
  }

  /// The published name.
  public let name: String
  /// The path found, if any.
  public let path: String?
  /// What was found.
  public let state: State
  /// SHA-256 of the file found.
  public let sha256: String?

  /// Looks for the files of a data set in a folder and checks them.
  ///
  /// - Throws: `DatasetError` when a file that exists cannot be read.
  public static func check(_ entry: DatasetEntry, in directory: String) throws -> [DatasetFileStatus] {
    try entry.files.map { file in
      guard let path = DatasetLoader.find(file, of: entry, in: directory) else {
        return DatasetFileStatus(name: file.name, path: nil, state: .missing, sha256: nil)
      }
      let sum = try FileReading.sha256(of: path)
      // A file that is only published in an archive has no checksum of its own, but a size.
      let isOther = file.sha256 == nil ? try FileReading.regularFileSize(path) != file.size : path.hasSuffix(".gz")
      let state: State = sum == file.sha256 ? .verified : isOther ? .different : .unpacked
      return DatasetFileStatus(name: file.name, path: path, state: state, sha256: sum)
    }
  }

  /// The data sets that have files in a folder. Some are published under the names of others, as Fashion-MNIST is: one
  /// whose files there are, by their checksums, all those of another data set is not among them.
  ///
  /// - Throws: `DatasetError` when a file that exists cannot be read.
  public static func found(
    in directory: String, among entries: [DatasetEntry] = DatasetCatalog.all
  ) throws -> [(entry: DatasetEntry, files: [DatasetFileStatus])] {
    let published = Set(entries.flatMap(\.files).compactMap(\.sha256))
    return try entries.compactMap { entry in
      let files = try check(entry, in: directory)
      let present = files.filter { $0.path != nil }
      let isAnother = present.allSatisfy { file in
        file.state == .different && file.sha256.map { published.contains($0) } ?? false
      }
      return present.isEmpty || isAnother ? nil : (entry, files)
    }
  }
}
