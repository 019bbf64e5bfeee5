// SPDX-License-Identifier: Apache-2.0

import RunStore

/// The same course in every layer and architecture.
struct MC5: Rule {
  /// The architectures, by the beginning of the model's word.
  static let families = [("a ResNet", "resnet"), ("an EfficientNet", "efficientnet"), ("an Inception", "inception")]
  /// "The same shape", "above": in three layers of four. Single small layers, such as the first normalisations, may go
  /// their own way.
  static let most = 0.75
  /// With fewer layers there is no "most".
  static let minimumLayers = 4

  let claim = Claim(
    id: "MC-5",
    sentence:
      "The trajectory of m-coherence (a fall, a rise to a peak, a return) is the same in every layer and in ResNet, "
      + "EfficientNet and Inception; convolutions lie above the final layer.",
    paper: Paper.makingCoherence, section: "experiments", setting: Paper.coherenceSetting)

  var varying: Set<Factor> { [.seed, .model, .examples, .batchSize, .learningRate, .schedule, .steps] }
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD && run.noise == 0 && Self.family(of: run) != nil }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { $0.layers().count >= Self.minimumLayers } }

  private static func family(of run: RunHistory) -> String? {
    families.first { run.manifest.model.lowercased().hasPrefix($0.1) }?.1
  }

  /// Whether a layer is a convolution, by its name in the zoo: `conv1`, `branch1x1.conv`, or the first member, `0`, of a
  /// unit whose normalisation is `1`.
  static func isConvolution(_ layer: String) -> Bool {
    guard let last = layer.lowercased().split(separator: ".").last else { return false }
    return last.hasPrefix("conv") || last == "0"
  }

  let change: RuleChange? = RuleChange(
    "The same margins from step 50 on, for each architecture a part of its own; one whose labels are not fitted, or that "
      + "normalises by the batch, is not tested.",
    because:
      "The transient of the first steps, which MC-3 is about, was taken for the rise. EfficientNet had fitted a third "
      + "of its labels, so that r could not have returned. Batch normalisation: as for MC-2.")

  /// The transient of the first steps is MC-3's.
  static let afterTransient = 50

  func judge(_ runs: [RunHistory]) -> Judgement {
    bySeed(runs) { runs in
      .joining(
        Self.families.map { names in
          var assessment = Assessment()
          let own = runs.filter { Self.family(of: $0) == names.1 && $0.layers().count >= Self.minimumLayers }
          if let run = own.filter({ !$0.hasBatchNorm }).at(0) {
            judge(run, in: &assessment)
          } else if own.isEmpty {
            assessment.notTested("there is no \(names.0.split(separator: " ").last ?? "") with coherence by layer")
          } else {
            assessment.notTested(MC2.needsOtherNorm)
          }
          let judgement = assessment.judgement(
            held: "Most layers rise and return, and most convolutions lie above the final layer")
          return ("In \(names.0) layers follow one trajectory, convolutions above the final layer.", judgement)
        })
    }
  }

  private static func hasShape(_ course: CoherenceCourse) -> Bool {
    course.peak.value >= MC2.rise * course.trough.value && course.end.value <= MC2.fall * course.peak.value
  }

  private func judge(_ run: RunHistory, in assessment: inout Assessment) {
    let model = run.manifest.model
    func later(_ layer: String) -> Curve {
      Curve(
        run.mCoherence("train", layer: layer).points.filter { $0.step >= Self.afterTransient }.map {
          ($0.step, $0.value)
        })
    }
    let courses = run.layers().compactMap { CoherenceCourse(of: later($0)) }
    guard let whole = CoherenceCourse(of: later("all")), courses.count >= Self.minimumLayers,
      let final = run.layers().last
    else { return assessment.miss("\(CoherenceCourse.minimumProbes) probes of coherence by layer, \(model)") }
    let share = Double(courses.count(where: Self.hasShape)) / Double(courses.count)
    assessment.note("peak r, \(model)", whole.peak.value)
    assessment.note("last r, \(model)", whole.end.value)
    assessment.note("share of layers that rise and return, \(model)", share)
    if !run.isFitted {
      assessment.notTested(
        "\(model) has not fitted its labels, so that r need not have returned; it takes longer training")
    } else if !Self.hasShape(whole) {
      assessment.fail("r of the whole network does not rise and return, \(model)")
    } else if share < Self.most {
      assessment.fail("fewer than three layers of four rise and return, \(model)")
    }
    let last = run.mCoherence("train", layer: final)
    let ratios = run.layers().dropLast().filter(Self.isConvolution).compactMap {
      run.mCoherence("train", layer: $0).meanRatio(to: last, from: whole.trough.step)
    }
    guard !ratios.isEmpty else { return assessment.miss("coherence of convolutions and of the final layer, \(model)") }
    let above = Double(ratios.count { $0 > 1 }) / Double(ratios.count)
    assessment.note("share of convolutions above the final layer, \(model)", above)
    if above < Self.most {
      assessment.fail("fewer than three convolutions of four lie above the final layer, \(model)")
    }
  }
}
