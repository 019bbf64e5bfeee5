// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Loads a data set by name.
public enum DatasetLoader {
  /// Loads one split of a known data set.
  ///
  /// - Parameters:
  ///   - name: one of `DatasetCatalog.all`, glyphs:K, modular:P, or text[:LENGTH].
  ///   - split: training or test examples.
  ///   - directory: the folder with the files, raw or compressed; not used by built-in data.
  ///   - seed: the seed of built-in drawings; files do not depend on it.
  ///   - count: only the first so many examples; all when nil.
  ///   - options: what to do about missing files, and how pixels are normalised.
  /// - Throws: `DatasetError` when the name is unknown, a file is missing or damaged, images and labels do not belong
  ///   together, or there are fewer than `count` examples.
  public static func load(
    name: String, split: Split, directory: String? = nil, seed: UInt64 = 0, count: Int? = nil,
    options: DatasetOptions = DatasetOptions()
  ) throws -> Dataset {
    let entry = try DatasetCatalog.entry(named: name)
    if let modulus = try ModularAddition.modulus(in: name) {
      let whole = try ModularAddition.load(modulus: modulus, split: split, options: options)
      return try count.map { try whole.subset(first: $0) } ?? whole
    }
    if entry.isBuiltIn {
      return try SyntheticDigits.draw(
        split: split, count: count, seed: seed, glyphs: SyntheticDigits.glyphCount(in: name)
      ).resized(to: options.imageSize)
    }
    guard let directory else {
      throw DatasetError(
        "\(name) is read from files, but no data folder was given.",
        remedy: entry.format == .folder
          ? "Give one with --data-dir D."
          : entry.format == .text
            ? "Give a text file or a folder of them with --data-dir."
            : "Give one with --data-dir D; `coherent data fetch \(name) --data-dir D` fills it.")
    }
    var dataset: Dataset
    switch entry.format {
    case .folder: dataset = try ImageFolder.load(directory, split: split, count: count, options: options)
    case .cifar: dataset = try CIFAR.load(entry, split: split, directory: directory, count: count, options: options)
    case .text:
      return try TextWindows.load(
        directory, length: entry.exampleShape[0], split: split, count: count, options: options)
    case .idx, .builtIn, .tokens:
      let whole = try loadIDX(entry, split: split, directory: directory)
      dataset = try count.map { try whole.subset(first: $0) } ?? whole
    }
    if entry.format != .folder { dataset = try dataset.resized(to: options.imageSize) }
    if options.normalize == .auto { dataset.normalization = entry.normalization }
    return dataset
  }

  /// Writes a data set as the two IDX files of its split, `train-images-idx3-ubyte.gz` and so on, into a folder.
  ///
  /// - Parameters:
  ///   - dataset: the data set.
  ///   - directory: the folder, made when it does not exist.
  ///   - compressed: gzip or raw.
  /// - Returns: the paths written.
  /// - Throws: `DatasetError` when a file exists already or cannot be written, or an example has several channels.
  @discardableResult
  public static func exportIDX(_ dataset: Dataset, to directory: String, compressed: Bool = true) throws -> [String] {
    guard dataset.exampleShape.count == 3, dataset.exampleShape[0] == 1, dataset.classCount <= 256 else {
      throw DatasetError(
        "IDX image files hold pictures of one channel, not \(dataset.exampleShape).",
        remedy: "Other data sets are used from the files that they come in.")
    }
    let stem = dataset.split == .train ? "train" : "t10k"
    let ending = compressed ? ".gz" : ""
    let folder = URL(fileURLWithPath: directory)
    let images = folder.appendingPathComponent("\(stem)-images-idx3-ubyte\(ending)").path
    let labels = folder.appendingPathComponent("\(stem)-labels-idx1-ubyte\(ending)").path
    for path in [images, labels] where FileManager.default.fileExists(atPath: path) {
      throw DatasetError("\(path) already exists.", remedy: "Choose another folder or move it away.")
    }
    try makeFolder(directory)
    let values = try dataset.images ?? ByteStorage(count: 0) { _ in }
    try IDXFile(dimensions: [dataset.count] + dataset.exampleShape.dropFirst(), values: values).write(path: images)
    let bytes = try ByteStorage(dataset.labels.map { UInt8(truncatingIfNeeded: $0) })
    try IDXFile(dimensions: [dataset.count], values: bytes).write(path: labels)
    return [images, labels]
  }

  static func makeFolder(_ directory: String) throws {
    guard !directory.isEmpty else {
      throw DatasetError("The folder has an empty name.", remedy: "Give the path of a folder.")
    }
    do {
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    } catch {
      throw DatasetError(
        "The folder \(directory) cannot be created: \(FileReading.reason(error)).",
        remedy: "Choose a folder that you can write to.")
    }
  }

  /// The path of a file of a data set, under any of the names it may have, in `directory/name`, in the folder of its
  /// archive, in that folder in `directory/name` or in `directory`; or nil.
  static func find(_ file: DatasetFile, of entry: DatasetEntry, in directory: String) -> String? {
    let folder = URL(fileURLWithPath: directory)
    let archive = entry.archive?.folder
    let inner = [entry.name, archive, archive.map { "\(entry.name)/\($0)" }].compactMap { $0 }
    return (inner.map { folder.appendingPathComponent($0) } + [folder])
      .flatMap { folder in file.accepted.map { folder.appendingPathComponent($0).path } }
      .first { FileManager.default.fileExists(atPath: $0) }
  }

  private static func loadIDX(_ entry: DatasetEntry, split: Split, directory: String) throws -> Dataset {
    let images = try read(.images, entry, split: split, directory: directory)
    let labels = try read(.labels, entry, split: split, directory: directory)
    let shape = entry.exampleShape
    guard images.file.dimensions.count == 3 else {
      throw DatasetError(
        "\(images.path) has \(images.file.dimensions.count) dimensions where images have 3: count, height, width.",
        remedy: "Check that images and labels were not swapped.")
    }
    guard Array(images.file.dimensions.dropFirst()) == Array(shape.dropFirst()) else {
      let found = images.file.dimensions.dropFirst().map { String($0) }.joined(separator: "x")
      throw DatasetError("\(images.path) holds pictures of \(found), but \(entry.name) has \(shape[1])x\(shape[2]).")
    }
    guard labels.file.dimensions.count == 1 else {
      throw DatasetError(
        "\(labels.path) has \(labels.file.dimensions.count) dimensions where labels have 1.",
        remedy: "Check that images and labels were not swapped.")
    }
    guard images.file.dimensions[0] == labels.file.dimensions[0] else {
      throw DatasetError(
        "\(images.path) holds \(images.file.dimensions[0]) images, but \(labels.path) holds "
          + "\(labels.file.dimensions[0]) labels.", remedy: "Use the two files of one data set.")
    }
    guard images.file.dimensions[0] > 0 else { throw DatasetError("\(images.path) holds no examples.") }
    let values = labels.file.values.withUnsafeBytes { $0.map { Int($0) } }
    try checkLabels(values, classCount: entry.classNames.count) { "\(labels.path): label \($0) (byte \($0 + 8))" }
    return try Dataset(
      name: entry.name, split: split, exampleShape: shape, classNames: entry.classNames, images: images.file.values,
      labels: values,
      sourceChecksums: [
        (images.path as NSString).lastPathComponent: images.file.fileChecksum,
        (labels.path as NSString).lastPathComponent: labels.file.fileChecksum,
      ])
  }

  private static func read(
    _ role: DatasetFile.Role, _ entry: DatasetEntry, split: Split, directory: String
  ) throws -> (path: String, file: IDXFile) {
    guard let file = entry.files.first(where: { $0.split == split && $0.role == role }) else {
      throw DatasetError("\(entry.name) has no \(role.rawValue) for its \(split.rawValue) split.")
    }
    guard let path = find(file, of: entry, in: directory) else {
      throw DatasetError(
        "The \(split.rawValue) \(role.rawValue) of \(entry.name) are missing: there is no "
          + "\(file.accepted.prefix(2).joined(separator: " or ")) in \(directory).",
        remedy: "Download them with `coherent data fetch \(entry.name) --data-dir \(directory)`, or check the folder.")
    }
    let read = try IDXFile.read(path: path)
    // The two data sets share file names and layout, so only the checksum tells them apart.
    if let other = DatasetCatalog.all.first(where: { other in
      other.name != entry.name && other.files.contains { $0.sha256 == read.fileChecksum }
    }) {
      throw DatasetError(
        "\(path) is a file of \(other.name), not of \(entry.name).",
        remedy: "Give the folder of \(entry.name), or keep each data set in a folder of its own.")
    }
    return (path, read)
  }
}
