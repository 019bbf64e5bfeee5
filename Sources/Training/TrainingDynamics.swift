// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What training shows of every example on the way, as sums from which scores of suspicion follow. Arrays side by side,
/// one entry for each training example, in the order of `indices`.
///
/// A *visit* is a pass of the example through a training step; its logits z and probabilities p = softmax z are those
/// that the step needs anyway, of the example as it was augmented. y is the label that is trained on. A *moment* is a
/// step at which the gradients of all examples were taken.
public struct TrainingDynamics: Sendable, Equatable {
  /// K, the number of classes.
  public let classCount: Int
  /// The examples' places in the data set.
  public let indices: [Int]
  /// The labels that are trained on.
  public let labels: [Int]
  /// The number of visits.
  public internal(set) var visits: [Int]
  /// Visits in which the largest logit was not the label's, a tie included.
  public internal(set) var wrong: [Int]
  /// Σ over visits of z_y − max_{k≠y} z_k.
  public internal(set) var marginSum: [Double]
  /// Σ over visits of −ln p_y, in nats.
  public internal(set) var lossSum: [Double]
  /// Σ over visits of p: [N, K].
  public internal(set) var probabilitySum: [Float]
  /// Visits that were wrong after a right one.
  public internal(set) var forgetting: [Int]
  /// Right visits in a row, up to the last.
  public internal(set) var streak: [Int]
  /// The visit at which `streakLength` right ones in a row were first complete, from 1; 0 when that never happened.
  public internal(set) var firstStreak: [Int]
  /// Σ of ‖p − e_y‖ over the first `earlyVisits` visits.
  public internal(set) var earlyErrorSum: [Double]
  /// The number of moments.
  public internal(set) var moments = 0
  /// Σ over moments of ‖gᵢ‖.
  public internal(set) var normSum: [Double]
  /// Σ over moments of η‖gᵢ‖².
  public internal(set) var selfInfluence: [Double]
  /// Σ over moments of η⟨gᵢ, ḡ₋ᵢ⟩, with ḡ₋ᵢ the mean gradient of the other examples.
  public internal(set) var othersPush: [Double]
  /// Σ over moments of the cosine of gᵢ and ḡ₋ᵢ.
  public internal(set) var cosineSum: [Double]
  /// The same with the mean over the other examples of the same label.
  public internal(set) var classCosineSum: [Double]
  /// The logits after the last step, without augmentation: [N, K]. Empty before it.
  public internal(set) var finalLogits: [Float] = []
  /// The share of the nearest neighbours in the last hidden layer, after the last step, that have the same label. Empty
  /// before it.
  public internal(set) var neighbourAgreement: [Double] = []

  /// How many right visits in a row make an example learned (Late Stopping, Yuan et al. 2023, takes 3).
  public static let streakLength = 3
  /// The visits that the early error is taken over (Paul et al., Deep Learning on a Data Diet, 2021: EL2N at epochs of
  /// about 10).
  public static let earlyVisits = 10

  /// Nothing seen of some examples.
  ///
  /// - Parameters:
  ///   - indices: the examples' places in the data set.
  ///   - labels: the labels that are trained on, one for each of `indices`.
  ///   - classCount: K, the number of classes.
  public init(indices: [Int], labels: [Int], classCount: Int) {
    (self.indices, self.labels, self.classCount) = (indices, labels, classCount)
    let none = [Int](repeating: 0, count: indices.count)
    let zero = [Double](repeating: 0, count: indices.count)
    (visits, wrong, forgetting, streak, firstStreak) = (none, none, none, none, none)
    (marginSum, lossSum, earlyErrorSum) = (zero, zero, zero)
    (normSum, selfInfluence, othersPush, cosineSum, classCosineSum) = (zero, zero, zero, zero, zero)
    probabilitySum = [Float](repeating: 0, count: indices.count * classCount)
  }

  /// N.
  public var count: Int { indices.count }

  /// The mean of p over visits: [K]; uniform before the first.
  ///
  /// - Parameter row: the example's place among `indices`.
  public func meanProbabilities(of row: Int) -> [Double] {
    guard visits[row] > 0 else { return [Double](repeating: 1 / Double(classCount), count: classCount) }
    return probabilitySum[row * classCount..<(row + 1) * classCount].map { Double($0) / Double(visits[row]) }
  }

  /// What was seen of the examples that were visited at least once: mini-batches of whole size may have left some out.
  public var visited: TrainingDynamics {
    guard visits.contains(0) else { return self }
    let rows = visits.indices.filter { visits[$0] > 0 }
    func some<Value>(_ values: [Value]) -> [Value] { values.isEmpty ? [] : rows.map { values[$0] } }
    func wide(_ values: [Float]) -> [Float] {
      values.isEmpty ? [] : rows.flatMap { values[$0 * classCount..<($0 + 1) * classCount] }
    }
    var part = TrainingDynamics(indices: some(indices), labels: some(labels), classCount: classCount)
    (part.visits, part.wrong, part.forgetting) = (some(visits), some(wrong), some(forgetting))
    (part.streak, part.firstStreak) = (some(streak), some(firstStreak))
    (part.marginSum, part.lossSum, part.earlyErrorSum) = (some(marginSum), some(lossSum), some(earlyErrorSum))
    (part.moments, part.normSum, part.selfInfluence) = (moments, some(normSum), some(selfInfluence))
    (part.othersPush, part.cosineSum, part.classCosineSum) = (some(othersPush), some(cosineSum), some(classCosineSum))
    (part.probabilitySum, part.finalLogits) = (wide(probabilitySum), wide(finalLogits))
    part.neighbourAgreement = some(neighbourAgreement)
    return part
  }

  /// Takes note of a visit.
  ///
  /// - Parameters:
  ///   - row: the example's place among `indices`.
  ///   - logits: K numbers, all finite.
  mutating func note(row: Int, logits: UnsafeBufferPointer<Float>) {
    let label = labels[row]
    var (largest, other) = (-Float.infinity, -Float.infinity)
    for (place, value) in logits.enumerated() {
      largest = max(largest, value)
      if place != label { other = max(other, value) }
    }
    var sum: Float = 0
    for value in logits { sum += exp(value - largest) }
    let early = visits[row] < Self.earlyVisits
    var error: Float = 0
    for (place, value) in logits.enumerated() {
      let probability = exp(value - largest) / sum
      probabilitySum[row * classCount + place] += probability
      let distance = place == label ? 1 - probability : probability
      error += distance * distance
    }
    if early { earlyErrorSum[row] += Double(error.squareRoot()) }
    let own = logits[label]
    visits[row] += 1
    marginSum[row] += Double(own - (classCount > 1 ? other : 0))
    lossSum[row] += Double(log(sum) + largest - own)
    note(row: row, isRight: own > other)
  }

  private mutating func note(row: Int, isRight: Bool) {
    guard isRight else {
      wrong[row] += 1
      if streak[row] > 0 { forgetting[row] += 1 }
      streak[row] = 0
      return
    }
    streak[row] += 1
    if streak[row] == Self.streakLength, firstStreak[row] == 0 { firstStreak[row] = visits[row] }
  }
}
