// SPDX-License-Identifier: Apache-2.0

import RunStore

/// The early slope of the loss, ‖g‖², falls with noise.
struct CG5: Rule {
  /// The first ten steps, t = 0 ... 9: each goes from one evaluation to the next.
  static let steps = 0..<10
  /// Slope and ‖g‖² agree within a factor of two. Equation 1 is the first order: a step of rate η along a direction of
  /// curvature λ loses ½ηλ of its slope to the second order, at most half for ηλ ≤ 1, half-way to where steps stop being
  /// stable. The mini-batch gradient adds terms of either sign.
  static let factor = 2.0
  /// A rate at which equation 1, which is of first order, can hold.
  static let smallRate = 0.02

  let claim = Claim(
    id: "CG-5",
    sentence:
      "In early training the slope of the loss curve, which is ‖g‖², falls as label noise grows.",
    paper: Paper.coherentGradients, section: "§2.3, equation 1", setting: Paper.noiseSetting)

  /// The first steps are there long before the end.
  var needsEnd: Bool { false }
  var varying: Set<Factor> { [.noise, .seed, .steps, .learningRate] }

  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.levels.count > 1 && runs.contains { !$0.measure("gradient_norm2").isEmpty }
  }

  let change: RuleChange? = RuleChange(
    "(a) ‖g‖² at step 0 and (b) its sum over the first ten steps fall from each noise level to the next, beyond two "
      + "standard errors of the change over seeds, each seed compared with itself; (c) at a rate of at most 0.02 the loss's "
      + "slope agrees with ‖g‖² within a factor of two, in every run.",
    because:
      "Equation 1, dL/dt = −‖g‖², is of first order in the rate; at 0.1 the second order takes up to half of it. With "
      + "one seed, neighbouring levels differ by less than the draw of ten mini-batches moves them. A seed has the same images "
      + "and first weights at every level, and at step 0 these move ‖g‖² more than noise does. Seeds 11 to 13, measured on 1000 "
      + "examples and compared without their pairs, had left (a) and (b) open; those with pairs are 21 and up.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    .joining([
      "At step 0 ‖g‖² falls as noise grows.": trend(runs, of: "‖g‖² at step 0") { $0.squares.first },
      "Over the first ten steps ‖g‖² falls as noise grows.":
        trend(runs, of: "sum of ‖g‖² over ten steps") { $0.squares.reduce(0, +) },
      "At a small rate the loss's slope is ‖g‖².": agreement(runs),
    ])
  }

  private func trend(_ runs: [RunHistory], of what: String, _ value: (Early) -> Double?) -> Judgement {
    var assessment = Assessment()
    // Of several rates the largest is the paper's; the others are for the slope.
    let rate = runs.compactMap(\.manifest.learningRate).max()
    let paper = runs.filter { $0.manifest.learningRate == rate }
    // Runs that were measured on more examples leave less to chance.
    let most = paper.compactMap { $0.measureSize("gradient_norm2") }.max()
    let own = paper.filter { $0.measureSize("gradient_norm2") == most }
    let levels = Level.all.map { level in (level: level, runs: own.filter { Level.isEqual($0.noise, level) }) }
    for (level, runs) in levels {
      _ = assessment.seedMean(
        "\(what), \(Level.text(level))", of: runs,
        missing: "‖g‖² at every step from 0 to \(Self.steps.upperBound), \(Level.text(level))"
      ) { Early($0).flatMap(value) }
    }
    for (before, after) in zip(levels, levels.dropFirst()) where !before.runs.isEmpty && !after.runs.isEmpty {
      let place = "from \(Level.text(before.level)) to \(Level.text(after.level))"
      let change = assessment.seedMean(
        "change of \(what) \(place)", of: after.runs,
        beside: before.runs.valuesBySeed { Early($0).flatMap(value) },
        missing: "both levels with the same seed \(place)",
        { Early($0).flatMap(value) })
      guard let change else { continue }
      assessment.expect(
        change.isAbove(0).map(!), else: "it rises \(place)", open: "it is the same within two standard errors \(place)")
    }
    return assessment.judgement(held: "It falls from each noise level to the next")
  }

  private func agreement(_ runs: [RunHistory]) -> Judgement {
    let own = runs.filter { ($0.manifest.learningRate ?? .infinity) <= Self.smallRate }
    var assessment = Assessment()
    if own.isEmpty { assessment.notTested("it takes runs at a rate of at most \(Self.smallRate)") }
    for level in Level.all where !own.isEmpty {
      let pairs = own.filter { Level.isEqual($0.noise, level) }.onePerSeed.compactMap { Early($0)?.sums }
      guard !pairs.isEmpty else {
        assessment.miss("‖g‖² and training loss at every step from 0 to \(Self.steps.upperBound), \(Level.text(level))")
        continue
      }
      let ratios = pairs.map { $0.slope / $0.norm }
      assessment.note(NamedValue("slope of the loss over ‖g‖², \(Level.text(level))", values: ratios))
      if ratios.contains(where: { $0 < 1 / Self.factor || $0 > Self.factor }) {
        assessment.fail("slope and ‖g‖² differ by more than a factor of two at \(Level.text(level))")
      }
    }
    return assessment.judgement(held: "They agree within a factor of two at every noise level")
  }

  /// The first steps of a run.
  private struct Early {
    /// ‖g‖² at each.
    let squares: [Double]
    private let slopes: [Double]

    /// Σ‖g‖² and Σ(Lₜ − Lₜ₊₁)/η.
    var sums: (norm: Double, slope: Double) { (squares.reduce(0, +), slopes.reduce(0, +)) }

    /// Nil when a step is missing.
    init?(_ run: RunHistory) {
      guard let rate = run.manifest.learningRate, rate > 0 else { return nil }
      let (norms, loss) = (run.measure("gradient_norm2"), run.loss("train"))
      let (examples, m) = (run.measure("example_norm2"), run.measureSize("gradient_norm2") ?? 0)
      var (squares, slopes): ([Double], [Double]) = ([], [])
      for step in CG5.steps {
        guard var square = norms[step], let before = loss[step], let after = loss[step + 1] else { return nil }
        // The mean gradient A of m of the N training examples is longer than that of all N, X: drawn without replacement,
        // E A = X + k(B − X) with B the mean squared norm of the examples' gradients and k = (N − m)/(m(N − 1)).
        if let all = run.manifest.dataset.trainExamples, m > 1, m < all, let mean = examples[step] {
          let k = Double(all - m) / (Double(m) * Double(all - 1))
          square = (square - k * mean) / (1 - k)
        }
        squares.append(square)
        slopes.append((before - after) / rate)
      }
      (self.squares, self.slopes) = (squares, slopes)
    }
  }
}
