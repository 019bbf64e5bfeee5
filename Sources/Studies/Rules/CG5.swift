// SPDX-License-Identifier: Apache-2.0

/// The early slope of the loss, ‖g‖², falls with noise.
struct CG5: Rule {
  /// The first ten steps, t = 0 ... 9: each goes from one evaluation to the next.
  static let steps = 0..<10
  /// Sums that differ by up to this share of the sum without noise are ties: with ten mini-batches, their draw moves the
  /// sums by about as much.
  static let resolution = 0.02
  /// Slope and ‖g‖² agree within a factor of two. Equation 1 is the first order: a step of rate η along a direction of
  /// curvature λ loses ½ηλ of its slope to the second order, at most half for ηλ ≤ 1, half-way to where steps stop being
  /// stable. The mini-batch gradient adds terms of either sign.
  static let factor = 2.0

  let claim = Claim(
    id: "CG-5",
    sentence:
      "In early training the slope of the loss curve, which is ‖g‖², falls as label noise grows.",
    paper: Paper.coherentGradients, section: "§2.3, equation 1", setting: Paper.noiseSetting)

  /// The first steps are there long before the end.
  var needsEnd: Bool { false }
  var varying: Set<Trait> { [.noise, .seed, .steps] }

  func isSpokenAbout(by runs: [StudyRun]) -> Bool {
    runs.levels.count > 1 && runs.contains { !$0.measure("gradient_norm2").isEmpty }
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      var norms: [(level: Double, value: Double)] = []
      var slopes: [(level: Double, value: Double)] = []
      for level in Level.all {
        guard let run = runs.at(level) else {
          assessment.miss(Level.text(level))
          continue
        }
        guard let sums = Self.sums(of: run) else {
          assessment.miss(
            "‖g‖² and training loss at every step from 0 to \(Self.steps.upperBound), \(Level.text(level))")
          continue
        }
        assessment.note("sum of ‖g‖² over ten steps, \(Level.text(level))", sums.norm)
        assessment.note("sum of the loss’s slope over ten steps, \(Level.text(level))", sums.slope)
        norms.append((level, -sums.norm))
        slopes.append((level, -sums.slope))
        if sums.slope < sums.norm / Self.factor || sums.slope > sums.norm * Self.factor {
          assessment.fail("slope and ‖g‖² differ by more than a factor of two at \(Level.text(level))")
        }
      }
      for (values, what) in [(norms, "‖g‖²"), (slopes, "the slope of the loss")] {
        Trend(values, tolerance: Self.resolution * abs(values.first?.value ?? 0)).assess(
          &assessment, of: what, falling: "rises", tied: "is about the same")
      }
      return assessment.judgement(held: "Over the first ten steps ‖g‖² and the loss’s slope fall with noise, and agree")
    }
  }

  /// Σ‖g‖² and Σ(Lₜ − Lₜ₊₁)/η over the first steps; nil when a step is missing.
  private static func sums(of run: StudyRun) -> (norm: Double, slope: Double)? {
    guard let rate = run.manifest.learningRate, rate > 0 else { return nil }
    let (squares, loss) = (run.measure("gradient_norm2"), run.loss("train"))
    let (examples, m) = (run.measure("example_norm2"), run.measureSize("gradient_norm2") ?? 0)
    var sums = (norm: 0.0, slope: 0.0)
    for step in steps {
      guard var square = squares[step], let before = loss[step], let after = loss[step + 1] else { return nil }
      // The mean gradient A of m of the N training examples is longer than that of all N, X: drawn without replacement,
      // E A = X + k(B − X) with B the mean squared norm of the examples' gradients and k = (N − m)/(m(N − 1)).
      if let all = run.manifest.dataset.trainExamples, m > 1, m < all, let mean = examples[step] {
        let k = Double(all - m) / (Double(m) * Double(all - 1))
        square = (square - k * mean) / (1 - k)
      }
      sums.norm += square
      sums.slope += (before - after) / rate
    }
    return sums
  }
}
