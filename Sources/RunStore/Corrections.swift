// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a person decided about a label.
public enum LabelDecision: String, Codable, Sendable, CaseIterable {
  /// The label is right.
  case keep
  /// Another class is right.
  case relabel
  /// No class is right: the example is left out.
  case drop
  /// Whatever was decided before no longer counts.
  case undo
}

extension LabelDecision: CSVValue {
  /// The word.
  public var cell: String { rawValue }

  /// Reads the word.
  ///
  /// - Parameter cell: the cell.
  /// - Throws: `RunStoreError` naming file, line and column of another word.
  public init(_ cell: CSVCell) throws {
    guard let decision = LabelDecision(rawValue: cell.text) else {
      throw cell.unreadable("keep, relabel, drop or undo")
    }
    self = decision
  }
}

/// One decision about a label: a line of `corrections.csv`.
public struct CorrectionRecord: Sendable, Equatable {
  /// The example's place in the data set, from 0.
  public var index: Int
  /// Its file; may be absent.
  public var file: String?
  /// The name of the class that its label says.
  public var given: String
  /// The decision.
  public var decision: LabelDecision
  /// The name of the new class of a relabel; nil otherwise.
  public var label: String?
  /// When it was made, such as 2026-01-31T12:00:00Z; may be absent, and is never relied upon.
  public var time: String?

  /// A record from its fields.
  ///
  /// - Parameters:
  ///   - index: the example's place in the data set, from 0.
  ///   - file: its file.
  ///   - given: the name of the class that its label says.
  ///   - decision: the decision.
  ///   - label: the name of the new class of a relabel.
  ///   - time: when it was made.
  public init(
    index: Int, file: String? = nil, given: String, decision: LabelDecision, label: String? = nil, time: String? = nil
  ) {
    (self.index, self.file, self.given) = (index, file, given)
    (self.decision, self.label, self.time) = (decision, label, time)
  }

  /// What is wrong with a decision and its label; nil if nothing is.
  static func contradiction(_ decision: LabelDecision, label: String?) -> String? {
    switch (decision, label) {
    case (.relabel, nil): "relabel has no new class in column label."
    case (.keep, .some(let label)), (.drop, .some(let label)), (.undo, .some(let label)):
      "\(decision.rawValue) has the class \"\(label)\" in column label."
    default: nil
    }
  }

  static let remedy = "Give relabel the name of a class as its label, and the others none."
}

extension CorrectionRecord: CSVRecord {
  /// The columns.
  public static let schema = CSVSchema<CorrectionRecord>(
    Column("index", \.index), Column("file", \.file), Column("given", \.given), Column("decision", \.decision),
    Column("label", \.label), Column("time", \.time),
    make: { index, file, given, decision, label, time in
      if let contradiction = contradiction(decision, label: label) {
        throw CSVSchemaError(message: contradiction, remedy: remedy)
      }
      return CorrectionRecord(
        index: index, file: file, given: given, decision: decision, label: label, time: time)
    })
}

/// The labels of a data set, which decisions about them are checked against.
public struct LabelledExamples: Sendable, Equatable {
  /// The names of the classes, in the order of their numbers.
  public let classes: [String]
  /// The class of every example, by its index.
  public let labels: [Int]
  /// The file of every example, by its index; nil where the data set is no folder of pictures.
  public let files: [String?]
  private let names: Set<String>

  /// Labels from their parts.
  ///
  /// - Parameters:
  ///   - classes: the names of the classes, in the order of their numbers.
  ///   - labels: the class of every example, by its index.
  ///   - files: the file of every example, by its index; nil where there are none.
  public init(classes: [String], labels: [Int], files: [String?]? = nil) {
    (self.classes, self.labels, names) = (classes, labels, Set(classes))
    self.files = labels.indices.map { files?.indices.contains($0) == true ? files?[$0] : nil }
  }

  /// The labels of an audit.
  ///
  /// - Parameters:
  ///   - suspects: every example, as an audit directory gives them.
  ///   - classes: the names of the classes, in the order of their numbers.
  public init(_ suspects: [SuspectRecord], classes: [String]) {
    var labels = [Int](repeating: 0, count: suspects.count)
    var files = [String?](repeating: nil, count: suspects.count)
    for suspect in suspects where labels.indices.contains(suspect.index) {
      (labels[suspect.index], files[suspect.index]) = (suspect.given, suspect.file)
    }
    self.init(classes: classes, labels: labels, files: files)
  }

  /// The name of an example's class; nil where there is no such example.
  ///
  /// - Parameter index: the example.
  public func given(_ index: Int) -> String? {
    guard labels.indices.contains(index), classes.indices.contains(labels[index]) else { return nil }
    return classes[labels[index]]
  }

  /// What is wrong with a decision: in which column, what, and what to do; nil if nothing is.
  func fault(in record: CorrectionRecord) -> (column: String, problem: String, remedy: String)? {
    guard let given = given(record.index) else {
      let problem = "there is no example \(record.index), the data set has \(labels.count), from 0."
      return ("index", problem, "Name an example of the data set.")
    }
    let remedy = "The decision is about another data set, or lines were shifted: correct or remove it."
    if record.given != given {
      return ("given", "the label of example \(record.index) is \"\(given)\", not \"\(record.given)\".", remedy)
    }
    if let file = record.file, file != files[record.index].map(Self.oneLine) {
      let own = files[record.index].map { "is \"\($0)\"" } ?? "has no name"
      return ("file", "the file of example \(record.index) \(own), not \"\(file)\".", remedy)
    }
    if let label = record.label, !names.contains(label) {
      let listed = classes.prefix(12).joined(separator: ", ") + (classes.count > 12 ? ", …" : "")
      return ("label", "unknown class \"\(label)\".", "Choose from \(listed).")
    }
    return nil
  }

  /// The examples by their files, as these read back from a table.
  var numbersByFile: [String: Int] {
    Dictionary(
      files.enumerated().compactMap { index, file in file.map { (Self.oneLine($0), index) } },
      uniquingKeysWith: { first, _ in first })
  }

  /// A name as it reads back from a table.
  static func oneLine(_ name: String) -> String {
    name.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).joined(separator: " ")
  }
}

/// What was decided about the labels of a data set: what counts of `corrections.csv`.
public struct Corrections: Sendable, Equatable {
  /// The last decision about an example.
  public struct State: Codable, Sendable, Equatable {
    /// The decision; `undo` is as good as none.
    public let decision: LabelDecision
    /// The name of the new class of a relabel, otherwise empty.
    public let label: String
    /// The number of its line in the file, from 1 for the header.
    public let revision: Int

    init(_ record: CorrectionRecord, revision: Int) {
      (decision, label, self.revision) = (record.decision, record.label ?? "", revision)
    }
  }

  /// The last decision about every example that was ever decided, by its index. One that was undone is among them, for
  /// its revision.
  public internal(set) var states: [Int: State] = [:]

  /// How many decisions are about files that are not among the examples; they count for nothing.
  public internal(set) var foreign = 0

  /// No decisions.
  public init() {}

  /// The decisions that count: those that were not undone.
  public var decided: [Int: State] { states.filter { $0.value.decision != .undo } }

  /// Whether a file begins as a corrections.csv does, whatever it is called.
  ///
  /// - Parameter url: the file.
  public static func isFile(at url: URL) -> Bool {
    let header = CorrectionText.header.trimmingCharacters(in: .newlines)
    guard let file = try? openForReading(url) else { return false }
    defer { try? file.close() }
    let begin = try? file.read(upToCount: header.utf8.count)
    return begin == Data(header.utf8)
  }

  /// Writes a whole file of decisions in place of one that may be there.
  ///
  /// - Parameters:
  ///   - records: the decisions.
  ///   - url: the file.
  /// - Throws: `RunStoreError` when the file cannot be written.
  public static func write(_ records: [CorrectionRecord], to url: URL) throws {
    try writeAtomically(Data((CorrectionText.header + CSV.lines(records)).utf8), to: url)
  }

  /// Reads a file of decisions, which may have been edited by hand; there are none where there is no file. A last line
  /// that a killed process left half written is left out.
  ///
  /// - Parameters:
  ///   - url: the file.
  ///   - examples: the labels that the decisions are about.
  ///   - isByFile: whether an example is known by its file where it has one, whatever its index: another part of a folder
  ///     has other numbers. Decisions about files that are not among the examples are passed over.
  /// - Throws: `RunStoreError` naming file, line and column of what is wrong.
  public static func read(_ url: URL, for examples: LabelledExamples, isByFile: Bool = false) throws -> Corrections {
    try CorrectionText(of: url, for: examples, isByFile: isByFile).corrections
  }
}

/// The text of a file of decisions, taken apart.
struct CorrectionText {
  private(set) var corrections = Corrections()
  /// How many bytes are whole lines, or the last whole line without its end.
  private(set) var size = 0
  /// How many lines these are.
  private(set) var lines = 0
  /// Whether the end of the last line is missing.
  private(set) var lacksLineEnd = false

  static var header: String { CSV.header(CorrectionRecord.self) }

  init(of url: URL, for examples: LabelledExamples, isByFile: Bool = false) throws {
    guard FileManager.default.fileExists(atPath: url.path) else { return }
    let data = try readFile(url)
    let start = data.lastIndex(of: 0x0A).map { $0 + 1 } ?? data.startIndex
    let last = data[start...]
    let isHalf = Self.isHalf(last, isFirst: start == data.startIndex, examples)
    let whole = isHalf ? Data(data[..<start]) : data
    size = whole.count
    lacksLineEnd = !isHalf && !last.isEmpty
    lines = whole.reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) } + (lacksLineEnd ? 1 : 0)
    guard !whole.isEmpty else { return }
    let file = url.path
    let numbers = isByFile ? examples.numbersByFile : [:]
    var states: [Int: Corrections.State] = [:]
    var foreign: [String: LabelDecision] = [:]
    try CSV.forEach(CorrectionRecord.self, in: whole, file: file, ignoreUnfinished: false) { line, found in
      var record = found
      if isByFile, let name = record.file {
        guard let number = numbers[name] else {
          foreign[name] = record.decision
          return
        }
        record.index = number
      }
      if let fault = examples.fault(in: record) {
        throw RunStoreError("\(file):\(line): column \(fault.column): \(fault.problem)", remedy: fault.remedy)
      }
      states[record.index] = Corrections.State(record, revision: line)
    }
    corrections.states = states
    corrections.foreign = foreign.values.count { $0 != .undo }
  }

  mutating func note(_ record: CorrectionRecord, bytes: Int) {
    // The header came with the first line.
    lines += lines == 0 ? 2 : 1
    size += bytes
    lacksLineEnd = false
    corrections.states[record.index] = Corrections.State(record, revision: lines)
  }

  /// Whether a line without its end is the beginning of one that this program was writing, not one that a person typed.
  private static func isHalf(_ line: Data, isFirst: Bool, _ examples: LabelledExamples) -> Bool {
    if line.isEmpty { return false }
    if isFirst { return header.utf8.starts(with: line) }
    let digits = line.prefix { (0x30...0x39).contains($0) }
    if digits.count == line.count { return true }
    guard let index = Int(String(decoding: digits, as: UTF8.self)), let given = examples.given(index) else {
      return false
    }
    func isBeginning(_ decision: LabelDecision, _ label: String? = nil) -> Bool {
      let record = CorrectionRecord(
        index: index, file: examples.files[index].map(LabelledExamples.oneLine), given: given, decision: decision,
        label: label)
      return CSV.lines([record]).utf8.dropLast(2).starts(with: line)
    }
    return [.keep, .drop, .undo].contains { isBeginning($0) } || examples.classes.contains { isBeginning(.relabel, $0) }
  }
}
