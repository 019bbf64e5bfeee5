// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore

/// Label noise on large networks: CG-2, CG-3 and CG-4, one verdict for each network.
struct WS1: Rule {
  /// The beginnings of the words of the three networks, with and without batch norm or a stem for small images.
  static let models = ["resnet18", "vgg13", "inception_v3"]

  let claim = Claim(
    id: "WS-1",
    sentence:
      "On ResNet-18, VGG-13 and Inception-V3 too, noise slows learning, pristine examples are learned before corrupt "
      + "ones, and the slower the fewer there are (CG-2, CG-3, CG-4).",
    paper: Paper.weakAndStrong, section: "§2, figures 1, 6 and 7", setting: Paper.architecturesSetting)

  func reads(_ run: RunHistory) -> Bool {
    run.optimizer.isSGD && !run.isFullBatch && Self.models.contains(where: run.manifest.model.lowercased().hasPrefix)
  }

  let change: RuleChange? = RuleChange(
    "CG-2, CG-3 and CG-4 are parts of their own, for each network. Where SGD has not learned half of the real labels "
      + "the claim is not tested.",
    because:
      "One of the three that failed hid the others. The first runs had 40 to 200 images a class, and ResNet-18 a stem "
      + "for 224 pixels on images of 32.")

  /// "Learns": half of the examples, the level at which CG-2 compares.
  static let learned = 0.5

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(runs) { runs in
      let rules: [any Rule] = [CG2(), CG3(), CG4()]
      let real = runs.at(0)?.accuracy("train").last?.value
      return .joining(
        rules.map { rule in
          var judgement = rule.judge(runs)
          if let real, real < Self.learned {
            judgement = .assessing(held: "") {
              $0.notTested(
                "only \(Wording.whole(100 * real)) % of the real labels are learned; it takes longer training")
            }
          }
          return ("\(rule.claim.id): \(rule.claim.sentence)", judgement)
        })
    }
  }
}
