// SPDX-License-Identifier: Apache-2.0

import Foundation
import Yams

extension TrainingConfiguration {
  /// Reads a configuration from YAML: a mapping from option names to values.
  ///
  /// - Parameters:
  ///   - yaml: the text.
  ///   - source: the file's name, for messages.
  /// - Throws: `TrainingError` that names file and key: unknown keys (with the nearest known one) and values of the
  ///   wrong kind.
  public init(yaml: String, source: String) throws {
    let node: Node?
    do {
      node = try Yams.compose(yaml: yaml)
    } catch {
      throw TrainingError(.configuration, "\(source) is not valid YAML: \(error)")
    }
    guard let node, node.isEmptyMapping == false else {
      self.init()
      return
    }
    guard let mapping = node.mapping else {
      throw TrainingError(.configuration, "\(source) must be a list of \"option: value\" lines, such as \"lr: 0.1\"")
    }
    let known = CodingKeys.allCases.map(\.rawValue)
    for (key, _) in mapping {
      let name = key.string ?? "?"
      guard known.contains(name) else {
        let hint = nearest(to: name, in: known).map { "; did you mean \"\($0)\"?" } ?? ""
        let line = key.mark.map { ", line \($0.line)" } ?? ""
        throw TrainingError(.configuration, "\(source)\(line): there is no option \"\(name)\"\(hint)")
      }
    }
    do {
      self = try YAMLDecoder().decode(TrainingConfiguration.self, from: yaml)
    } catch let error as DecodingError {
      throw TrainingError(.configuration, "\(source): \(Self.sentence(for: error))")
    } catch {
      throw TrainingError(.configuration, "\(source) cannot be read: \(error)")
    }
  }

  /// The configuration as YAML, every option that has a value, in alphabetical order.
  ///
  /// - Throws: an encoding error, which no configuration produces.
  public func yaml() throws -> String {
    let encoder = YAMLEncoder()
    encoder.options.sortKeys = true
    return try encoder.encode(self)
  }

  private static func sentence(for error: DecodingError) -> String {
    switch error {
    case .typeMismatch(_, let context), .dataCorrupted(let context), .valueNotFound(_, let context):
      let key = context.codingPath.map(\.stringValue).joined(separator: ".")
      return "the value of \"\(key)\" cannot be used: \(context.debugDescription)"
    default:
      return "\(error)"
    }
  }
}

extension Node {
  fileprivate var isEmptyMapping: Bool { mapping?.isEmpty ?? (string?.isEmpty ?? false) }
}

/// The known word closest to what was typed, when it is close enough to be meant.
public func nearest(to word: String, in known: [String]) -> String? {
  let ranked = known.map { (word: $0, distance: editDistance(word, $0)) }.min { $0.distance < $1.distance }
  guard let ranked, ranked.distance <= max(2, word.count / 3) else { return nil }
  return ranked.word
}

private func editDistance(_ a: String, _ b: String) -> Int {
  let second = Array(b)
  var row = Array(0...second.count)
  for (i, left) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, right) in second.enumerated() {
      let above = row[j + 1]
      row[j + 1] = min(above + 1, row[j] + 1, diagonal + (left == right ? 0 : 1))
      diagonal = above
    }
  }
  return row[second.count]
}
