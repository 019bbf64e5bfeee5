// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

extension ImageFolder {
  /// Folders with more files are not looked through at the start unless bad files are to be skipped.
  static let maximumCheckedFiles = 20_000

  /// Loads a split of an image folder.
  ///
  /// A folder whose decoded images are small enough in all is decoded at once and kept in memory, unless it is augmented
  /// from its pictures. Otherwise images are decoded when they are needed, and it depends what is found out at the
  /// start: with `skipsBadImages` every file is decoded once, so that the examples keep their numbers for the whole run;
  /// else the headers of at most 20 000 files are read.
  ///
  /// - Throws: `DatasetError` for folders and files that cannot be used.
  static func load(_ directory: String, split: Split, count: Int?, options: DatasetOptions) throws -> Dataset {
    let folder = try ImageFolder(directory, split: split, options)
    let transform = try ImageTransform(size: options.imageSize ?? 224, resize: options.resize)
    let files = ImageFiles(
      root: URL(fileURLWithPath: directory).path, paths: folder.paths, transform: transform,
      workers: options.workers ?? ProcessInfo.processInfo.activeProcessorCount, prefetch: options.prefetch)
    let total = checkedProduct([files.count, files.imageSize]) ?? .max
    let isKept = total <= options.maximumBytesInMemory && options.augmentation.crop == .none
    var images: ByteStorage?
    var problems: [Int: String] = [:]
    if isKept {
      (images, problems) = try files.decodeAll()
    } else if options.skipsBadImages {
      problems = try files.problemsOfDecoding()
    } else if files.count <= maximumCheckedFiles {
      problems = try files.problemsOfHeaders()
    }
    let skipped = problems.sorted { $0.key < $1.key }.map { SkippedImage(path: files.paths[$0.key], reason: $0.value) }
    guard skipped.isEmpty || options.skipsBadImages else { throw files.unusable(skipped) }
    var dataset = try Dataset(
      name: "folder", split: split, exampleShape: [3, transform.size, transform.size], classNames: folder.classNames,
      storage: images.map { .memory($0) } ?? .files(files), labels: folder.labels,
      sourceChecksums: [split.rawValue + " (paths and sizes)": folder.checksum])
    dataset.notes = folder.notes
    dataset.paths = folder.paths
    dataset.testFraction = folder.testFraction
    if !skipped.isEmpty {
      let kept = (0..<files.count).filter { problems[$0] == nil }
      try check(kept.map { folder.labels[$0] }, split, classNames: folder.classNames, skipped, in: directory)
      dataset = try dataset.subset(indices: kept)
      dataset.skipped = skipped
      dataset.notes.append(
        "\(skipped.count) of the \(files.count) \(split.rawValue) images cannot be used and "
          + "\(skipped.count == 1 ? "is" : "are") left out: \(skipped[0].path) (\(skipped[0].reason))"
          + (skipped.count == 1 ? "" : " and others"))
    }
    return try count.map { try dataset.subset(first: $0) } ?? dataset
  }

  private static func check(
    _ labels: [Int], _ split: Split, classNames: [String], _ skipped: [SkippedImage], in directory: String
  ) throws {
    let present = Set(labels)
    guard let lost = classNames.indices.first(where: { !present.contains($0) }) else { return }
    throw DatasetError(
      "No \(split.rawValue) image of the class \"\(classNames[lost])\" in \(directory) can be used, such as "
        + "\(skipped[0].path): \(skipped[0].reason).")
  }
}

extension ImageFiles {
  /// Every image in memory, and the files that cannot be used by their places; their images stay black.
  func decodeAll() throws -> (images: ByteStorage, problems: [Int: String]) {
    let size = imageSize
    var problems: [Int: String] = [:]
    let images = try ByteStorage(count: count * size) { buffer in
      // Each thread writes the images of its own indices.
      nonisolated(unsafe) let buffer = buffer
      problems = try inParallel { index, decoder in try decodePlain(index, decoder, into: buffer.row(index, of: size)) }
    }
    return (images, problems)
  }

  /// Decodes every file, keeps nothing, and gives those that cannot be used by their places.
  func problemsOfDecoding() throws -> [Int: String] {
    try inParallel { index, decoder in
      try withUnsafeTemporaryAllocation(byteCount: imageSize, alignment: 16) { target in
        try decodePlain(index, decoder, into: target)
      }
    }
  }

  /// Reads the header of every file, and gives those that cannot be used by their places.
  func problemsOfHeaders() throws -> [Int: String] {
    try inParallel { index, decoder in try decoder.checkHeader(fullPath(index)) }
  }

  private func decodePlain(_ index: Int, _ decoder: ImageDecoder, into target: UnsafeMutableRawBufferPointer) throws {
    try decoder.decode(fullPath(index), into: target) { picture in
      var none: SeededGenerator?
      return try transform.view(of: picture, .none, &none)
    }
  }

  private func inParallel(_ look: @Sendable (Int, ImageDecoder) throws -> Void) throws -> [Int: String] {
    try ImageDecoder.inParallel(count, workers: workers, look)
  }
}

extension ImageDecoder {
  /// Calls `look` for every place in 0 ..< `count`, on as many threads as there are workers.
  ///
  /// - Returns: the reasons it failed, by place.
  /// - Throws: `DatasetError` when memory runs out.
  static func inParallel(
    _ count: Int, workers: Int, _ look: @Sendable (Int, ImageDecoder) throws -> Void
  ) throws -> [Int: String] {
    let next = Atomic<Int>(0)
    let problems = Mutex<[Int: String]>([:])
    let failure = Mutex<(any Error)?>(nil)
    DispatchQueue.concurrentPerform(iterations: max(1, min(workers, count))) { _ in
      do {
        let decoder = try ImageDecoder()
        while true {
          let index = next.add(1, ordering: .relaxed).oldValue
          if index >= count { break }
          do {
            try look(index, decoder)
          } catch {
            problems.withLock { $0[index] = ImageFiles.reason(error) }
          }
        }
      } catch { failure.withLock { $0 = error } }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return problems.withLock { $0 }
  }
}
