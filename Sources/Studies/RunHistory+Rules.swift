// SPDX-License-Identifier: Apache-2.0

import RunStore

/// A run as the rules and the figures of studies see it.
extension RunHistory {
  /// The file that says which examples were trained and tested on; nil for all of them.
  var split: String? { manifest.extra["split"] }

  /// The file of weights that training started from; nil for a random start.
  var weights: String? { manifest.extra["weights"] }

  /// The normalisation of the model's layers; nil for the usual, batch statistics.
  var normalization: String? { manifest.extra["norm"] }

  /// How training examples were changed; nil for the usual, not at all.
  var augmentation: String? { manifest.extra["augment"] }

  /// Whether the model normalises by the statistics of a batch, so that an example's gradient depends on others.
  var hasBatchNorm: Bool {
    let model = manifest.model.lowercased()
    let has = ["resnet", "inception", "efficientnet"].contains(where: model.hasPrefix) || model.contains("_bn")
    return has && normalization == nil
  }

  /// Whether the run may be judged for a claim: some of a study's are about a few claims alone.
  func isAbout(_ claim: Claim) -> Bool {
    manifest.extra["claims"].map { $0.split(separator: " ").contains { $0 == claim.id } } ?? true
  }

  /// Which part of the data set it was trained on: the name of the split, or the groups of its training examples; `all`
  /// without any.
  var trainedOn: String {
    if let split { return split }
    let groups = ownGroups(of: "train")
    return groups.isEmpty ? "all" : groups.joined(separator: " and ")
  }

  /// The groups of a split beside all, pristine and corrupt.
  func ownGroups(of split: String) -> [String] {
    groups(of: split).filter { !["all", "pristine", "corrupt"].contains($0) }
  }

  /// What a winsorizing optimizer clips on each side, by percentile or by count; 0 for SGD.
  var clipped: Int? { optimizer.clippedPercentile ?? optimizer.clippedCount }

  /// Whether (nearly) every training example is classified as its label at the end.
  var isFitted: Bool { (accuracy("train").last?.value ?? 0) >= Self.fittedAccuracy }

  /// The step from which on the training set counts as fitted; nil when it never does.
  var fittedStep: Int? { accuracy("train").firstStep(reaching: Self.fittedAccuracy) }

  /// One example in a hundred may still be wrong: what mini-batch noise undoes between two evaluations.
  static let fittedAccuracy = 0.99
}
