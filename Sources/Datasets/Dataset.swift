// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// The two halves of a data set.
public enum Split: String, Sendable, Codable, CaseIterable {
  /// Examples to learn from.
  case train
  /// Examples held out to measure generalisation.
  case test
}

/// Where the images of a data set are.
public enum ExampleStorage: Sendable {
  /// In memory: count × channels × height × width bytes, row-major, 0 ... 255.
  case memory(ByteStorage)
  /// In memory too, as windows into the same bytes.
  case windows(ByteWindows)
  /// In files, decoded when they are needed.
  case files(ImageFiles)
}

/// Labelled images or tokens, and the labels as the data set gives them, in data set order.
///
/// Copying a value shares the images.
public struct Dataset: Sendable {
  /// The name it is known by on the command line: `mnist`, `fashion-mnist`, `digits`.
  public let name: String
  /// Which half this is.
  public let split: Split
  /// Channels, height, width of one example, for example `[1, 28, 28]`; the number of its tokens where it has those.
  public let exampleShape: [Int]
  /// One name for each class; their number is the number of classes.
  public let classNames: [String]
  /// Where the images are.
  public let storage: ExampleStorage
  /// The original labels in data set order, each in 0 ..< `classCount`.
  public private(set) var labels: [Int]
  /// SHA-256 (lower-case hexadecimal) of each file it was read from, by file name; for built-in data the one key
  /// `content` with the `contentChecksum()` of what was drawn. A subset keeps the sums of its source.
  public internal(set) var sourceChecksums: [String: String]
  /// How pixels become numbers; nil for byte / 255.
  public var normalization: Normalization? { didSet { table = nil } }
  /// The number of different tokens where the examples are tokens, a byte each, which are handed out as they are; nil for
  /// images.
  public var vocabulary: Int? { didSet { table = nil } }
  /// Whether every token of an example is to be predicted from those before it, and its label is what follows the last.
  public var predictsAll = false
  /// The share of every class that was held out to test on; nil where the data set has test examples of its own.
  public internal(set) var testFraction: Double?
  /// The bytes of the images on a device, and how they become numbers; nil where they are in the host's memory alone.
  var table: DeviceTable?
  /// The paths of the examples' files below the data folder, in the order of the examples; nil where they have none.
  var paths: PathList?
  /// Files that were left out.
  public internal(set) var skipped: [SkippedImage] = []
  /// What a person should know about how it was read, such as files that were missing.
  public var notes: [String] = []

  /// The images when they are in memory one after the other: count × channels × height × width bytes, row-major, 0 ... 255.
  public var images: ByteStorage? { if case .memory(let bytes) = storage { bytes } else { nil } }
  /// Number of examples.
  public var count: Int { labels.count }
  /// Number of classes.
  public var classCount: Int { classNames.count }
  /// Values in one example: channels × height × width.
  public let exampleSize: Int

  /// The path of an example's file below the data folder; nil where the data set is no folder of pictures.
  ///
  /// - Parameter index: in 0 ..< `count`.
  public func file(at index: Int) -> String? { labels.indices.contains(index) ? paths?[index] : nil }

  /// Creates a data set from parts and checks that they fit together.
  ///
  /// - Throws: `DatasetError` when the shape is not positive, the number of bytes is not count × example size, or a
  ///   label is not a class.
  public init(
    name: String, split: Split, exampleShape: [Int], classNames: [String], images: ByteStorage, labels: [Int],
    sourceChecksums: [String: String] = [:]
  ) throws {
    try self.init(
      name: name, split: split, exampleShape: exampleShape, classNames: classNames, storage: .memory(images),
      labels: labels, sourceChecksums: sourceChecksums)
  }

  init(
    name: String, split: Split, exampleShape: [Int], classNames: [String], storage: ExampleStorage, labels: [Int],
    sourceChecksums: [String: String]
  ) throws {
    guard let size = checkedProduct(exampleShape), size > 0, exampleShape.allSatisfy({ $0 > 0 }) else {
      throw DatasetError("\(exampleShape) is not the shape of an example: every dimension must be at least 1.")
    }
    switch storage {
    case .memory(let images):
      guard let bytes = checkedProduct([labels.count, size]), bytes == images.count else {
        throw DatasetError(
          "\(name) (\(split.rawValue)): \(images.count) image bytes do not make \(labels.count) examples of "
            + "\(size) bytes.")
      }
    case .windows(let windows):
      guard windows.count == labels.count, windows.length == size else {
        throw DatasetError(
          "\(name) (\(split.rawValue)): there are \(windows.count) windows for \(labels.count) examples.")
      }
    case .files(let files):
      guard files.count == labels.count, files.imageSize == size else {
        throw DatasetError("\(name) (\(split.rawValue)): there are \(files.count) files for \(labels.count) examples.")
      }
    }
    try checkLabels(labels, classCount: classNames.count) { "\(name) (\(split.rawValue)): label \($0)" }
    (self.name, self.split, self.exampleShape) = (name, split, exampleShape)
    self.exampleSize = size
    (self.classNames, self.storage, self.labels, self.sourceChecksums) = (classNames, storage, labels, sourceChecksums)
  }

  /// The first `n` examples; the images are shared, not copied.
  ///
  /// - Throws: `DatasetError` when `n` is not in 1 ... `count`.
  public func subset(first n: Int) throws -> Dataset {
    guard n >= 1, n <= count else {
      throw DatasetError(
        "\(n) examples were asked for, but \(name) (\(split.rawValue)) has \(count)."
          + notes.map { " \($0)." }.joined(),
        remedy:
          "Ask for a number between 1 and \(count), or leave --subset or --test-subset out (in a study "
          + "--set subset=null).")
    }
    let part: ExampleStorage =
      switch storage {
      case .memory(let images): .memory(images.prefix(n * exampleSize))
      case .windows(let windows): .windows(windows.selecting(0..<n))
      case .files(let files): .files(files.selecting(0..<n))
      }
    return try with(part, labels: Array(labels[0..<n]), paths: paths?.selecting(0..<n))
  }

  /// The examples at `indices`, in that order; an index may occur more than once.
  ///
  /// - Throws: `DatasetError` when there are none, or one is not in 0 ..< `count`.
  public func subset(indices: [Int]) throws -> Dataset {
    guard !indices.isEmpty else { throw DatasetError("A subset of \(name) needs at least one example.") }
    guard let total = checkedProduct([indices.count, exampleSize]) else {
      throw DatasetError("\(indices.count) examples of \(exampleSize) bytes do not fit in memory.")
    }
    try check(indices)
    let chosen: ExampleStorage =
      switch storage {
      case .memory: .memory(try ByteStorage(count: total) { buffer in try copyBytes(of: indices, into: buffer) })
      case .windows(let windows): .windows(windows.selecting(indices))
      case .files(let files): .files(files.selecting(indices))
      }
    return try with(chosen, labels: indices.map { labels[$0] }, paths: paths?.selecting(indices))
  }

  /// The same images with other labels, for example from `ExternalLabels`.
  ///
  /// - Throws: `DatasetError` when their number differs or one is not a class.
  public func replacingLabels(_ labels: [Int]) throws -> Dataset {
    guard labels.count == count else {
      throw DatasetError("\(labels.count) labels were given for the \(count) examples of \(name) (\(split.rawValue)).")
    }
    return try with(storage, labels: labels, paths: paths)
  }

  // Other examples of the same source.
  private func with(_ storage: ExampleStorage, labels: [Int], paths: PathList?) throws -> Dataset {
    var other = try Dataset(
      name: name, split: split, exampleShape: exampleShape, classNames: classNames, storage: storage, labels: labels,
      sourceChecksums: sourceChecksums)
    other.skipped = skipped
    other.paths = paths
    other.testFraction = testFraction
    other.normalization = normalization
    (other.vocabulary, other.predictsAll) = (vocabulary, predictsAll)
    other.notes = notes
    return other
  }

  /// SHA-256 of the image bytes followed by one byte for each label: the same for raw and compressed files.
  ///
  /// - Throws: `DatasetError` that names a file that cannot be decoded.
  public func contentChecksum() throws -> String {
    var hash = SHA256()
    try forEachPart { hash.update(bufferPointer: $0) }
    hash.update(data: Data(labels.map { UInt8(truncatingIfNeeded: $0) }))
    return hexadecimal(hash.finalize())
  }
}

// MARK: - Batches

extension Dataset {
  /// Copies the examples at `indices` one after the other: indices.count × `exampleSize` bytes.
  ///
  /// - Throws: `DatasetError` when an index is out of range, the buffer has another size, or a file cannot be decoded.
  public func copyBytes(of indices: some Collection<Int>, into buffer: UnsafeMutableRawBufferPointer) throws {
    try check(indices)
    try checkRoom(indices.count, buffer.count)
    let size = exampleSize
    try forEachExample(of: indices) { bytes, place in buffer.row(place, of: size).copyMemory(from: bytes) }
  }

  /// Calls `body` with the bytes of the examples at `indices`, one after the other, and their places in `indices`, which
  /// are in 0 ..< `count`. Images from files are decoded ahead meanwhile.
  func forEachExample(
    of indices: some Collection<Int>, _ body: (UnsafeRawBufferPointer, Int) throws -> Void
  ) throws {
    let size = exampleSize
    switch storage {
    case .memory(let images):
      try images.withUnsafeBytes { source in
        for (place, index) in indices.enumerated() { try body(source.row(index, of: size), place) }
      }
    case .windows(let windows): try windows.forEach(of: indices, body)
    case .files(let files):
      let stream = DecodeStream(files, plan: ListPlan(Array(indices), size: 64))
      var place = 0
      while let batch = try stream.next() {
        let bytes = UnsafeRawBufferPointer(batch.bytes)
        for row in batch.request.indices.indices {
          try body(bytes.row(row, of: size), place)
          place += 1
        }
      }
    }
  }

  /// Calls `body` with the bytes of all examples in order, in parts.
  func forEachPart(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    switch storage {
    case .memory(let images): try images.withUnsafeBytes { try body($0) }
    case .windows(let windows): try windows.forEach(of: labels.indices) { window, _ in try body(window) }
    case .files(let files):
      let stream = DecodeStream(files, plan: ListPlan(Array(labels.indices), size: 64))
      while let batch = try stream.next() { try body(UnsafeRawBufferPointer(batch.bytes)) }
    }
  }

  /// The examples at `indices`, changed at random for an epoch.
  ///
  /// - Throws: `DatasetError` when an index is out of range, or the kind of change is for pictures in files.
  func augmentedBytes(of indices: [Int], _ augmentation: Augmentation, seed: UInt64, epoch: Int) throws -> ByteStorage {
    try check(indices)
    guard exampleShape.count == 3, augmentation.crop != .resized else {
      throw DatasetError("random-resized-crop works only on the pictures of an image folder.")
    }
    guard let images else { throw DatasetError("The images of \(name) are not in memory.") }
    let size = exampleSize
    return try ByteStorage(count: indices.count * size) { buffer in
      images.withUnsafeBytes { source in
        for (place, index) in indices.enumerated() {
          var generator = Augmentation.generator(seed: seed, epoch: epoch, index: index)
          augmentation.apply(
            &generator, to: source.row(index, of: size), shape: exampleShape, into: buffer.row(place, of: size))
        }
      }
    }
  }

  private func checkRoom(_ number: Int, _ room: Int) throws {
    guard checkedProduct([number, exampleSize]) == room else {
      throw DatasetError("\(number) examples of \(exampleSize) values do not fit a buffer of \(room) values.")
    }
  }

  func check(_ indices: some Collection<Int>) throws {
    guard let bad = indices.first(where: { $0 < 0 || $0 >= count }) else { return }
    throw DatasetError("Example \(bad) was asked for, but \(name) (\(split.rawValue)) has examples 0 to \(count - 1).")
  }
}

// MARK: - Shared checks

/// The product of non-negative factors, or nil when one is negative or the product does not fit.
func checkedProduct(_ factors: [Int]) -> Int? {
  var product = 1
  for factor in factors {
    let (next, overflow) = product.multipliedReportingOverflow(by: factor)
    if overflow || factor < 0 { return nil }
    product = next
  }
  return product
}

/// Throws when a label is not in 0 ..< `classCount`; `place` names the label at an index.
func checkLabels(_ labels: [Int], classCount: Int, place: (Int) -> String) throws {
  guard let bad = labels.firstIndex(where: { $0 < 0 || $0 >= classCount }) else { return }
  throw DatasetError("\(place(bad)) is \(labels[bad]), but the classes are 0 to \(classCount - 1).")
}

/// Lower-case hexadecimal of a digest.
func hexadecimal(_ digest: some Sequence<UInt8>) -> String {
  digest.map { byte in
    let text = String(byte, radix: 16)
    return byte < 16 ? "0" + text : text
  }.joined()
}
