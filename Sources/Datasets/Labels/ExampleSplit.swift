// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// Which examples of a training set are trained on, which are tested on, and in which groups (`--split`): a CSV file with
/// the columns `index,split,group`.
///
/// `index` counts the training examples from 0, `split` is `train` or `test`, and `group` is a word such as `easy`, or
/// empty. An example that the file does not name is left out.
public struct ExampleSplit: Sendable, Equatable {
  /// The file it came from.
  public let path: String
  /// The examples to train on, ascending; at least one.
  public let train: [Int]
  /// The examples to test on, ascending; empty where the data set's own test examples are meant.
  public let test: [Int]
  /// The groups of the examples that have one, by index.
  public let groups: [Int: String]
  /// SHA-256 of the file, in lower-case hexadecimal.
  public let checksum: String

  /// The columns of the file.
  public static let columns = ["index", "split", "group"]
  /// Names that no group can have: every split has these groups of its own.
  public static let reservedGroups = ["all", "pristine", "corrupt"]

  /// The file's name without its folder and its ending.
  public var name: String { URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent }

  /// Reads and checks a split file.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - count: the number of training examples there are.
  /// - Throws: `DatasetError` that names file, line and column: another header, an index that is no training example or
  ///   occurs twice, an unknown split, an impossible group; or when there is nothing to train on.
  public init(path: String, count: Int) throws {
    let (room, overflow) = max(count, 0).multipliedReportingOverflow(by: 256)
    let bytes = try FileReading.bytes(of: path, limit: overflow ? .max : room &+ (1 << 20))
    var reader = SplitReader(path: path, count: count)
    for (number, line) in zip(1..., try CSVLabels.lines(of: bytes, path: path)) where !line.allSatisfy(\.isWhitespace) {
      try reader.read(line, number: number)
    }
    guard !reader.train.isEmpty else {
      throw DatasetError(
        reader.hasHeader
          ? "\(path) has no line whose split is train, so there is nothing to train on."
          : "\(path) is empty; it should begin with the header \"\(Self.columns.joined(separator: ","))\".",
        remedy: "Add lines such as 0,train,easy.")
    }
    self.path = path
    train = reader.train.sorted()
    test = reader.test.sorted()
    groups = reader.groups
    checksum = hexadecimal(SHA256.hash(data: bytes))
  }
}

/// Takes in a split file line by line.
private struct SplitReader {
  let path: String
  let count: Int
  var train: [Int] = []
  var test: [Int] = []
  var groups: [Int: String] = [:]
  var hasHeader = false
  var lines: [Int: Int] = [:]

  mutating func read(_ line: Substring, number: Int) throws {
    let cells = line.split(separator: ",", omittingEmptySubsequences: false).map(CSVLabels.clean)
    let columns = ExampleSplit.columns
    guard hasHeader else {
      guard cells == columns else {
        throw DatasetError(
          "\(path), line \(number): the header is \"\(cells.joined(separator: ","))\" but should be "
            + "\"\(columns.joined(separator: ","))\".", remedy: "Give the file these three columns, in this order.")
      }
      hasHeader = true
      return
    }
    guard cells.count == columns.count else {
      throw DatasetError(
        "\(path), line \(number): there are \(cells.count) columns, not the 3 of \(columns.joined(separator: ",")).",
        remedy: "Leave the group empty if there is none, and use no commas in its name.")
    }
    let index = try index(cells[0], number)
    switch cells[1] {
    case "train": train.append(index)
    case "test": test.append(index)
    default: throw failure(number, "split", "\"\(cells[1])\" is neither train nor test")
    }
    if !cells[2].isEmpty {
      try check(group: cells[2], number)
      groups[index] = cells[2]
    }
  }

  private mutating func index(_ cell: String, _ number: Int) throws -> Int {
    guard let index = Int(cell) else { throw failure(number, "index", "\"\(cell)\" is not a whole number") }
    guard index >= 0, index < count else {
      throw failure(
        number, "index", "there is no training example \(index)",
        remedy: "They are 0 to \(count - 1); a subset leaves out the later ones.")
    }
    if let first = lines[index] {
      throw failure(
        number, "index", "example \(index) is already on line \(first)", remedy: "Name every example at most once.")
    }
    lines[index] = number
    return index
  }

  private func check(group: String, _ number: Int) throws {
    if ExampleSplit.reservedGroups.contains(group.lowercased()) {
      throw failure(
        number, "group", "\"\(group)\" is a reserved group name",
        remedy: "Choose another name, such as \(group)-ones.")
    }
    // These names become cells of metrics.csv and parts of TensorBoard's tags.
    let isWord = group.unicodeScalars.allSatisfy {
      $0.properties.generalCategory != .control && !$0.properties.isWhitespace && !"\"'/,".unicodeScalars.contains($0)
    }
    if !isWord {
      throw failure(
        number, "group", "\"\(group)\" is not a single word without quotes, slashes or spaces",
        remedy: "Choose a name such as difficulty-3.")
    }
  }

  private func failure(_ line: Int, _ column: String, _ what: String, remedy: String = "") -> DatasetError {
    DatasetError("\(path), line \(line), column \(column): \(what).", remedy: remedy)
  }
}
