// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// What a computation without training gave, by quantity.
public struct Measurement: Sendable, Equatable {
  /// What was measured, such as `linear-example`, or `learning-order-seed2` where seeds differ.
  public let name: String
  /// The values by quantity.
  public let values: [String: Double]

  /// A measurement from its parts.
  public init(name: String, values: [String: Double]) {
    self.name = name
    self.values = values
  }

  /// Reads a file as `QuantityRecord.write` leaves it; the measurement is named as the file is, without its ending.
  ///
  /// - Throws: `RunStoreError` when the file cannot be read.
  public init(_ file: URL) throws {
    let records = try QuantityRecord.read(file)
    self.init(
      name: file.deletingPathExtension().lastPathComponent,
      values: Dictionary(records.map { ($0.quantity, $0.value) }, uniquingKeysWith: { _, last in last }))
  }

  /// The name without its seed.
  var kind: String { parts.kind }

  /// The seed that the name ends in; nil for none.
  var seed: UInt64? { parts.seed }

  private var parts: (kind: String, seed: UInt64?) {
    guard let mark = name.range(of: "-seed", options: .backwards), let seed = UInt64(name[mark.upperBound...]) else {
      return (name, nil)
    }
    return (String(name[..<mark.lowerBound]), seed)
  }

  /// A finite value; nil for none.
  subscript(quantity: String) -> Double? { values[quantity].flatMap { $0.isFinite ? $0 : nil } }

  /// The finite values of quantities that end in a number, such as `seconds_m_1000`, by that number.
  func series(_ prefix: String) -> [(at: Int, value: Double)] {
    values.compactMap { quantity, value in
      guard quantity.hasPrefix(prefix), value.isFinite, let at = Int(quantity.dropFirst(prefix.count)) else {
        return nil
      }
      return (at, value)
    }.sorted { $0.at < $1.at }
  }
}

/// How a claim about a computation without training is judged.
protocol MeasuredRule: ClaimRule {
  /// The kind of measurement that the rule reads.
  var kind: String { get }

  /// All kinds, where a claim's parts are measured apart.
  var kinds: [String] { get }

  /// What the measurements were made on, in a few words.
  var basis: String { get }

  /// Whether the measurements say enough for the claim to be on the score card.
  func isSpokenAbout(by measurements: [Measurement]) -> Bool

  /// Judges all of them.
  func judge(_ measurements: [Measurement]) -> Judgement

  /// Judges one measurement of the kind; `missing` quantities are named by the assessment.
  func judge(_ measurement: Measurement) -> Judgement
}

extension MeasuredRule {
  var basis: String { "computed without training" }

  var kinds: [String] { [kind] }

  func isSpokenAbout(by measurements: [Measurement]) -> Bool { measurements.contains { kinds.contains($0.kind) } }

  func judge(_ measurements: [Measurement]) -> Judgement { judge(measurements, of: kind) }

  /// Judges all measurements of a kind, seed by seed.
  func judge(_ measurements: [Measurement], of kind: String) -> Judgement {
    let own = measurements.filter { $0.kind == kind }
    guard let first = own.first else {
      return Judgement(
        outcome: .inconclusive, explanation: "missing: the measurement \(kind).", missing: ["the measurement \(kind)"])
    }
    guard own.count > 1 else { return judge(first) }
    return .combining(own.map { (seed: $0.seed ?? 0, judgement: judge($0)) })
  }

  func verdicts(on evidence: Evidence) -> [Verdict] {
    guard evidence.isWanted || isSpokenAbout(by: evidence.measurements) else { return [] }
    let own = evidence.measurements.filter { kinds.contains($0.kind) }
    let judgement = judge(own)
    let basis = own.isEmpty ? "no measurement" : self.basis
    return [
      Verdict(
        claim, judgement, runs: [], measurements: own.map(\.name), seeds: Set(own.compactMap(\.seed)).sorted(),
        scale: "\(basis) (paper: \(claim.setting))")
    ]
  }
}

extension Assessment {
  /// The values of quantities, in their order; nil when one is missing, which is then named. `where` follows their names.
  mutating func take(_ quantities: [String], of measurement: Measurement, where place: String = "") -> [Double]? {
    for quantity in quantities where measurement[quantity] == nil { miss("\(quantity) in \(measurement.name)") }
    let values = quantities.compactMap { measurement[$0] }
    guard values.count == quantities.count else { return nil }
    for (quantity, value) in zip(quantities, values) { note(quantity.replacing("_", with: " ") + place, value) }
    return values
  }
}
