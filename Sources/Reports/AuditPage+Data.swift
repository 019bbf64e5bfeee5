// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// What the script of the page works on; columns in place of rows, classes as numbers.
private struct AuditPageData: Encodable {
  struct Rows: Encodable {
    let index, given, suggested: [Int]
    let suspicion: [Double]
    let files: [String?]?
    let scores: [[Double?]]
  }

  struct Near: Encodable {
    let step: Int
    let examples: [Int: Sides]
  }

  struct Sides: Encodable {
    let helpers, opponents: [Neighbour]
  }

  /// [example, class, cosine, inner product].
  struct Neighbour: Encodable {
    let index, label: Int
    let cosine, dot: Double?

    func encode(to encoder: any Encoder) throws {
      var list = encoder.unkeyedContainer()
      try list.encode(index)
      try list.encode(label)
      try list.encode(cosine)
      try list.encode(dot)
    }
  }

  /// What decisions in the browser are kept under.
  let key: String
  let count, flagged: Int
  let classes: [String]
  let scores: [AuditRecord.Score]
  let precision: [AuditRecord.Precision]
  let duplicates: [AuditRecord.Duplicates]
  let rows: Rows
  let pictures: AuditThumbnails?
  let neighbours: Near?
  let decisions: [Int: Corrections.State]
}

extension AuditPage {
  /// The examples of the page as JSON, for a server to send.
  ///
  /// - Throws: an `EncodingError` never in practice: all values can be encoded.
  public func data() throws -> Data {
    let created = record.created.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    return try Self.encoder.encode(
      AuditPageData(
        key: "\(record.dataset) \(created) \(record.count)", count: record.count, flagged: record.flagged,
        classes: record.classes, scores: record.scores, precision: record.precision, duplicates: record.duplicates,
        rows: rows, pictures: thumbnails, neighbours: near, decisions: corrections.states))
  }

  private var rows: AuditPageData.Rows {
    .init(
      index: suspects.map(\.index), given: suspects.map(\.given), suggested: suspects.map(\.suggested),
      suspicion: suspects.map { Wording.rounded($0.suspicion) },
      files: suspects.contains { $0.file != nil } ? suspects.map(\.file) : nil,
      scores: record.scores.indices.map { score in suspects.map { Self.short($0.scores[score]) } })
  }

  /// As many digits as anybody reads; nil for what JSON has no number for.
  private static func short(_ value: Double?) -> Double? {
    value.flatMap { $0.isFinite ? Wording.rounded($0) : nil }
  }

  private var near: AuditPageData.Near? {
    guard let neighbours else { return nil }
    let classes = Dictionary(zip(record.classes, 0...), uniquingKeysWith: { first, _ in first })
    func packed(_ list: [AuditNeighbours.Neighbour]) -> [AuditPageData.Neighbour] {
      list.map {
        .init(
          index: $0.index, label: classes[$0.label] ?? 0, cosine: Self.short($0.cosine), dot: Self.short($0.dot))
      }
    }
    return .init(
      step: neighbours.step,
      examples: neighbours.examples.mapValues {
        .init(helpers: packed($0.helpers), opponents: packed($0.opponents))
      })
  }

  /// The sheets of pictures that a page in one file holds, in base 64, up to the limit: those that somebody needs first
  /// who goes down the ranks, with the neighbours of each example.
  func embeddedSheets(limit: Int = pictureLimit) throws -> [(number: Int, base64: String)] {
    guard let thumbnails else { return [] }
    let places = Dictionary(zip(thumbnails.indices, 0...), uniquingKeysWith: { first, _ in first })
    var (seen, sheets, room): (Set<Int>, [(Int, String)], Int) = ([], [], limit)
    for suspect in suspects {
      let near = neighbours?.examples[suspect.index]
      let shown = [suspect.index] + ((near?.helpers ?? []) + (near?.opponents ?? [])).map(\.index)
      for number in shown.compactMap({ places[$0] }).map({ $0 / thumbnails.perSheet })
      where seen.insert(number).inserted {
        guard let png = try directory.picture(number) else { continue }
        let text = png.base64EncodedString()
        if text.utf8.count > room { return sheets }
        room -= text.utf8.count
        sheets.append((number, text))
      }
      if seen.count == thumbnails.sheets { break }
    }
    return sheets
  }
}
