// SPDX-License-Identifier: Apache-2.0

import Foundation

extension ImageFolder {
  /// Where the class folders of a data folder are.
  enum Layout: Equatable {
    /// In a folder for each split; a person may be told the note.
    case splits(train: String, test: String, note: String?)
    /// All in one folder, which is empty for the data folder itself: test pictures are held out of it.
    case undivided(String)
  }

  /// The share of every class that is held out to test on unless another is asked for.
  static let usualTestFraction = 0.2

  /// - Throws: `DatasetError` unless the share is at least 0 and below 1.
  static func checked(_ testFraction: Double) throws -> Double {
    guard testFraction >= 0, testFraction < 1 else {
      throw DatasetError("test-fraction must be at least 0 and below 1, not \(testFraction).")
    }
    return testFraction
  }

  private static let usualShape =
    "Put one folder of images per class into train and val (or test), into train alone, or directly into this folder."

  /// Finds out where the class folders are.
  ///
  /// - Throws: `DatasetError` when a split is a file, or the names suggest splits that would be missed.
  static func layout(of root: String) throws -> Layout {
    let manager = FileManager.default
    let tests = ["val", "test"].filter { manager.fileExists(atPath: root + "/" + $0) }
    let hasTrain = manager.fileExists(atPath: root + "/train")
    if let test = tests.first {
      guard hasTrain else { throw DatasetError("\(root) has no train folder.", remedy: usualShape) }
      for name in ["train", test] { try requireFolder(root + "/" + name) }
      let note = tests.count > 1 ? "\(root) has val and test; val is used" : nil
      return .splits(train: "train", test: test, note: note)
    }
    let folders = try listing(root).filter(\.isFolder).map(\.name)
    // A folder of the pictures of trains has no class folders in it, and the other classes lie beside it.
    let trainIsSplit =
      try hasTrain && (folders.count < 2 || !folders.contains("train") || holdsFolders(root + "/train"))
    if trainIsSplit { try requireFolder(root + "/train") }
    for name in folders where !(trainIsSplit && name == "train") {
      guard splitNames.contains(name.lowercased()), try holdsFolders(root + "/" + name) else { continue }
      throw DatasetError(
        "\(root) has a folder \(name)"
          + (trainIsSplit ? " beside train, but no val or test." : ", but no train folder."),
        remedy: "Rename the training folder to train and the test folder to val, or move \(name) away.")
    }
    guard trainIsSplit || !folders.isEmpty else {
      throw DatasetError("\(root) has no class folders.", remedy: usualShape)
    }
    return .undivided(trainIsSplit ? "train" : "")
  }

  /// Names that are likelier splits than classes when they hold class folders.
  private static let splitNames: Set<String> = [
    "train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval",
  ]

  private static func holdsFolders(_ path: String) throws -> Bool { try listing(path).contains(where: \.isFolder) }
}
