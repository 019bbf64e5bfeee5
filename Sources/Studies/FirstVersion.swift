// SPDX-License-Identifier: Apache-2.0

/// The first version of the rules, in words, and what it said about the first runs: a rule that is changed after its
/// verdict keeps both in sight.
public struct EarlierVerdict: Sendable, Equatable, Codable {
  /// The version of the rule.
  public let version: Int
  /// How the claim was judged.
  public let rule: String
  /// What the runs said.
  public let verdict: Outcome
  /// Why, in one sentence.
  public let reason: String
  /// The seeds of the runs.
  public let seeds: [UInt64]
  /// The study, and the profile it ran in.
  public let study, profile: String
}

enum FirstVersion {
  /// The verdicts on a claim: one for each study and setting that spoke about it.
  static func verdicts(on claim: String) -> [EarlierVerdict] {
    all.filter { $0.claim == claim }.flatMap { entry in
      entry.verdicts.map {
        EarlierVerdict(
          version: 1, rule: entry.rule, verdict: $0.outcome, reason: $0.reason, seeds: $0.seeds, study: $0.study,
          profile: $0.profile)
      }
    }
  }

  private struct Entry {
    let claim, rule: String
    let verdicts: [Said]
    init(_ claim: String, _ rule: String, _ verdicts: Said...) {
      (self.claim, self.rule, self.verdicts) = (claim, rule, verdicts)
    }
  }

  /// What the runs of one study said: without other words those of `cg` at the paper's size with seed 1, others small
  /// with seeds 1 to 3.
  private struct Said {
    let outcome: Outcome
    let study, profile, reason: String
    let seeds: [UInt64]

    private init(_ outcome: Outcome, _ study: String, _ seeds: [UInt64]?, _ reason: String) {
      let isLarge = study.hasPrefix("cg/")
      (self.outcome, self.study, self.reason) = (outcome, study, reason)
      (profile, self.seeds) = (isLarge ? "paper" : "small", seeds ?? (isLarge ? [1] : [1, 2, 3]))
    }

    static func held(_ study: String, seeds: [UInt64]? = nil, _ reason: String) -> Said {
      .init(.held, study, seeds, reason)
    }
    static func didNotHold(_ study: String, seeds: [UInt64]? = nil, _ reason: String) -> Said {
      .init(.didNotHold, study, seeds, reason)
    }
    static func inconclusive(_ study: String, seeds: [UInt64]? = nil, _ reason: String) -> Said {
      .init(.inconclusive, study, seeds, reason)
    }
  }

  private static let all: [Entry] = [
    .init(
      "CG-1", "final ta ≥ 0.999 for all five (paper profile: MNIST, 1×2048, lr 0.1, batch 100, 10⁵ steps)",
      .didNotHold(
        "cg/label-noise",
        "Training accuracy stays below 0.999 at 25 % noise; training accuracy stays below 0.999 at 50 % noise; "
          + "training accuracy stays below 0.999 at 75 % noise; training accuracy stays below 0.999 at 100 % noise.")),
    .init(
      "CG-2", "first step at which ta reaches a fixed level is increasing in ε",
      .held("cg/label-noise", "The step at which half of the training examples are right rises with noise.")),
    .init(
      "CG-3", "area between accuracy curves, per ε; distances to the two reference curves compared",
      .held(
        "cg/label-noise",
        "At every noise level pristine accuracy leads, and each group is nearer to its own reference curve.")),
    .init(
      "CG-4", "early pristine accuracy decreasing in ε",
      .held("cg/label-noise", "Early pristine accuracy falls as noise grows.")),
    .init(
      "CG-5", "‖g₀..₁₀‖² measured directly and from the loss slope; both decreasing in ε, and they agree",
      .didNotHold(
        "cg/label-noise",
        "Slope and ‖g‖² differ by more than a factor of two at 25 % noise; slope and ‖g‖² differ by more than a factor "
          + "of two at 50 % noise; slope and ‖g‖² differ by more than a factor of two at 75 % noise; slope and ‖g‖² "
          + "differ by more than a factor of two at 100 % noise; ‖g‖² rises from 75 % noise to 100 % noise.")),
    .init(
      "CG-6",
      "f from the paper's sample (400 examples, 300 weights a layer) and from the whole population and all weights, "
        + "which the paper names as future work; N ≥ 20 null permutations give a p-value",
      .didNotHold("cg/contributions", "4 of 20 null worlds cross as well (50 % noise, whole population).")),
    .init(
      "CG-7", "same, permutation p-value",
      .held(
        "cg/contributions",
        "iᵖ is above iᶜ after the first steps, beyond the null worlds, at every noise level and in both samples.")),
    .init(
      "CG-8",
      "slope of the overfit curve decreasing in c, each ε (paper profile: 3×256, 60 000 steps, c ∈ {0,1,2,4,8})",
      .inconclusive("cg/winsorized", "C = 1 and c = 2 slow overfitting alike at 50 % noise.")),
    .init(
      "CG-9", "max over steps of ta ≤ proper accuracy + 0.01",
      .didNotHold(
        "cg/winsorized",
        "Training accuracy exceeds the proper accuracy with c = 2, 100 % noise; training accuracy exceeds the proper "
          + "accuracy with c = 4, 100 % noise; training accuracy exceeds the proper accuracy with c = 8, 100 % "
          + "noise.")),
    .init(
      "CG-10", "argmax of ta before the end and drop ≥ a stated margin, c = 8",
      .held("cg/winsorized", "Training accuracy falls by at least 0.01 after its peak.")),
    .init(
      "CG-11", "best va − final va increasing in ε",
      .held("cg/label-noise", "Best minus final test accuracy grows with noise."),
      .held("gm/early-stopping", "Best minus final test accuracy grows with noise (in each of 3 seeds).")),
    .init(
      "CG-12", "full-batch run at 0 % and 100 %, same ordering",
      .held(
        "cg/full-batch", seeds: [1, 2, 3],
        "With the full batch real labels generalise and random ones do not, and test accuracy is that of mini-batches "
          + "(in each of 3 seeds).")),
    .init(
      "WS-1", "same rules; CIFAR-10 at small profile, ImageNet folders at paper profile",
      .didNotHold(
        "ws/label-noise",
        "In each of 3 seeds, such as seed 1: CG-2 did not hold: the step at which half of the examples are right falls "
          + "from 75 % noise to 100 % noise. CG-3 did not hold: pristine accuracy leads by less than 0.05 at 50 % "
          + "noise; the pristine curve is nearer to the other reference at 50 % noise; pristine accuracy leads by less "
          + "than 0.05 at 75 % noise; the pristine curve is nearer to the other reference at 75 % noise."),
      .didNotHold(
        "ws/label-noise",
        "In each of 3 seeds, such as seed 1: CG-3 did not hold: pristine accuracy leads by less than 0.05 at 25 % "
          + "noise; the pristine curve is nearer to the other reference at 25 % noise; pristine accuracy leads by less "
          + "than 0.05 at 50 % noise; the pristine curve is nearer to the other reference at 50 % noise; pristine "
          + "accuracy leads by less than 0.05 at 75 % noise; the pristine curve is nearer to the other reference at 75 "
          + "% noise."),
      .didNotHold(
        "ws/label-noise",
        "In each of 3 seeds, such as seed 1: CG-2 did not hold: the step at which half of the examples are right falls "
          + "from 50 % noise to 75 % noise. CG-3 did not hold: the pristine curve is nearer to the other reference at "
          + "25 % noise; the pristine curve is nearer to the other reference at 50 % noise; pristine accuracy leads by "
          + "less than 0.05 at 75 % noise. CG-4 did not hold: early pristine accuracy rises from 50 % noise to 75 % "
          + "noise.")),
    .init(
      "WS-2", "gaps at equal training effort (steps and examples seen both reported), seeds ≥ 3",
      .didNotHold(
        "ws/robust-means",
        "RM3's gap is not at most half of RA3's at 0 % noise; RM3's gap is not at most half of RA3's at 50 % noise; "
          + "RM3's gap is not at most half of RA3's at 100 % noise.")),
    .init(
      "WS-3", "pristine and corrupt train accuracy at 50 %",
      .didNotHold("ws/robust-means", "rm3 learns more than a fifth of the corrupt examples (in each of 3 seeds).")),
    .init(
      "WS-4", "exact, on constructed gradients",
      .held("ws/robust-means", seeds: [], "Exactly so: SGD expects c + (1/m)Σu, M3 expects c.")),
    .init(
      "WS-5", "step norm ratio M3/SGD along common directions; loss spikes counted",
      .didNotHold(
        "ws/robust-means",
        "M3’s steps along the common gradient are not clearly larger than the mean’s (in each of 3 seeds).")),
    .init(
      "WS-6", "gap of RM3 vs batch size tends to SGD's",
      .inconclusive(
        "ws/batch-size",
        "At batch 100, 400, 1000 both have learned all labels in the end, and any two optimizers are alike there.")),
    .init(
      "WS-7", "measured step times: ours must be lower",
      .held(
        "ws/cost", seeds: [],
        "A step of RM3 takes less than 1 % longer than one of SGD, and one of M3 less than 30 %.")),
    .init(
      "WS-8", "as stated",
      .didNotHold("ws/winsorized-cifar", "S = 2 costs more than three points of test accuracy (in each of 3 seeds).")),
    .init(
      "WS-9", "gap(easy) < gap(hard); early train-loss slopes",
      .held(
        "ws/easy-hard", seeds: [101, 102, 103], "The gap of easy examples is smaller, and their loss falls faster.")),
    .init(
      "WS-10", "monotone within error; paper: 99.15, 97.82, 96.73, 95.69, 94.46, 92.85, 90.56, 86.61, 61.01 %",
      .held(
        "ws/difficulty", seeds: [101, 102, 103],
        "The training accuracy of RM3 falls from difficulty 0 to difficulty 8 (in each of 3 seeds).")),
    .init(
      "WS-11", "table as in §4.4 (paper: 85, 17, 44, 21 %)",
      .held(
        "ws/easy-hard", seeds: [101, 102, 103],
        "From easy to easy accuracy is high; from easy to hard and from hard examples it is low.")),
    .init(
      "MC-1", "exact tests; time and memory against m",
      .held("mc/measures", seeds: [], "r is 1, m and 0 where it should be, and time and memory grow no faster than m.")),
    .init(
      "MC-2", "max over training for ε = 100 % vs 0 %, same m",
      .didNotHold(
        "mc/evolution", "The peak with random labels is not well below that with real ones (in each of 3 seeds)."),
      .inconclusive(
        "mc/evolution",
        "No seed decides; seed 1 leaves it open: the peak with random labels is not well below that with real ones, "
          + "which are not fitted yet."),
      .inconclusive(
        "mc/evolution",
        "No seed decides; seed 1 leaves it open: the peak with random labels is not well below that with real ones, "
          + "which are not fitted yet.")),
    .init(
      "MC-3", "dense probe of steps 0–50",
      .didNotHold(
        "mc/evolution",
        "In each of 3 seeds, such as seed 1: r starts at 29.0 % of m, not near m (at least half), at 0 % noise; r "
          + "starts at 27.8 % of m, not near m (at least half), at 100 % noise."),
      .didNotHold(
        "mc/evolution",
        "In each of 3 seeds, such as seed 1: r starts at 0.2 % of m, not near m (at least half), at 0 % noise; r "
          + "starts at 0.3 % of m, not near m (at least half), at 100 % noise."),
      .didNotHold(
        "mc/evolution",
        "In each of 3 seeds, such as seed 1: r starts at 14.8 % of m, not near m (at least half), at 0 % noise; r "
          + "starts at 15.0 % of m, not near m (at least half), at 100 % noise.")),
    .init(
      "MC-4", "shape of r(t); peak time against ε",
      .didNotHold(
        "mc/evolution",
        "In each of 3 seeds, such as seed 1: the rise is a spike at 0 % noise; the rise is a spike at 100 % noise."),
      .inconclusive(
        "mc/evolution",
        "No seed decides; seed 1 leaves it open: the examples are not fitted yet at 0 % noise; the examples are not "
          + "fitted yet at 100 % noise."),
      .inconclusive(
        "mc/evolution",
        "No seed decides; seed 1 leaves it open: the examples are not fitted yet at 0 % noise; the examples are not "
          + "fitted yet at 100 % noise.")),
    .init(
      "MC-5", "per-layer probes",
      .didNotHold(
        "mc/evolution",
        "Fewer than three convolutions of four lie above the final layer, efficientnet_b0 (in each of 3 seeds).")),
    .init("GM-1", "property tests", .held("gm/linear-example", seeds: [], "Every law holds to within 1e-06.")),
    .init(
      "GM-2", "both axes plotted; ratio",
      .didNotHold(
        "gm/coherence",
        "In each of 3 seeds, such as seed 1: r with real labels is not twice that with random ones on train examples, "
          + "by epoch; r with real labels is not twice that with random ones on train examples, by training loss.")),
    .init(
      "GM-3", "as WS-3, ResNet",
      .didNotHold("gm/m3", "m3 learns more than a fifth of the corrupt examples (in each of 3 seeds).")),
    .init(
      "GM-4", "computed along runs with measured L and β; reported as qualitative",
      .held(
        "gm/stability-bound",
        "At the same step the bound is smaller with real labels, with each run’s own β and with one for both (in each "
          + "of 3 seeds).")),
    .init(
      "GM-5", "rank correlation of step first learned with G·ḡ at early steps",
      .held(
        "gm/learning-order",
        "At most early steps, examples with larger ⟨gᵢ, ḡ⟩ are learned earlier (in each of 3 seeds).")),
    .init(
      "GM-6", "r and gap against a fresh start",
      .didNotHold("gm/adversarial-init", "Peak coherence from the given weights is higher than from a random start.")),
    .init(
      "GM-7", "sweep of width and of depth: gap and α",
      .held("gm/width-depth", "The gap falls and test accuracy rises with width, and the peak of α rises with depth.")),
    .init("GM-8", "exact", .held("gm/linear-example", seeds: [], "All five numbers are as derived.")),
  ]
}
