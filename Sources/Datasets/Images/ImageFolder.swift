// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// A folder with `train` and `val` (or `test`), each with a folder of images for each class: torchvision's
/// `ImageFolder`. Classes are numbered in the order of their names, examples in the order of class, folder and name.
struct ImageFolder {
  private let root: String
  private let split: Split
  private let splitFolder: String
  private(set) var classNames: [String] = []
  private(set) var labels: [Int] = []
  private(set) var paths = PathList()
  /// SHA-256 over the path below the folder, a zero byte, the size and a line feed of every file: reading the content of
  /// millions of files would take longer than an epoch.
  private(set) var checksum = ""
  private(set) var notes: [String] = []

  /// Lists the files of a split.
  ///
  /// - Throws: `DatasetError` when a folder is missing, is a file or is empty, or the classes of both splits differ.
  init(_ directory: String, split: Split) throws {
    root = URL(fileURLWithPath: directory).path
    self.split = split
    try Self.requireFolder(root)
    let train = try Self.folder(of: .train, in: root)
    let test = try Self.folder(of: .test, in: root)
    splitFolder = split == .train ? train.name : test.name
    if split == .test, let note = test.note { notes.append(note) }
    classNames = try Self.classes(in: root, splitFolder)
    try checkSameClasses(train.name, test.name)
    try list()
  }

  private static func folder(of split: Split, in root: String) throws -> (name: String, note: String?) {
    let names = split == .train ? ["train"] : ["val", "test"]
    let found = names.filter { FileManager.default.fileExists(atPath: root + "/" + $0) }
    guard let first = found.first else {
      throw DatasetError(
        "\(root) has no folder \(names.joined(separator: " or ")).",
        remedy: "An image folder has train and val (or test), each with a folder of images for each class.")
    }
    try requireFolder(root + "/" + first)
    let note = found.count > 1 ? "\(root) has val and test; val is used" : nil
    return (first, note)
  }

  private static func requireFolder(_ path: String) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw DatasetError("There is no folder \(path).", remedy: "Check --data-dir.")
    }
    guard isFolder.boolValue else {
      throw DatasetError("\(path) is a file, but a folder of images is expected.", remedy: "Check --data-dir.")
    }
  }

  // The folders below a split, hidden ones left out, in the order of their names.
  private static func classes(in root: String, _ name: String) throws -> [String] {
    let entries = try listing(root + "/" + name)
    let folders = entries.filter(\.isFolder).map(\.name)
    guard !folders.isEmpty else {
      throw DatasetError(
        "\(root)/\(name) has no folder for any class.",
        remedy: entries.isEmpty
          ? "It is empty." : "Put the images of each class into a folder of its own, named as the class.")
    }
    return folders
  }

  private func checkSameClasses(_ train: String, _ test: String) throws {
    let other = try Self.classes(in: root, split == .train ? test : train)
    let (inTrain, inTest) = split == .train ? (classNames, other) : (other, classNames)
    guard inTrain != inTest else { return }
    func missing(_ names: [String], from others: [String], _ folder: String) -> String? {
      let known = Set(others)
      let lost = names.filter { !known.contains($0) }
      guard let first = lost.first else { return nil }
      return "\(folder) lacks \"\(first)\"" + (lost.count > 1 ? " and \(lost.count - 1) more" : "")
    }
    let words = [missing(inTrain, from: inTest, test), missing(inTest, from: inTrain, train)].compactMap { $0 }
    throw DatasetError(
      "The classes of \(root)/\(train) and \(root)/\(test) differ: \(words.joined(separator: ", ")).",
      remedy: "Give both the same class folders.")
  }

  private mutating func list() throws {
    var hash = SHA256()
    for (label, name) in classNames.enumerated() {
      let before = labels.count
      // Folders first in the order of their paths, then the files in each: torchvision's order.
      var folders = [splitFolder + "/" + name]
      var next = 0
      var files: [String: [Entry]] = [:]
      while next < folders.count {
        let folder = folders[next]
        let entries = try Self.listing(root + "/" + folder)
        guard folder.utf8.count < 4096, next < 1_000_000 else {
          throw DatasetError("\(root)/\(folder) is nested too deeply.", remedy: "Check for links that go in a circle.")
        }
        folders += entries.filter(\.isFolder).map { folder + "/" + $0.name }
        files[folder] = entries.filter { !$0.isFolder }
        next += 1
      }
      for folder in folders.sorted(by: Self.precedes) {
        for file in files[folder] ?? [] {
          let path = folder + "/" + file.name
          paths.append(path)
          labels.append(label)
          hash.update(data: Data("\(path)\u{0}\(file.size)\n".utf8))
        }
      }
      guard labels.count > before else {
        throw DatasetError(
          "The class folder \(root)/\(splitFolder)/\(name) is empty.", remedy: "Put images into it, or remove it.")
      }
    }
    checksum = hexadecimal(hash.finalize())
  }

  private struct Entry {
    let name: String
    let isFolder: Bool
    let size: Int
  }

  // Code points in ascending order, which is the order of the bytes, whatever the language of the system.
  private static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

  private static func listing(_ path: String) throws -> [Entry] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch {
      throw DatasetError("The folder \(path) cannot be read: \(FileReading.reason(error)).")
    }
    return names.filter { !$0.hasPrefix(".") }.sorted(by: precedes).map { name in
      var facts = stat()
      // A link to nowhere stays in the list as an empty file: reading it then says what is wrong.
      guard stat(path + "/" + name, &facts) == 0 else { return Entry(name: name, isFolder: false, size: 0) }
      return Entry(name: name, isFolder: facts.st_mode & S_IFMT == S_IFDIR, size: Int(facts.st_size))
    }
  }
}
