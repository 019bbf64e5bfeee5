// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Runs
import Training

/// What a cell computes without training.
public enum Computation: Sendable, Equatable {
  /// The linear example of On the Generalization Mystery, exactly.
  case linearExample
  /// The laws of coherence on so many random sets of gradients.
  case coherenceLaws(cases: Int)
  /// m-coherence where it is known, and its cost for these m.
  case mCoherence(sizes: [Int], width: Int)
  /// The cost of coherence and of its relatives for these m.
  case measuresCost(sizes: [Int], width: Int)
  /// The example of Weak and Strong §3.2, with m gradients.
  case medianExpectation(m: Int)
  /// Step times of SGD, RM3 and M3 in this setting, in so many interleaved rounds.
  case stepCost(TrainingConfiguration, rounds: Int, stepsPerRound: Int)
  /// Whether early-learned examples are those with most in common, in the run of a cell.
  case learningOrder(run: String)
  /// How well a threshold on the loss tells training from test examples, in the runs of cells.
  case membership(runs: [String])

  /// Computes.
  ///
  /// - Parameter folder: where the runs are that it is about.
  /// - Throws: what the libraries throw; `StudyError` when a run holds too little.
  func quantities(in folder: StudyFolder) throws -> [QuantityRecord] {
    switch self {
    case .linearExample: try LinearExample.quantities()
    case .coherenceLaws(let cases): try CoherenceLaws.quantities(cases: cases)
    case .mCoherence(let sizes, let width): try CoherenceCost.laws() + CoherenceCost.quantities(sizes, width: width)
    case .measuresCost(let sizes, let width): try CoherenceCost.relatives(sizes, width: width)
    case .medianExpectation(let m): try MedianExpectation.quantities(m: m)
    case .stepCost(let configuration, let rounds, let steps):
      try StepCost.quantities(configuration, rounds: rounds, stepsPerRound: steps)
    case .learningOrder(let run): try LearningOrder.quantities(of: folder.run(of: run))
    case .membership(let runs): try Membership.quantities(of: runs.map(folder.run))
    }
  }
}
