// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A file of an image folder that is left out.
public struct SkippedImage: Sendable, Equatable {
  /// Its path below the data folder.
  public let path: String
  /// Why, as a clause.
  public let reason: String
}

/// Image files that are decoded when they are needed.
public struct ImageFiles: Sendable {
  /// The data folder.
  public let root: String
  /// How a picture becomes an image of fixed size.
  public let transform: ImageTransform
  /// Threads that decode.
  public let workers: Int
  /// Batches decoded ahead of the one in use.
  public let prefetch: Int
  let paths: PathList

  init(root: String, paths: PathList, transform: ImageTransform, workers: Int, prefetch: Int) {
    (self.root, self.paths, self.transform) = (root, paths, transform)
    (self.workers, self.prefetch) = (workers, prefetch)
  }

  /// Number of files.
  public var count: Int { paths.count }
  /// Bytes of one decoded image.
  var imageSize: Int { 3 * transform.size * transform.size }

  /// The path of an example's file below the data folder.
  ///
  /// - Parameter index: in 0 ..< `count`.
  public func path(at index: Int) -> String? { index >= 0 && index < count ? paths[index] : nil }

  func selecting(_ indices: some Sequence<Int>) -> ImageFiles {
    ImageFiles(root: root, paths: paths.selecting(indices), transform: transform, workers: workers, prefetch: prefetch)
  }

  /// Decodes one file.
  ///
  /// - Parameter generator: the source of random changes; nil for none.
  /// - Throws: `DatasetError` that names the file.
  func decode(
    _ index: Int, with decoder: ImageDecoder, augmentation: Augmentation = .none, generator: SeededGenerator? = nil,
    into target: UnsafeMutableRawBufferPointer
  ) throws {
    var generator = generator
    do {
      try decoder.decode(fullPath(index), into: target) { size in try transform.view(of: size, augmentation, &generator)
      }
    } catch { throw unusable([SkippedImage(path: paths[index], reason: Self.reason(error))]) }
  }

  func fullPath(_ index: Int) -> String { root + "/" + paths[index] }

  static func reason(_ error: any Error) -> String {
    switch error {
    case let problem as ImageProblem: problem.reason
    case let problem as DatasetError: problem.message
    default: "\(error)"
    }
  }

  /// The error for files that cannot be used; it names the first.
  func unusable(_ problems: [SkippedImage]) -> DatasetError {
    guard let first = problems.first else { return DatasetError("\(root) has an image that cannot be used.") }
    let more = problems.count > 1 ? "; \(problems.count - 1) more cannot be used either" : ""
    return DatasetError(
      "\(root)/\(first.path) cannot be used: \(first.reason)\(more).",
      remedy: "Repair or remove \(problems.count > 1 ? "them" : "it"), or leave out what cannot be used: --skip-bad "
        + "(skip-bad: true in a file, --set skip-bad=true for a study).")
  }
}
