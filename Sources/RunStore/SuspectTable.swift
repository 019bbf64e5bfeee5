// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One example of an audited data set: a line of `suspects.csv`.
public struct SuspectRecord: Sendable, Equatable {
  /// Its place in the order of suspicion; 1 is the most suspect.
  public var rank: Int
  /// Its place in the data set, from 0.
  public var index: Int
  /// Its file, by its path below the data folder; nil where the data set is no folder of pictures.
  public var file: String?
  /// The class that its label says, and the one that the audit suggests.
  public var given, suggested: Int
  /// All scores together, from 0 to 1.
  public var suspicion: Double
  /// Whether its label is taken for wrong.
  public var isFlagged: Bool
  /// The scores in the order of `AuditRecord.scores`, larger for more suspect; nil where one is undefined.
  public var scores: [Double?]

  /// A record from its fields.
  ///
  /// - Parameters:
  ///   - rank: the place in the order of suspicion, from 1.
  ///   - index: the place in the data set, from 0.
  ///   - file: the file, by its path below the data folder.
  ///   - given: the class that the label says.
  ///   - suggested: the class that the audit suggests.
  ///   - suspicion: all scores together, from 0 to 1.
  ///   - isFlagged: whether the label is taken for wrong.
  ///   - scores: the scores in the order of `AuditRecord.scores`.
  public init(
    rank: Int, index: Int, file: String? = nil, given: Int, suggested: Int, suspicion: Double, isFlagged: Bool,
    scores: [Double?] = []
  ) {
    (self.rank, self.index, self.file, self.given) = (rank, index, file, given)
    (self.suggested, self.suspicion, self.isFlagged, self.scores) = (suggested, suspicion, isFlagged, scores)
  }
}

/// The text of `suspects.csv`, whose last columns are the scores of the audit.
enum SuspectTable {
  static let columns = ["rank", "index", "file", "given", "suggested", "suspicion", "flagged"]

  /// Records as a file, once they are what `record` says.
  static func text(_ suspects: [SuspectRecord], of record: AuditRecord) throws -> String {
    try check(suspects, of: record, at: "suspects")
    var text = (columns + record.scores.map(\.name)).lazy.map(CSV.quoted).joined(separator: ",") + "\n"
    for suspect in suspects {
      let cells =
        [
          suspect.rank.cell, suspect.index.cell, suspect.file.cell, record.classes[suspect.given].cell,
          record.classes[suspect.suggested].cell, suspect.suspicion.cell, suspect.isFlagged.cell,
        ] + suspect.scores.map { $0.flatMap { $0.isNaN ? nil : $0 }.cell }
      text += cells.lazy.map(CSV.quoted).joined(separator: ",") + "\n"
    }
    return text
  }

  /// Reads the records of a file.
  ///
  /// - Throws: `RunStoreError` naming file, line and column of what is wrong.
  static func read(_ data: Data, file: String, of record: AuditRecord) throws -> [SuspectRecord] {
    let expected = columns + record.scores.map(\.name)
    let classes = Dictionary(zip(record.classes, 0...), uniquingKeysWith: { first, _ in first })
    var suspects: [SuspectRecord] = []
    suspects.reserveCapacity(record.count)
    try CSV.forEachRow(of: data, file: file, columns: nil, ignoreUnfinished: false) { header in
      guard header == expected else {
        throw RunStoreError(
          "\(file):1: the header is \"\(header.joined(separator: ","))\" but should be "
            + "\"\(expected.joined(separator: ","))\", as audit.json names the scores.",
          remedy: "Restore the file from a copy, or audit again.")
      }
      return header
    } body: { row in
      func cell(_ column: Int) -> CSVCell { CSVCell(row: row, column: column) }
      func number(_ column: Int) throws -> Int {
        guard let number = classes[String(cell(column))] else { throw cell(column).unreadable("a class of the audit") }
        return number
      }
      let suspicion = try Double(cell(5))
      guard (0...1).contains(suspicion) else { throw cell(5).unreadable("a number from 0 to 1") }
      suspects.append(
        SuspectRecord(
          rank: try Int(cell(0)), index: try Int(cell(1)), file: try String?(cell(2)), given: try number(3),
          suggested: try number(4), suspicion: suspicion, isFlagged: try Bool(cell(6)),
          scores: try (columns.count..<expected.count).map { try Double?(cell($0)) }))
    }
    try check(suspects, of: record, at: file)
    return suspects
  }

  /// Whether every example has one record, in the order of the ranks.
  private static func check(_ suspects: [SuspectRecord], of record: AuditRecord, at place: String) throws {
    let remedy = "Give every example one line, in the order of the ranks from 1, or audit again."
    guard suspects.count == record.count else {
      throw RunStoreError(
        "\(place): \(suspects.count) examples where audit.json has \(record.count).", remedy: remedy)
    }
    var seen = [Bool](repeating: false, count: record.count)
    for (place1, suspect) in zip(1..., suspects) {
      guard suspect.rank == place1 else {
        throw RunStoreError("\(place): found rank \(suspect.rank) where \(place1) was expected.", remedy: remedy)
      }
      guard seen.indices.contains(suspect.index), !seen[suspect.index] else {
        let isOutside = !seen.indices.contains(suspect.index)
        throw RunStoreError(
          "\(place): rank \(place1) has index \(suspect.index), "
            + (isOutside ? "but there are \(record.count) examples." : "which an earlier rank has too."),
          remedy: remedy)
      }
      seen[suspect.index] = true
      guard record.classes.indices.contains(suspect.given), record.classes.indices.contains(suspect.suggested),
        (0...1).contains(suspect.suspicion), suspect.scores.count == record.scores.count
      else {
        throw RunStoreError(
          "\(place): rank \(place1) has class \(suspect.given) or \(suspect.suggested) of \(record.classes.count), "
            + "suspicion \(suspect.suspicion), or \(suspect.scores.count) of \(record.scores.count) scores.",
          remedy: "Give classes that there are, a suspicion from 0 to 1, and a value or nil for every score.")
      }
    }
  }
}
