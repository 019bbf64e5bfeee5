// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Pictures without labels, wherever they lie.
public enum Pictures {
  /// Pictures as a data set whose labels mean nothing, and the path of each as it was named.
  ///
  /// - Parameters:
  ///   - places: files, folders (all files below them in the order of their paths, hidden ones left out), and lists: text
  ///     files that end in `.txt`, with a path a line.
  ///   - classNames: the classes of the model that will look at them.
  ///   - options: size, resizing, normalisation, and whether pictures that cannot be used are left out.
  /// - Throws: `DatasetError` when a place is missing or holds no picture, or a picture cannot be used.
  public static func load(
    _ places: [String], classNames: [String], options: DatasetOptions
  ) throws -> (dataset: Dataset, names: [String]) {
    var names = try places.flatMap { place in try found(at: place, isListed: false) }
    guard !names.isEmpty else {
      throw DatasetError(
        "There are no pictures in \(places.joined(separator: ", ")).", remedy: "Name pictures, or folders of them.")
    }
    let transform = try ImageTransform(size: options.imageSize ?? 224, resize: options.resize)
    func storage(_ names: [String]) -> ImageFiles {
      var paths = PathList()
      for name in names { paths.append(String(URL(fileURLWithPath: name).path.dropFirst())) }
      return ImageFiles(
        root: "", paths: paths, transform: transform,
        workers: options.workers ?? ProcessInfo.processInfo.activeProcessorCount, prefetch: options.prefetch)
    }
    var files = storage(names)
    let problems = try options.skipsBadImages ? files.problemsOfDecoding() : files.problemsOfHeaders()
    let skipped = problems.sorted { $0.key < $1.key }.map { SkippedImage(path: names[$0.key], reason: $0.value) }
    if !skipped.isEmpty {
      guard options.skipsBadImages, skipped.count < names.count else {
        // By the whole path: there is no folder that all of them lie in.
        let unusable = problems.sorted { $0.key < $1.key }.map {
          SkippedImage(path: files.paths[$0.key], reason: $0.value)
        }
        throw files.unusable(unusable)
      }
      names = names.indices.filter { problems[$0] == nil }.map { names[$0] }
      files = storage(names)
    }
    var dataset = try Dataset(
      name: "pictures", split: .test, exampleShape: [3, transform.size, transform.size], classNames: classNames,
      storage: .files(files), labels: [Int](repeating: 0, count: names.count), sourceChecksums: [:])
    dataset.skipped = skipped
    return (dataset, names)
  }

  private static func found(at place: String, isListed: Bool) throws -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: place, isDirectory: &isFolder) else {
      throw DatasetError("There is no \(place).", remedy: "Check the path for a typing error.")
    }
    if isFolder.boolValue {
      guard place.utf8.count < 4096, place.split(separator: "/").count < 64 else {
        throw DatasetError("\(place) is nested too deeply.", remedy: "Check for circular links.")
      }
      return try ImageFolder.listing(place).flatMap { entry in
        try entry.isFolder ? found(at: place + "/" + entry.name, isListed: isListed) : [place + "/" + entry.name]
      }
    }
    guard place.lowercased().hasSuffix(".txt"), !isListed else { return [place] }
    let lines = try String(decoding: FileReading.bytes(of: place), as: UTF8.self).split(whereSeparator: \.isNewline).map
    {
      $0.trimmingCharacters(in: .whitespaces)
    }
    return try lines.filter { !$0.isEmpty }.flatMap { try found(at: $0, isListed: true) }
  }
}
