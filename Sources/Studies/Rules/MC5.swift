// SPDX-License-Identifier: Apache-2.0

/// The same course in every layer and architecture.
struct MC5: Rule {
  /// The architectures, by the beginning of the model's word.
  static let families = [("a ResNet", "resnet"), ("an EfficientNet", "efficientnet"), ("an Inception", "inception")]
  /// "The same shape", "above": in three layers of four. Single small layers, such as the first normalisations, may go
  /// their own way.
  static let most = 0.75
  /// With fewer layers there is no "most".
  static let leastLayers = 4

  let claim = Claim(
    id: "MC-5",
    sentence:
      "The trajectory of m-coherence (a fall, a rise to a peak, a return) is the same in every layer and in ResNet, "
      + "EfficientNet and Inception; convolutions lie above the final layer.",
    paper: Paper.makingCoherence, section: "experiments", setting: Paper.coherenceSetting)

  var varying: Set<Trait> { [.seed, .model, .examples, .batchSize, .learningRate, .schedule, .steps] }
  func reads(_ run: StudyRun) -> Bool { run.optimizer.isSGD && run.noise == 0 && Self.family(of: run) != nil }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool { runs.contains { $0.layers.count >= Self.leastLayers } }

  private static func family(of run: StudyRun) -> String? {
    families.first { run.manifest.model.lowercased().hasPrefix($0.1) }?.1
  }

  /// Whether a layer is a convolution, by its name in the zoo: `conv1`, `branch1x1.conv`, or the first member, `0`, of a
  /// unit whose normalisation is `1`.
  static func isConvolution(_ layer: String) -> Bool {
    guard let last = layer.lowercased().split(separator: ".").last else { return false }
    return last.hasPrefix("conv") || last == "0"
  }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      for (name, family) in Self.families {
        let own = runs.filter { Self.family(of: $0) == family && $0.layers.count >= Self.leastLayers }
        guard let run = own.at(0) else {
          assessment.miss("\(name) with coherence by layer")
          continue
        }
        judge(run, in: &assessment)
      }
      return assessment.judgement(
        held: "In all three architectures most layers follow the network’s trajectory, and most convolutions lie above "
          + "the final layer")
    }
  }

  private static func hasShape(_ course: CoherenceCourse) -> Bool {
    course.peak.value >= MC2.rise * course.trough.value && course.end.value <= MC2.fall * course.peak.value
  }

  private func judge(_ run: StudyRun, in assessment: inout Assessment) {
    let model = run.manifest.model
    let courses = run.layers.compactMap { CoherenceCourse(of: run.coherence("train", layer: $0)) }
    guard let whole = CoherenceCourse(of: run), courses.count >= Self.leastLayers, let final = run.layers.last else {
      return assessment.miss("\(CoherenceCourse.leastProbes) probes of coherence by layer, \(model)")
    }
    let share = Double(courses.count(where: Self.hasShape)) / Double(courses.count)
    assessment.note("peak r, \(model)", whole.peak.value)
    assessment.note("last r, \(model)", whole.end.value)
    assessment.note("share of layers that rise and return, \(model)", share)
    let hasCourse = Self.hasShape(whole) && share >= Self.most
    if !hasCourse, !run.isFitted {
      assessment.leaveOpen("the examples are not fitted yet, so that r need not have returned, \(model)")
    } else if !Self.hasShape(whole) {
      assessment.fail("r of the whole network does not rise and return, \(model)")
    } else if share < Self.most {
      assessment.fail("fewer than three layers of four rise and return, \(model)")
    }
    let last = run.coherence("train", layer: final)
    let ratios = run.layers.dropLast().filter(Self.isConvolution).compactMap {
      run.coherence("train", layer: $0).meanRatio(to: last, from: whole.trough.step)
    }
    guard !ratios.isEmpty else { return assessment.miss("coherence of convolutions and of the final layer, \(model)") }
    let above = Double(ratios.count { $0 > 1 }) / Double(ratios.count)
    assessment.note("share of convolutions above the final layer, \(model)", above)
    if above < Self.most {
      assessment.fail("fewer than three convolutions of four lie above the final layer, \(model)")
    }
  }
}
