// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Datasets
import NeuralNetworks
import Tensors

/// What a private training may not do, and what it promises.
extension Trainer {
  /// What a private training reveals so far; nil for a training of another kind.
  public var privacy: PrivateMean? { aggregator as? PrivateMean }

  /// What a person should know about how the data was read, and about what a private training promises.
  public var notes: [String] {
    var notes = data.notes
    if privacy != nil, settings.seed < 1 << 32 {
      notes.append(
        "the noise follows from the seed, and \(settings.seed) is easily guessed: whoever does can take the noise off "
          + "again. Draw one, such as --seed $(od -An -N8 -tu8 /dev/urandom), and keep it to yourself")
    }
    if let privacy, privacy.epsilon(steps: steps).isInfinite {
      notes.append("\(privacy) adds no noise, so that the weights promise no privacy")
    } else if let privacy, privacy.delta * Double(sampler.count) >= 1 {
      notes.append(
        "delta \(privacy.delta) is no less than one in the \(sampler.count) training examples, so that all of one example "
          + "may be revealed; a tenth of that or less is usual")
    }
    return notes
  }

  /// - Throws: `TrainingError` that names what would break the promise of a private training, with a remedy.
  static func requirePrivacy(of aggregator: any Aggregator, _ model: any Module, _ settings: TrainingSettings) throws {
    func require(_ condition: Bool, _ reason: String) throws {
      if !condition { throw TrainingError(.configuration, "\(aggregator) \(reason)") }
    }
    let coupled = model.coupledLayers
    try require(
      coupled.isEmpty,
      "needs examples whose gradients do not depend on each other, but \(coupled.count) layers normalise by statistics of "
        + "the mini-batch; normalise by --norm group:8")
    try require(
      settings.batchNormGroups == nil, "draws mini-batches of any size, which bn-groups cannot divide; leave it out")
    try require(
      settings.stopAccuracy == nil,
      "cannot end at a training accuracy, which no noise hides: when it ends would tell about examples; leave "
        + "stop-accuracy out")
    try require(
      settings.stop == nil,
      "cannot end by predictions or gradients of training examples, which no noise hides; leave stop out")
    if case .earlyLearning = settings.loss {
      try require(
        false, "does not count what the loss elr remembers of an example between steps; choose another loss")
    }
  }
}
