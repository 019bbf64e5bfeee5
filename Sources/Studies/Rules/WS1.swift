// SPDX-License-Identifier: Apache-2.0

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

  func reads(_ run: StudyRun) -> Bool {
    run.optimizer.isSGD && !run.isFullBatch && Self.models.contains(where: run.manifest.model.lowercased().hasPrefix)
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      let rules: [any Rule] = [CG2(), CG3(), CG4()]
      let parts = rules.map { (id: $0.claim.id, judgement: $0.judge(runs)) }
      let outcomes = parts.map(\.judgement.outcome)
      let outcome: Outcome =
        outcomes.contains(.didNotHold) ? .didNotHold : outcomes.contains(.inconclusive) ? .inconclusive : .held
      let deciding = parts.filter { $0.judgement.outcome == outcome }
      let missing = parts.flatMap(\.judgement.missing).reduce(into: [String]()) { found, part in
        if !found.contains(part) { found.append(part) }
      }
      return Judgement(
        outcome: outcome,
        explanation: deciding.map { "\($0.id) \(outcome.rawValue): \($0.judgement.explanation)" }.joined(
          separator: " "),
        numbers: parts.flatMap(\.judgement.numbers), missing: missing,
        isOpen: parts.contains(where: \.judgement.isOpen))
    }
  }
}
