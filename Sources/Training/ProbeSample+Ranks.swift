// SPDX-License-Identifier: Apache-2.0

import Coherence
import Collectives
import GradientMatrix

extension ProcessGroup: SampleExchange {}

extension ProbeSample {
  /// The ranks that share a pass; nil for this process alone, and where chunks are mini-batches whose examples are coupled.
  func sharing(_ plan: GradientPlan) -> ProcessGroup? {
    group.flatMap { $0.count > 1 && plan.batchNormPolicy == .running ? $0 : nil }
  }

  /// The places of the sample that this process passes over.
  ///
  /// - Parameters:
  ///   - parts: what stays whole, in order and without gaps; single examples where nil.
  ///   - plan: how the examples' gradients are computed.
  func ownShare(of parts: [Range<Int>]? = nil, _ plan: GradientPlan) -> Range<Int> {
    guard let group = sharing(plan) else { return indices.indices }
    guard let parts else { return ShardPlan(count: indices.count, ranks: group.count).range(of: group.rank) }
    let own = parts[ShardPlan(count: parts.count, ranks: group.count).range(of: group.rank)]
    guard let first = own.first, let last = own.last else { return indices.count..<indices.count }
    return first.lowerBound..<last.upperBound
  }

  /// What the ranks found of their examples, one after the other.
  ///
  /// - Parameters:
  ///   - plan: how the examples' gradients are computed.
  ///   - width: numbers of an example.
  ///   - pass: this process's pass, which gives the numbers of its examples.
  /// - Throws: what a pass throws; where the gradients of one rank's examples are not finite, the same for all.
  func gathered(_ plan: GradientPlan, _ width: Int, _ pass: () throws -> [Double]) throws -> [Double] {
    guard let group = sharing(plan) else { return try pass() }
    var (numbers, failure): ([Double], CoherenceError?) = ([], nil)
    do {
      numbers = try pass()
    } catch let error as CoherenceError where error.isDivergence { failure = error }
    guard try group.sum([failure == nil ? 0 : 1])[0] == 0 else {
      let messages = try group.texts(failure?.description ?? "")
      throw CoherenceError(diverged: messages.first { !$0.isEmpty } ?? "")
    }
    let all = try group.concatenated(numbers).flatMap(\.self)
    guard all.count == width * indices.count else {
      throw TrainingError(.configuration, "the ranks measured \(all.count / width) of \(indices.count) examples")
    }
    return all
  }
}
