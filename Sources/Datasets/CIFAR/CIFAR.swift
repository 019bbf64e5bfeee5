// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// The binary version of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): records of the label bytes (one; coarse and fine for
/// CIFAR-100) followed by 3072 bytes of picture, channel by channel, row by row.
enum CIFAR {
  static let exampleShape = [3, 32, 32]
  private static let imageSize = 3072

  /// Reads the files of one split, in their published order.
  ///
  /// - Throws: `DatasetError` that names the file: missing (unless that is allowed and another is there), of a length
  ///   that is no whole number of records, or with a label that is no class, by its byte.
  static func load(
    _ entry: DatasetEntry, split: Split, directory: String, count: Int?, options: DatasetOptions
  ) throws -> Dataset {
    let files = entry.files.filter { $0.split == split }
    let found = files.map { DatasetLoader.find($0, of: entry, in: directory) }
    let missing = zip(files, found).filter { $1 == nil }.map { $0.0.name }
    let paths = found.compactMap { $0 }
    if !missing.isEmpty, !options.allowsMissingFiles || paths.isEmpty {
      throw absence(of: missing, entry, split: split, directory: directory, present: paths)
    }
    let labelBytes = entry.classNames.count > 10 ? 2 : 1
    var pieces: [(path: String, bytes: Data)] = []
    var (sums, total) = ([String: String](), 0)
    for path in paths {
      let bytes = try FileReading.bytes(of: path, limit: 1 << 31)
      try checkLength(bytes.count, record: labelBytes + imageSize, path: path)
      sums[(path as NSString).lastPathComponent] = hexadecimal(SHA256.hash(data: bytes))
      pieces.append((path, bytes))
      total += bytes.count / (labelBytes + imageSize)
    }
    var labels: [Int] = []
    labels.reserveCapacity(total)
    let images = try ByteStorage(count: total * imageSize) { buffer in
      for (path, bytes) in pieces {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[(labels.count * imageSize)...])
        labels += try unpack(bytes, labelBytes: labelBytes, classCount: entry.classNames.count, path: path, into: rest)
      }
    }
    var dataset = try Dataset(
      name: entry.name, split: split, exampleShape: exampleShape, classNames: entry.classNames, images: images,
      labels: labels, sourceChecksums: sums)
    if !missing.isEmpty {
      dataset.notes.append(
        "\(entry.name) (\(split.rawValue)) is incomplete: \(missing.joined(separator: ", ")) "
          + "\(missing.count == 1 ? "is" : "are") missing, which leaves \(dataset.count) examples; "
          + "`coherent data fetch \(entry.name) --data-dir \(directory)` downloads the rest")
    }
    return try count.map { try dataset.subset(first: $0) } ?? dataset
  }

  private static func absence(
    of missing: [String], _ entry: DatasetEntry, split: Split, directory: String, present: [String]
  ) -> DatasetError {
    let names = missing.joined(separator: ", ")
    let download = "Download \(entry.name) with `coherent data fetch \(entry.name) --data-dir \(directory)`"
    guard !present.isEmpty else {
      return DatasetError(
        "The \(split.rawValue) examples of \(entry.name) are missing: there is no \(names) in \(directory).",
        remedy: download + ", or check the folder.")
    }
    let there = present.map { ($0 as NSString).lastPathComponent }.joined(separator: ", ")
    return DatasetError(
      "\(entry.name) (\(split.rawValue)) is incomplete in \(directory): \(names) \(missing.count == 1 ? "is" : "are") "
        + "missing, \(there) \(present.count == 1 ? "is" : "are") there.",
      remedy: download + ", or continue with the files present: --allow-missing (allow-missing: true in a file, "
        + "--set allow-missing=true for a study).")
  }

  private static func checkLength(_ size: Int, record: Int, path: String) throws {
    guard size > 0, size % record == 0 else {
      let rest = size % record
      throw DatasetError(
        "\(path) has \(size) bytes, which is not a whole number of records of \(record) bytes"
          + (size == 0 ? "." : ": \(rest) bytes follow the last whole record, from byte \(size - rest) on."),
        remedy: "It is truncated or not the right file; fetch it again.")
    }
  }

  // Copies the pictures to the start of `target` and returns the labels.
  private static func unpack(
    _ bytes: Data, labelBytes: Int, classCount: Int, path: String, into target: UnsafeMutableRawBufferPointer
  ) throws -> [Int] {
    let record = labelBytes + imageSize
    return try bytes.withUnsafeBytes { source in
      try (0..<source.count / record).map { place in
        let start = place * record
        // The fine label of CIFAR-100 is the second byte.
        let label = Int(source[start + labelBytes - 1])
        guard label < classCount else {
          throw DatasetError(
            "\(path): byte \(start + labelBytes - 1) (the label of record \(place)) is \(label), but the classes are 0 to "
              + "\(classCount - 1).", remedy: "The file is damaged or not the right one; fetch it again.")
        }
        target.row(place, of: imageSize).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[(start + labelBytes)..<(start + record)]))
        return label
      }
    }
  }
}
