// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One number of a computation that trains nothing, such as an error against an exact value or the seconds of a step: a
/// line of a file of measured quantities, with the columns quantity and value.
public struct QuantityRecord: Sendable, Equatable {
  /// What it is, such as `alpha_real` or `seconds_sgd`.
  public var quantity: String
  /// Its value.
  public var value: Double

  /// A record from its fields.
  public init(quantity: String, value: Double) {
    self.quantity = quantity
    self.value = value
  }

  /// Writes records to a file, all at once or not at all.
  ///
  /// - Throws: `RunStoreError` when the file cannot be written.
  public static func write(_ records: [QuantityRecord], to url: URL) throws {
    try writeAtomically(Data((CSV.header(Self.self) + CSV.lines(records)).utf8), to: url)
  }

  /// Reads the records of a file, in its order.
  ///
  /// - Throws: `RunStoreError` when there is no such file, naming file, line and column of a bad cell, or the second line
  ///   of a quantity.
  public static func read(_ url: URL) throws -> [QuantityRecord] {
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw RunStoreError("There is no file \(url.path).", remedy: "Check the path for a typing error.")
    }
    let records = try CSV.read(Self.self, from: readFile(url), file: url.path, ignoreUnfinished: false)
    var seen: Set<String> = []
    if let twice = records.first(where: { !seen.insert($0.quantity).inserted }) {
      throw RunStoreError(
        "\(url.path) has two lines for \"\(twice.quantity)\".", remedy: "Remove one of them, or measure again.")
    }
    return records
  }
}

extension QuantityRecord: CSVRecord {
  /// The columns.
  public static let schema = CSVSchema<QuantityRecord>(
    Column("quantity", \.quantity), Column("value", \.value), make: QuantityRecord.init)
}
