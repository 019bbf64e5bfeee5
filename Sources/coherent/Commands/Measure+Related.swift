// SPDX-License-Identifier: Apache-2.0

import Foundation
import Runs
import Training

extension Measure {
  /// The measures related to coherence: m and then each under its name; null where one is undefined.
  struct Related: Encodable {
    private let m: Int
    private let values: [(name: String, value: Double?)]

    init(_ measures: RelatedMeasures) {
      m = measures.m
      values = measures.values
    }

    private struct Name: CodingKey {
      let stringValue: String
      var intValue: Int? { nil }
      init(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Name.self)
      try container.encode(m, forKey: Name(stringValue: "m"))
      for (name, value) in values {
        try container.encode(value.flatMap { $0.isFinite ? $0 : nil }, forKey: Name(stringValue: name))
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
