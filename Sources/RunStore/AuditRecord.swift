// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What an audit of the labels of a data set found, apart from the single examples: `audit.json`.
public struct AuditRecord: Codable, Sendable, Equatable {
  /// The format that this version writes and reads.
  public static let format = 1

  /// A measure of how suspect an example's label is; larger is more suspect.
  public struct Score: Codable, Sendable, Equatable {
    /// The column of `suspects.csv`.
    public var name: String
    /// What readers call it, such as "Area under the margin".
    public var title: String
    /// How it is computed, in one line.
    public var formula: String
    /// Where it comes from: paper and section.
    public var source: String

    /// A score from its fields.
    ///
    /// - Parameters:
    ///   - name: the column of `suspects.csv`.
    ///   - title: what readers call it.
    ///   - formula: how it is computed.
    ///   - source: the paper and its section.
    public init(name: String, title: String, formula: String, source: String) {
      (self.name, self.title, self.formula, self.source) = (name, title, formula, source)
    }
  }

  /// How many labels are wrong, with an interval.
  public struct Estimate: Codable, Sendable, Equatable {
    /// The estimated number of wrong labels.
    public var errors: Double
    /// The ends of the interval.
    public var low, high: Double
    /// How it was estimated and what the interval covers, as a sentence.
    public var method: String

    /// An estimate from its fields.
    ///
    /// - Parameters:
    ///   - errors: the estimated number of wrong labels.
    ///   - low: the lower end of the interval.
    ///   - high: its upper end.
    ///   - method: how it was estimated and what the interval covers.
    public init(errors: Double, low: Double, high: Double, method: String) {
      (self.errors, self.low, self.high, self.method) = (errors, low, high, method)
    }
  }

  /// The share of wrong labels to expect among the most suspect examples; in the file a pair [count, precision].
  public struct Precision: Codable, Sendable, Equatable {
    /// How many of the most suspect examples are meant.
    public var count: Int
    /// The expected share of wrong labels among them, from 0 to 1.
    public var precision: Double

    /// A point from its fields.
    ///
    /// - Parameters:
    ///   - count: how many of the most suspect examples are meant.
    ///   - precision: the expected share of wrong labels among them, from 0 to 1.
    public init(count: Int, precision: Double) { (self.count, self.precision) = (count, precision) }

    /// Reads the pair.
    public init(from decoder: any Decoder) throws {
      var pair = try decoder.unkeyedContainer()
      count = try pair.decode(Int.self)
      precision = try pair.decode(Double.self)
    }

    /// Writes the pair.
    public func encode(to encoder: any Encoder) throws {
      var pair = encoder.unkeyedContainer()
      try pair.encode(count)
      try pair.encode(precision)
    }
  }

  /// How often examples of one class look like another one.
  public struct Confusion: Codable, Sendable, Equatable {
    /// The name of the class that the label says, and of the one that the audit suggests.
    public var given, suggested: String
    /// How many flagged examples there are of this kind.
    public var count: Int

    /// A confusion from its fields.
    ///
    /// - Parameters:
    ///   - given: the name of the class that the label says.
    ///   - suggested: the name of the class that the audit suggests.
    ///   - count: how many flagged examples there are of this kind.
    public init(given: String, suggested: String, count: Int) {
      (self.given, self.suggested, self.count) = (given, suggested, count)
    }
  }

  /// The same picture several times, with labels that contradict each other.
  public struct Duplicates: Codable, Sendable, Equatable {
    /// The examples.
    public var indices: [Int]
    /// The names of their classes, in the order of `indices`.
    public var labels: [String]

    /// A group from its fields.
    ///
    /// - Parameters:
    ///   - indices: the examples.
    ///   - labels: the names of their classes, in the same order.
    public init(indices: [Int], labels: [String]) { (self.indices, self.labels) = (indices, labels) }
  }

  /// The format of the folder's files.
  public private(set) var format = Self.format
  /// When the audit ended.
  public var created: Date
  /// The data set's name.
  public var dataset: String
  /// How many examples it has.
  public var count: Int
  /// The names of its classes, in the order of their numbers.
  public var classes: [String]
  /// The scores, in the order of their columns.
  public var scores: [Score]
  /// The column that the rank follows.
  public var headline: String
  /// How many labels are wrong; nil where that could not be estimated.
  public var estimate: Estimate?
  /// How many examples are flagged: the first so many by rank.
  public var flagged: Int
  /// The expected precision by number of examples, in ascending order.
  public var precision: [Precision]
  /// What is confused with what, the most frequent first.
  public var confused: [Confusion]
  /// Conflicting duplicates.
  public var duplicates: [Duplicates]
  /// The folder of the training below the audit's.
  public var run: String?

  /// A record from its fields, in the present format.
  ///
  /// - Parameters:
  ///   - created: when the audit ended.
  ///   - dataset: the data set's name.
  ///   - count: how many examples it has.
  ///   - classes: the names of its classes, in the order of their numbers.
  ///   - scores: the scores, in the order of their columns.
  ///   - headline: the column that the rank follows.
  ///   - estimate: how many labels are wrong.
  ///   - flagged: how many examples are flagged.
  ///   - precision: the expected precision by number of examples, in ascending order.
  ///   - confused: what is confused with what, the most frequent first.
  ///   - duplicates: conflicting duplicates.
  ///   - run: the folder of the training below the audit's.
  public init(
    created: Date = Date(), dataset: String, count: Int, classes: [String], scores: [Score] = [],
    headline: String = "suspicion", estimate: Estimate? = nil, flagged: Int, precision: [Precision] = [],
    confused: [Confusion] = [], duplicates: [Duplicates] = [], run: String? = nil
  ) {
    (self.created, self.dataset, self.count, self.classes) = (created, dataset, count, classes)
    (self.scores, self.headline, self.estimate, self.flagged) = (scores, headline, estimate, flagged)
    (self.precision, self.confused, self.duplicates, self.run) = (precision, confused, duplicates, run)
  }

  /// Checks that class names can stand for classes in tables.
  ///
  /// - Parameter classes: the names, in the order of the classes' numbers.
  /// - Throws: `RunStoreError` without classes, and for a name that is empty, used twice, or of more than one line.
  public static func check(classes: [String]) throws {
    let remedy = "Give every class a name of its own on one line, such as by renaming its folder."
    guard !classes.isEmpty else { throw RunStoreError("An audit needs at least one class.", remedy: remedy) }
    var seen: Set<String> = []
    for (number, name) in classes.enumerated() {
      if name.isEmpty { throw RunStoreError("Class \(number) has no name.", remedy: remedy) }
      if name.contains(where: \.isNewline) {
        throw RunStoreError("The name of class \(number) has a line end in it.", remedy: remedy)
      }
      if !seen.insert(name).inserted { throw RunStoreError("Two classes are called \"\(name)\".", remedy: remedy) }
    }
  }

  /// Checks the record against itself.
  func check(at place: String) throws {
    let remedy = "The file is damaged; restore it from a copy, or audit again."
    do { try Self.check(classes: classes) } catch let error as RunStoreError {
      throw RunStoreError("\(place): \(error.problem)", remedy: error.remedy)
    }
    let names = SuspectTable.columns + scores.map(\.name)
    var seen: Set<String> = []
    if let twice = names.first(where: { !seen.insert($0).inserted }) {
      throw RunStoreError("\(place): two columns are called \"\(twice)\".", remedy: "Rename one of the scores.")
    }
    guard flagged >= 0, flagged <= count else {
      throw RunStoreError("\(place): \(flagged) of \(count) examples cannot be flagged.", remedy: remedy)
    }
    if let estimate, ![estimate.errors, estimate.low, estimate.high].allSatisfy(\.isFinite) {
      throw RunStoreError("\(place): estimate holds what is no number.", remedy: remedy)
    }
    var last = 0
    for point in precision {
      guard point.count > last, point.count <= count, (0...1).contains(point.precision) else {
        throw RunStoreError(
          "\(place): precision has [\(point.count), \(point.precision)] after \(last) of \(count) examples.",
          remedy: "Give rising numbers of examples, each with a share from 0 to 1.")
      }
      last = point.count
    }
    let groups = duplicates.flatMap(\.indices)
    if let outside = groups.first(where: { !(0..<count).contains($0) }) {
      throw RunStoreError("\(place): duplicates name example \(outside) of \(count).", remedy: remedy)
    }
    if let odd = duplicates.first(where: { $0.indices.count != $0.labels.count }) {
      throw RunStoreError(
        "\(place): duplicates \(odd.indices) have \(odd.labels.count) labels.", remedy: remedy)
    }
    for label in duplicates.flatMap(\.labels) + confused.flatMap({ [$0.given, $0.suggested] })
    where !classes.contains(label) {
      throw RunStoreError("\(place): there is no class \"\(label)\".", remedy: remedy)
    }
  }
}

/// Where the small pictures of examples are: `thumbnails.json`.
public struct AuditThumbnails: Codable, Sendable, Equatable {
  /// The width and height of a picture in pixels.
  public var side: Int
  /// How many pictures are side by side on a sheet, and how many below each other.
  public var columns, rows: Int
  /// The examples, in the order of their places: from left to right, from top to bottom, sheet by sheet.
  public var indices: [Int]

  /// An index from its fields.
  ///
  /// - Parameters:
  ///   - side: the width and height of a picture in pixels.
  ///   - columns: how many pictures are side by side on a sheet.
  ///   - rows: how many are below each other.
  ///   - indices: the examples, in the order of their places.
  public init(side: Int = 64, columns: Int = 10, rows: Int = 10, indices: [Int]) {
    (self.side, self.columns, self.rows, self.indices) = (side, columns, rows, indices)
  }

  /// How many pictures a sheet has room for.
  public var perSheet: Int { columns * rows }

  /// How many sheets there are.
  public var sheets: Int { (indices.count + perSheet - 1) / perSheet }

  /// The name of a sheet, such as `0012.png`.
  ///
  /// - Parameter number: the sheet, from 0.
  public static func sheetName(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits + ".png"
  }

  func check(count: Int, at place: String) throws {
    let remedy = "The file is damaged; restore it from a copy, or audit again."
    guard (1...4096).contains(side), (1...1000).contains(columns), (1...1000).contains(rows) else {
      throw RunStoreError(
        "\(place): sheets of \(columns) by \(rows) pictures of \(side) pixels cannot be.", remedy: remedy)
    }
    if let outside = indices.first(where: { !(0..<count).contains($0) }) {
      throw RunStoreError("\(place): there is no example \(outside) among \(count).", remedy: remedy)
    }
  }
}

/// The training examples whose gradients are most like those of suspects, and most opposed to them: `neighbours.json`.
public struct AuditNeighbours: Codable, Sendable, Equatable {
  /// Another example, and how its gradient lies to that of the suspect.
  public struct Neighbour: Codable, Sendable, Equatable {
    /// The example.
    public var index: Int
    /// The name of its class.
    public var label: String
    /// The cosine of the two gradients, from −1 to 1; nil where one of them is 0.
    public var cosine: Double?
    /// Their inner product ⟨gᵢ, gⱼ⟩.
    public var dot: Double

    /// A neighbour from its fields.
    ///
    /// - Parameters:
    ///   - index: the example.
    ///   - label: the name of its class.
    ///   - cosine: the cosine of the two gradients.
    ///   - dot: their inner product.
    public init(index: Int, label: String, cosine: Double?, dot: Double) {
      (self.index, self.label, self.cosine, self.dot) = (index, label, cosine, dot)
    }
  }

  /// The neighbours of one suspect, the strongest first.
  public struct Neighbourhood: Codable, Sendable, Equatable {
    /// Examples whose steps lower its loss, and those whose steps raise it.
    public var helpers, opponents: [Neighbour]

    /// A neighbourhood from its fields.
    ///
    /// - Parameters:
    ///   - helpers: examples whose steps lower its loss.
    ///   - opponents: examples whose steps raise it.
    public init(helpers: [Neighbour], opponents: [Neighbour]) {
      (self.helpers, self.opponents) = (helpers, opponents)
    }
  }

  /// The optimizer step at whose weights the gradients were taken.
  public var step: Int
  /// Neighbourhoods by example.
  public var examples: [Int: Neighbourhood]

  /// Neighbours from their fields.
  ///
  /// - Parameters:
  ///   - step: the optimizer step at whose weights the gradients were taken.
  ///   - examples: neighbourhoods by example.
  public init(step: Int, examples: [Int: Neighbourhood]) { (self.step, self.examples) = (step, examples) }

  func check(count: Int, classes: Set<String>, at place: String) throws {
    let remedy = "The file is damaged; restore it from a copy, or audit again."
    for (index, neighbourhood) in examples {
      let neighbours = neighbourhood.helpers + neighbourhood.opponents
      if let outside = ([index] + neighbours.map(\.index)).first(where: { !(0..<count).contains($0) }) {
        throw RunStoreError("\(place): there is no example \(outside) among \(count).", remedy: remedy)
      }
      if let odd = neighbours.first(where: { !classes.contains($0.label) }) {
        throw RunStoreError("\(place): there is no class \"\(odd.label)\".", remedy: remedy)
      }
    }
  }
}
