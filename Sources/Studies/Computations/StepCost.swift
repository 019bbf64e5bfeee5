// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Runs
import Training

/// Step times of SGD, RM3 and M3 in one setting, taken in turns so that what else the machine does falls on all alike.
enum StepCost {
  private static let optimizers = ["sgd", "rm3", "m3"]

  static func quantities(
    _ configuration: TrainingConfiguration, rounds: Int, stepsPerRound: Int
  ) throws -> [QuantityRecord] {
    let trainers = try optimizers.map { word in
      try Trainer.make(
        configuration.with {
          ($0.optimizer, $0.probe) = (word, [])
          ($0.epochs, $0.steps) = (nil, (rounds + 1) * stepsPerRound)
        })
    }
    func measure(_ trainer: Trainer) throws -> Double {
      try seconds { for _ in 0..<stepsPerRound { _ = try trainer.update() } } / Double(stepsPerRound)
    }
    // The first round makes the libraries' plans and fills the memory pools.
    for trainer in trainers { _ = try measure(trainer) }
    var times = [[Double]](repeating: [], count: trainers.count)
    for round in 0..<rounds {
      // Each goes first as often as the others.
      for turn in trainers.indices {
        let place = (round + turn) % trainers.count
        times[place].append(try measure(trainers[place]))
      }
    }
    return [QuantityRecord(quantity: "rounds", value: Double(rounds))]
      + zip(optimizers, times).map { word, times in
        QuantityRecord(quantity: "seconds_\(word)", value: times.sorted()[times.count / 2])
      } + zip(optimizers, times).dropFirst().flatMap { word, own in ratios(of: own, to: times[0], word) }
  }

  /// The median over rounds of one optimizer's time relative to SGD's in the same round, `ratio_WORD`, and the 95 %
  /// interval of that median, `ratio_WORD_low` to `ratio_WORD_high`.
  static func ratios(of times: [Double], to base: [Double], _ word: String) -> [QuantityRecord] {
    let ratios = zip(times, base).map { $0 / $1 }.sorted()
    guard !ratios.isEmpty else { return [] }
    // The sign test: the k smallest and the k largest are left out where no more than 2.5 % of fair coins have so few heads.
    var (outside, share, below) = (0, pow(0.5, Double(ratios.count)), 0.0)
    while outside < (ratios.count - 1) / 2, below + share <= 0.025 {
      below += share
      share *= Double(ratios.count - outside) / Double(outside + 1)
      outside += 1
    }
    let lowest = max(0, outside - 1)
    return [
      QuantityRecord(quantity: "ratio_\(word)", value: ratios[ratios.count / 2]),
      QuantityRecord(quantity: "ratio_\(word)_low", value: ratios[lowest]),
      QuantityRecord(quantity: "ratio_\(word)_high", value: ratios[ratios.count - 1 - lowest]),
    ]
  }
}
