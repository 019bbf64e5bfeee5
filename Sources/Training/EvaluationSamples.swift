// SPDX-License-Identifier: Apache-2.0

import Datasets

/// The fixed samples that evaluations see before there is time for all examples.
///
/// Of every stratum (a class, and whether noise changed the label) a sample holds its share, up to rounding: otherwise
/// the share of corrupt examples in it, off by 2 points of 50 among 700, would show as accuracy, and as a jump where a
/// larger sample takes over. A smaller sample is part of a larger one.
struct EvaluationSamples {
  private let train, test, validation: [Int]

  /// - Parameters:
  ///   - schedule: how large the samples are.
  ///   - seed: draws the order within each stratum.
  init(_ data: TrainingData, _ schedule: EvaluationSchedule, seed: UInt64) {
    let needed = [schedule.early, schedule.regular, schedule.last].map(schedule.counts(of:))
    func sample(_ total: Int, _ count: (SplitCounts) -> Int, _ stream: Int, _ stratum: (Int) -> Int) -> [Int] {
      guard let most = needed.map(count).filter({ $0 < total }).max() else { return [] }
      var generator = SeededGenerator(seed: seed, stream: .evaluation, index: stream)
      return Array(Self.stratified(generator.permutation(count: total), by: stratum).prefix(most))
    }
    let labels = data.labels
    func stratum(_ index: Int) -> Int { 2 * labels.assigned[index] + (labels.isCorrupt(index) ? 1 : 0) }
    train = sample(data.trainIndices.count, \.train, 0) { stratum(data.trainIndices[$0]) }
    test = sample(data.test.count, \.test, 1) { data.test.labels[$0] }
    validation = sample(data.validationIndices.count, \.validation, 2) { stratum(data.validationIndices[$0]) }
  }

  /// An order of which every beginning holds of each stratum its share: the k-th of n examples of a stratum comes at
  /// (k + ½)/n.
  static func stratified(_ places: [Int], by stratum: (Int) -> Int) -> [Int] {
    var sizes: [Int: Int] = [:]
    let ranked = places.map { place in
      let own = stratum(place)
      let rank = sizes[own, default: 0]
      sizes[own] = rank + 1
      return (place: place, stratum: own, rank: rank)
    }
    let keyed = ranked.map { entry in
      (place: entry.place, key: (Double(entry.rank) + 0.5) / Double(sizes[entry.stratum] ?? 1))
    }
    // The order of equals is that of the permutation.
    return keyed.enumerated().sorted { ($0.element.key, $0.offset) < ($1.element.key, $1.offset) }.map(\.element.place)
  }

  /// Places among the examples that are trained on, ascending.
  func trainPlaces(_ count: Int, of total: Int) -> [Int] { Self.places(train, count, of: total) }
  /// Places among the test examples, ascending.
  func testPlaces(_ count: Int, of total: Int) -> [Int] { Self.places(test, count, of: total) }
  /// Places among the validation examples, ascending.
  func validationPlaces(_ count: Int, of total: Int) -> [Int] { Self.places(validation, count, of: total) }

  private static func places(_ order: [Int], _ count: Int, of total: Int) -> [Int] {
    count < total ? order.prefix(count).sorted() : Array(0..<total)
  }
}
