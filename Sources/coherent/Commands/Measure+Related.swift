// SPDX-License-Identifier: Apache-2.0

import Foundation
import Runs
import Training

extension Measure {
  /// The measures related to coherence: m and then each under its name; null where one is undefined.
  struct Related: Encodable {
    private let m: Int
    private let values: [(name: String, value: Double?)]

    init(_ measures: RelatedMeasures) { (m, values) = (measures.m, measures.values) }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: NameKey.self)
      try container.encode(m, forKey: NameKey(stringValue: "m"))
      for (name, value) in values {
        try container.encode(value.flatMap { $0.isFinite ? $0 : nil }, forKey: NameKey(stringValue: name))
      }
    }

    var text: String {
      let rows = values.map { name, value in
        [name.replacingOccurrences(of: "_", with: " "), value.map { String(format: "%.4g", $0) } ?? "–"]
      }
      return Console.table([["related, of \(m) examples", "value"]] + rows)
    }
  }
}
