// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// A folder with `train` and `val` (or `test`), each with a folder of images for each class: torchvision's
/// `ImageFolder`. Without test pictures of its own some of every class are held out to test on, and then the class
/// folders may also lie in the folder itself. Classes are numbered in the order of their names, examples in the order of
/// class, folder and name.
struct ImageFolder {
  private let root: String
  private let split: Split
  /// The folder with the class folders, and a slash behind it; empty for the data folder itself.
  private let prefix: String
  /// The share of every class that is held out to test on; nil where there are test pictures, or none are wanted.
  let testFraction: Double?
  private let testSeed: UInt64
  private(set) var classNames: [String] = []
  private(set) var labels: [Int] = []
  private(set) var paths = PathList()
  /// SHA-256 over the path below the folder, a zero byte, the size and a line feed of every file: reading the content of
  /// millions of files would take longer than an epoch.
  private(set) var checksum = ""
  private(set) var notes: [String] = []

  /// Lists the files of a split.
  ///
  /// - Throws: `DatasetError` when a folder is missing, is a file or is empty, the classes of both splits differ, or a
  ///   class has too few pictures to hold any out.
  init(_ directory: String, split: Split, _ options: DatasetOptions) throws {
    root = URL(fileURLWithPath: directory).path
    self.split = split
    testSeed = options.testSeed
    try Self.requireFolder(root)
    switch try Self.layout(of: root) {
    case .splits(let train, let test, let note):
      prefix = (split == .train ? train : test) + "/"
      testFraction = nil
      if split == .test, let note { notes.append(note) }
      classNames = try Self.classes(in: root, prefix)
      try checkSameClasses(train, test)
      try list()
    case .undivided(let folder):
      prefix = folder.isEmpty ? "" : folder + "/"
      let share = try Self.checked(options.testFraction ?? Self.usualTestFraction)
      let isWhole = share == 0 && !options.keepsFolderWhole
      testFraction = options.keepsFolderWhole || isWhole ? nil : share
      classNames = try Self.classes(in: root, prefix)
      if isWhole, split == .test {
        notes.append("no picture is held out: test accuracies are those of training pictures")
      }
      guard testFraction != nil || split == .train || isWhole else {
        throw DatasetError(
          "\(root) has no folder val or test, and nothing else says which pictures to test on.",
          remedy: "Add lines whose split is test to the split file, or omit that file to hold out some pictures.")
      }
      let total = try list()
      if split == .train, !isWhole { noteHeldOut(of: total, isChosen: options.testFraction != nil) }
    }
  }

  static func requireFolder(_ path: String) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw DatasetError("There is no folder \(path).", remedy: "Check --data-dir.")
    }
    guard isFolder.boolValue else {
      throw DatasetError("\(path) is a file, but a folder of images is expected.", remedy: "Check --data-dir.")
    }
  }

  // The folders below a split, hidden ones left out, in the order of their names.
  private static func classes(in root: String, _ prefix: String) throws -> [String] {
    let path = String((root + "/" + prefix).dropLast())
    let entries = try listing(path)
    let folders = entries.filter(\.isFolder).map(\.name)
    guard !folders.isEmpty else {
      throw DatasetError(
        "\(path) has no class folders.",
        remedy: entries.isEmpty
          ? "It is empty." : "Put the images of each class into a folder named after the class.")
    }
    return folders
  }

  private func checkSameClasses(_ train: String, _ test: String) throws {
    let other = try Self.classes(in: root, (split == .train ? test : train) + "/")
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

  /// - Returns: the number of pictures in the folder, those of the other split included where they are held out of it.
  @discardableResult
  private mutating func list() throws -> Int {
    var hash = SHA256()
    var total = 0
    for (label, name) in classNames.enumerated() {
      var found: [(path: String, size: Int)] = []
      // Folders first in the order of their paths, then the files in each: torchvision's order.
      var folders = [prefix + name]
      // Which folders each lies in, itself included, whatever links call them.
      var above: [Set<Identity>] = [
        Set([Identity(of: root), Identity(of: root + "/" + prefix + name)].compactMap { $0 })
      ]
      var next = 0
      var files: [String: [Entry]] = [:]
      while next < folders.count {
        let folder = folders[next]
        let entries = try Self.listing(root + "/" + folder)
        guard folder.utf8.count < 4096, next < 1_000_000 else {
          throw DatasetError("\(root)/\(folder) is nested too deeply.", remedy: "Check for circular links.")
        }
        for entry in entries where entry.isFolder {
          guard let identity = entry.identity, !above[next].contains(identity) else {
            throw DatasetError(
              "\(root)/\(folder)/\(entry.name) is a link to a folder that it lies in, so that its pictures would be counted again and again.",
              remedy: "Remove the link.")
          }
          folders.append(folder + "/" + entry.name)
          above.append(above[next].union([identity]))
        }
        files[folder] = entries.filter { !$0.isFolder }
        next += 1
      }
      for folder in folders.sorted(by: Self.precedes) {
        for file in files[folder] ?? [] { found.append((folder + "/" + file.name, file.size)) }
      }
      guard !found.isEmpty else {
        throw DatasetError(
          "The class folder \(root)/\(prefix)\(name) is empty.", remedy: "Put images into it, or remove it.")
      }
      total += found.count
      for place in try chosen(of: found.count, label: label) {
        let file = found[place]
        paths.append(file.path)
        labels.append(label)
        hash.update(data: Data("\(file.path)\u{0}\(file.size)\n".utf8))
      }
    }
    checksum = hexadecimal(hash.finalize())
    return total
  }

  /// The places of a class's pictures that belong to the split, ascending; at least one of each class does.
  private func chosen(of count: Int, label: Int) throws -> [Int] {
    guard let testFraction else { return Array(0..<count) }
    guard count > 1 else {
      throw DatasetError(
        "The class folder \(root)/\(prefix)\(classNames[label]) has only one picture, but needs one to train on "
          + "and one to test on.", remedy: "Put more pictures into it, or remove it.")
    }
    // In range: a share of a count.
    let tests = min(count - 1, max(1, Int((testFraction * Double(count)).rounded())))
    var generator = SeededGenerator(seed: testSeed, stream: .testExamples, index: label)
    let order = generator.permutation(count: count)
    return (split == .test ? order[..<tests] : order[tests...]).sorted()
  }

  private mutating func noteHeldOut(of total: Int, isChosen: Bool) {
    guard let testFraction else { return }
    let percent = (testFraction * 1000).rounded() / 10
    // In range: a share from 0 to 1.
    let share = percent == percent.rounded() ? "\(Int(percent))" : "\(percent)"
    notes.append(
      "\(root) has no folder val or test, so \(share) % of every class, \(total - labels.count) of \(total) pictures drawn "
        + "by the seed, are held out to test on"
        + (isChosen ? "" : "; choose another share with --test-fraction (test-fraction)"))
  }

  struct Entry {
    let name: String
    let isFolder: Bool
    let size: Int
    /// Which folder it is, behind all links; nil of a link to nowhere.
    var identity: Identity?
  }

  /// A folder, whatever its path.
  struct Identity: Hashable {
    private let device, number: UInt64

    init(_ facts: stat) { (device, number) = (UInt64(facts.st_dev), UInt64(facts.st_ino)) }

    init?(of path: String) {
      var facts = stat()
      guard stat(path, &facts) == 0 else { return nil }
      self.init(facts)
    }
  }

  // Code points in ascending order, which is the order of the bytes, whatever the language of the system.
  private static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

  static func listing(_ path: String) throws -> [Entry] {
    let names = try names(in: path)
    return names.filter { !$0.hasPrefix(".") }.sorted(by: precedes).map { name in
      var facts = stat()
      // A link to nowhere stays in the list as an empty file: reading it then says what is wrong.
      guard stat(path + "/" + name, &facts) == 0 else { return Entry(name: name, isFolder: false, size: 0) }
      return Entry(
        name: name, isFolder: facts.st_mode & S_IFMT == S_IFDIR, size: Int(facts.st_size), identity: Identity(facts))
    }
  }

  /// The names in a folder. Foundation leaves out those that are not UTF-8: a class would vanish without a word.
  private static func names(in path: String) throws -> [String] {
    guard let folder = opendir(path) else {
      throw DatasetError("The folder \(path) cannot be read: \(String(cString: strerror(errno))).")
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if bytes == [0x2E] || bytes == [0x2E, 0x2E] { continue }
      guard let name = String(validating: bytes, as: UTF8.self) else {
        let escaped = bytes.map {
          (0x20..<0x7F).contains($0) ? String(UnicodeScalar($0)) : String(format: "\\x%02X", $0)
        }
        throw DatasetError(
          "The folder \(path) holds a name that is not UTF-8: \(escaped.joined()).",
          remedy: "Rename it, such as with convmv; class names and paths are kept as text.")
      }
      names.append(name)
    }
    return names
  }
}
