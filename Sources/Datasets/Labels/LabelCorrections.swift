// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// What was decided about single labels of a data set: new ones, and examples to leave out.
public struct LabelCorrections: Sendable, Equatable {
  /// The new label of each example that has one, by index.
  public let relabelled: [Int: Int]
  /// The examples that are not trained on.
  public let dropped: Set<Int>

  /// Corrections from their parts.
  ///
  /// - Parameters:
  ///   - relabelled: the new label of each example that has one, by index.
  ///   - dropped: the examples that are not trained on.
  public init(relabelled: [Int: Int], dropped: Set<Int>) { (self.relabelled, self.dropped) = (relabelled, dropped) }

  /// SHA-256 (lower-case hexadecimal) of what they say, whatever the file looks like that says it.
  public var checksum: String {
    var text = ""
    for (index, label) in relabelled.sorted(by: { $0.key < $1.key }) { text += "\(index) \(label)\n" }
    for index in dropped.sorted() { text += "\(index) -\n" }
    return hexadecimal(SHA256.hash(data: Data(text.utf8)))
  }
}

extension NoisyLabels {
  /// The same with corrected labels. An example whose correction is the original label is pristine; where no noise is known,
  /// a corrected label is the right one as far as anybody knows, and all stay pristine.
  ///
  /// - Parameters:
  ///   - corrections: what was decided.
  ///   - classCount: K, the number of classes.
  /// - Throws: `DatasetError` when an example does not exist or a label is no class.
  public func corrected(by corrections: LabelCorrections, classCount: Int) throws -> NoisyLabels {
    let named = Array(corrections.relabelled.keys) + Array(corrections.dropped)
    if let index = named.first(where: { !assigned.indices.contains($0) }) {
      throw DatasetError(
        "A correction is of example \(index), but there are \(count).", remedy: "Name examples of the data set, from 0."
      )
    }
    var labels = assigned
    for (index, label) in corrections.relabelled { labels[index] = label }
    try checkLabels(labels, classCount: classCount) { "The corrected label of example \($0)" }
    let isNoisy = kind != nil || original != assigned
    return NoisyLabels(
      original: isNoisy ? original : labels, assigned: labels, kind: kind, rate: rate, seed: seed)
  }
}
