// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Runs
@testable import Training

@Suite struct EvaluationSamplesTests {
  /// Every beginning of the order holds of each stratum its share, up to one example.
  @Test(arguments: [[1], [7], [300, 200], [55, 4, 1, 40], [1, 1, 1], Array(repeating: 13, count: 20)])
  func everyBeginningIsProportional(_ sizes: [Int]) {
    let strata = sizes.enumerated().flatMap { Array(repeating: $0, count: $1) }
    let order = EvaluationSamples.stratified(Array(strata.indices.reversed()), by: { strata[$0] })
    #expect(order.sorted() == Array(strata.indices))
    var counts = Array(repeating: 0, count: sizes.count)
    for (place, index) in order.enumerated() {
      counts[strata[index]] += 1
      for (count, size) in zip(counts, sizes) {
        let share = Double(place + 1) * Double(size) / Double(strata.count)
        #expect(abs(Double(count) - share) <= Double(sizes.count), "\(counts) of the first \(place + 1)")
      }
    }
  }

  private static let configuration = smallConfiguration {
    $0.subset = 600
    $0.validation = 300
    $0.noise = 0.5
    $0.steps = 20
  }

  @Test func samplesAreNestedFixedAndFair() throws {
    let trainer = try Trainer.make(Self.configuration)
    let schedule = trainer.evaluations
    #expect(schedule.counts(of: schedule.early).train < 300)
    let data = trainer.data
    let samples = EvaluationSamples(data, schedule, seed: 1)
    let count = schedule.counts(of: .sample).train
    let places = samples.trainPlaces(count, of: 300)
    #expect(places.count == count && places == places.sorted() && Set(places).count == count)
    #expect(Set(samples.trainPlaces(count / 2, of: 300)).isSubset(of: places))
    #expect(samples.trainPlaces(300, of: 300) == Array(0..<300))
    #expect(EvaluationSamples(data, schedule, seed: 1).trainPlaces(count, of: 300) == places)
    #expect(EvaluationSamples(data, schedule, seed: 2).trainPlaces(count, of: 300) != places)
    // Of corrupt examples the sample has the same share as the whole, up to rounding in each of ten classes.
    func share(_ places: [Int]) -> Double {
      Double(places.count { data.labels.isCorrupt(data.trainIndices[$0]) }) / Double(places.count)
    }
    #expect(abs(share(places) - share(Array(0..<300))) < 5 / Double(count))
  }

  @Test func groupsOfASampleAreItsOwn() throws {
    let trainer = try Trainer.make(Self.configuration)
    let records = try trainer.evaluate(.sample)
    func count(_ split: String, _ group: String) -> Int {
      records.first { $0.split == split && $0.group == group }?.count ?? 0
    }
    let sample = trainer.evaluations.counts(of: .sample)
    #expect(count("train", "all") == sample.train && count("validation", "all") == sample.validation)
    #expect(count("test", "all") == sample.test)
    #expect(count("train", "pristine") + count("train", "corrupt") == sample.train)
  }
}
