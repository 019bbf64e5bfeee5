// SPDX-License-Identifier: Apache-2.0

import RunStore
import Foundation

/// What of m-coherence on random labels is about labels, and what about the normalisation. No paper's claim.
struct MN1: Rule {
  /// Where the transient of the first steps is over.
  static let afterTransient = 50
  /// "The same": within a factor of two.
  static let alike = log(2.0)

  let claim = Claim(
    id: "MN-1",
    sentence:
      "With random labels and running batch statistics, r is nearly the same on training images and on test images with "
      + "their true labels: its rise is not about labels. With group normalisation, training images have more.",
    paper: Paper.thisProject, section: "coherence and batch normalisation", setting: Paper.thisSetting)

  var varying: Set<Factor> { [.noise, .seed, .steps, .normalization] }
  func reads(_ run: RunHistory) -> Bool { run.optimizer.isSGD && Level.isEqual(run.noise, 1) }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool {
    runs.contains { !$0.mCoherence("test", policy: "batch").isEmpty } && runs.contains { $0.normalization != nil }
  }

  func judge(_ runs: [RunHistory]) -> Judgement {
    let normed = runs.filter(\.hasBatchNorm)
    let grouped = runs.filter { $0.normalization?.hasPrefix("group") == true }
    var (running, policies, groups) = (Assessment(), Assessment(), Assessment())
    let excess = running.seedMean(
      "log of r on training over test images, running statistics", of: normed, missing: "runs with batch norm"
    ) { Self.excess($0, policy: "running") }
    if let excess, abs(excess.mean) - excess.error > Self.alike {
      running.fail("r on training images differs from that on test images by more than a factor of two")
    } else if let excess, abs(excess.mean) > Self.alike {
      running.leaveOpen("r on training images is that on test images within a factor of two and two standard errors")
    }
    let ratio = policies.seedMean(
      "log of r under running over r under batch statistics", of: normed,
      missing: "runs with batch norm and both probes"
    ) { run in
      Self.meanRatio(run.mCoherence("train", policy: "running"), run.mCoherence("train", policy: "batch"))
    }
    if let ratio, ratio.mean + ratio.error < Self.alike {
      policies.fail("running statistics do not give twice the r of batch statistics")
    } else if let ratio, ratio.mean - ratio.error < Self.alike {
      policies.leaveOpen("running statistics give about twice the r of batch statistics")
    }
    let other = groups.seedMean(
      "log of r on training over test images, group norm", of: grouped, missing: "runs with group norm"
    ) { run in Self.meanRatio(run.mCoherence("train"), run.mCoherence("test")) }
    if let other {
      groups.expect(
        other.isAbove(0), else: "with group norm r on training images is below that on test images",
        open: "with group norm r is the same on both within two standard errors")
    }
    return .joining([
      "Running statistics: r on training and on test images is the same within a factor of two.":
        running.judgement(held: "It is"),
      "At the same weights running statistics give at least twice the r of batch statistics.":
        policies.judgement(held: "They do"),
      "Group normalisation: r on training images is above that on test images.": groups.judgement(held: "It is"),
    ])
  }

  private static func excess(_ run: RunHistory, policy: String) -> Double? {
    meanRatio(run.mCoherence("train", policy: policy), run.mCoherence("test", policy: policy))
  }

  private static func meanRatio(_ a: Curve, _ b: Curve) -> Double? {
    a.meanRatio(to: b, from: afterTransient).map { log($0) }
  }
}
