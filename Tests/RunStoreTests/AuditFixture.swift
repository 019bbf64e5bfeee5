// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport

@testable import RunStore

/// A small audit with names that need care, and a score without a value.
struct AuditFixture {
  static let classes = ["cat", "dog, big", "\"bird\" <b>&", "Ünï 鳥"]

  /// Example i has class i % 4; examples come in the order 5, 4, 3, 2, 1, 0, 11, 10, ..., 6.
  static let suspects = (0..<12).map { place in
    let index = place < 6 ? 5 - place : 17 - place
    return SuspectRecord(
      rank: place + 1, index: index, file: index == 7 ? nil : "class \(index % 4)/a,\(index).png", given: index % 4,
      suggested: (index + 1) % 4, suspicion: 1 - Double(place) / 12, isFlagged: place < 3,
      scores: [place == 4 ? nil : -Double(place) / 3, 1e-300])
  }

  static let record = AuditRecord(
    created: Date(timeIntervalSince1970: 1_700_000_000.125), dataset: "small", count: 12, classes: classes,
    scores: [
      .init(name: "margin", title: "Margin", formula: "−Σ (zᵧ − max z)", source: "Pleiss et al. 2020, §3"),
      .init(name: "wrong", title: "Wrong events", formula: "Σ 1[ŷ ≠ y]", source: "own"),
    ],
    estimate: .init(errors: 2.5, low: 1, high: 4, method: "A mixture of two beta distributions; 95 %."), flagged: 3,
    precision: [.init(count: 1, precision: 0.9), .init(count: 6, precision: 0.4)],
    confused: [.init(given: "cat", suggested: "dog, big", count: 2)],
    duplicates: [.init(indices: [0, 1], labels: ["cat", "dog, big"])], run: "run")

  static let thumbnails = AuditThumbnails(side: 8, columns: 2, rows: 2, indices: [5, 4, 3, 2, 1])

  static let neighbours = AuditNeighbours(
    step: 40,
    examples: [
      5: .init(
        helpers: [.init(index: 1, label: "dog, big", cosine: 0.75, dot: 2)],
        opponents: [.init(index: 6, label: "\"bird\" <b>&", cosine: nil, dot: -1e-3)])
    ])

  /// Writes the audit into a folder of its own.
  static func write(to scratch: Scratch, _ name: String = "audit") throws -> AuditDirectory {
    let audit = AuditDirectory(at: scratch.path(name))
    for sheet in 0..<2 { try audit.write(sheet: Data("picture \(sheet)".utf8), number: sheet) }
    try audit.write(record, suspects: suspects, thumbnails: thumbnails, neighbours: neighbours)
    return audit
  }

  static var labels: LabelledExamples { LabelledExamples(suspects, classes: classes) }
}
