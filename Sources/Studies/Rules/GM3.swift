// SPDX-License-Identifier: Apache-2.0

import RunStore

/// M3 on a ResNet with corrupt labels learns the pristine ones only.
struct GM3: Rule {
  static let optimizers = ["sgd", "m3"]

  let claim = Claim(
    id: "GM-3",
    sentence: "On a ResNet with 50 % corrupt labels M3 learns the pristine ones only; SGD learns both.",
    paper: Paper.generalizationMystery, section: "figure 4", setting: "ImageNet, ResNet-50")

  var varying: Set<Factor> { [.noise, .seed, .optimizer, .batchSize, .steps] }
  func reads(_ run: RunHistory) -> Bool {
    Level.isEqual(run.noise, WS3.level) && Self.optimizers.contains(run.optimizer.name)
      && run.manifest.model.lowercased().hasPrefix("resnet")
  }
  func groups(of runs: [RunHistory]) -> [[RunHistory]] { Matching.groups(runs, varying: varying).map(\.atOneBatchSize) }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { $0.optimizer.name == "m3" } }

  let change: RuleChange? = RuleChange(
    "As WS-3: M3 and SGD are parts of their own, and where SGD has not learned half of the corrupt labels the claim is "
      + "not tested.",
    because: "The claim is about two optimizers. The first runs had 4000 images in groups of 17, so that N/b, training "
      + "examples by the size of a group, was 235 where the paper has 14 559.")

  func judge(_ runs: [RunHistory]) -> Judgement { bySeed(runs) { WS3.judge($0, optimizers: Self.optimizers) } }
}
