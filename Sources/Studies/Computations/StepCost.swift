// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Training

/// Step times of SGD, RM3 and M3 in one setting, taken in turns so that what else the machine does falls on all alike.
enum StepCost {
  private static let optimizers = ["sgd", "rm3", "m3"]

  static func quantities(
    _ configuration: TrainingConfiguration, rounds: Int, stepsPerRound: Int
  ) throws -> [QuantityRecord] {
    let trainers = try optimizers.map { word in
      var own = configuration
      own.optimizer = word
      own.probe = []
      own.epochs = nil
      own.steps = (rounds + 1) * stepsPerRound
      return try Trainer(own)
    }
    func measure(_ trainer: Trainer) throws -> Double {
      let begun = DispatchTime.now().uptimeNanoseconds
      for _ in 0..<stepsPerRound { _ = try trainer.update() }
      return Double(DispatchTime.now().uptimeNanoseconds - begun) / 1e9 / Double(stepsPerRound)
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
      }
  }
}
