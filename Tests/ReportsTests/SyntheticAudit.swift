// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport

/// A small audit with names that need care: example i has class i % 3, and ranks go from the last example to the first.
struct SyntheticAudit {
  var count = 9
  var classes = ["cat", "</script><script>alert(1)</script>", "a, \"b\" & <i>Ü鳥</i>"]
  /// The examples with pictures; sheets have room for two.
  var pictures = [8, 7, 6, 5, 0, 1]
  var hasOptionalParts = true

  var suspects: [SuspectRecord] {
    (0..<count).map { place in
      let index = count - 1 - place
      return SuspectRecord(
        rank: place + 1, index: index, file: index == 4 ? nil : "folder/<\(index)>.png", given: index % classes.count,
        suggested: (index + 1) % classes.count, suspicion: 1 - Double(place) / Double(count), isFlagged: place < 3,
        scores: [place == 2 ? nil : Double(place) / 3, -1e9])
    }
  }

  var record: AuditRecord {
    AuditRecord(
      created: Date(timeIntervalSince1970: 1_700_000_000), dataset: "small <set>", count: count, classes: classes,
      scores: [
        .init(name: "margin", title: "Margin <b>", formula: "a < b", source: "Someone 2020, §3"),
        .init(name: "loss", title: "Loss", formula: "Σ −log p", source: "this program"),
      ],
      estimate: hasOptionalParts ? .init(errors: 12_345.4, low: 11_000, high: 13_999.6, method: "By <eye>.") : nil,
      flagged: 3,
      precision: hasOptionalParts ? [.init(count: 1, precision: 0.9), .init(count: 9, precision: 0.4)] : [],
      confused: hasOptionalParts ? [.init(given: classes[2], suggested: classes[0], count: 2)] : [],
      duplicates: hasOptionalParts ? [.init(indices: [0, 1], labels: [classes[0], classes[1]])] : [],
      run: hasOptionalParts ? "run" : nil)
  }

  /// Example 7 has example 1 near, whose picture is on the last sheet.
  var neighbours: AuditNeighbours? {
    guard hasOptionalParts else { return nil }
    let near = AuditNeighbours.Neighbour(index: 1, label: classes[1], cosine: nil, dot: 0.123456789)
    let far = AuditNeighbours.Neighbour(index: 3, label: classes[0], cosine: -0.5, dot: -2)
    return AuditNeighbours(step: 12_000, examples: [7: .init(helpers: [near], opponents: [far])])
  }

  /// The bytes that stand for a sheet.
  static func sheet(_ number: Int) -> Data { Data("sheet \(number)".utf8) }

  /// Writes the audit into a folder of its own.
  func write(to scratch: Scratch) throws -> AuditDirectory {
    let audit = AuditDirectory(at: scratch.path("audit"))
    let index = AuditThumbnails(side: 8, columns: 2, rows: 1, indices: pictures)
    for number in 0..<index.sheets { try audit.write(sheet: Self.sheet(number), number: number) }
    try audit.write(
      record, suspects: suspects, thumbnails: hasOptionalParts ? index : nil, neighbours: neighbours)
    return audit
  }
}
