// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

extension Findings {
  /// What the coherence of the whole network did; nil without a probe.
  static func coherence(of run: RunData) -> String? {
    guard let split = run.coherenceSplits.first else { return nil }
    let curve = run.mCoherence(split)
    guard let first = curve.first, let last = curve.last else { return nil }
    let sizes = Set(run.coherence(split).map(\.m)).sorted()
    let probe = "\(CoherenceByStep.sizes(sizes)) \(CoherenceByLayer.name(split)) examples"
    guard curve.count > 1 else {
      return "On the probe of \(probe) m-coherence was \(value(first.value)) at \(at(first))."
    }
    let crash = endOfCrash(curve)
    let rest = curve[crash...]
    guard let peak = rest.max(by: { $0.value < $1.value }) else { return nil }
    var text = "On the probe of \(probe) m-coherence "
    if crash > 0 {
      text += "fell from \(value(first.value)) at \(at(first)) to \(value(curve[crash].value)) at \(at(curve[crash]))"
      guard crash < curve.count - 1 else { return text + ", where it ended." }
      guard peak.value > riseFactor * curve[crash].value else {
        return text + ", did not clearly rise again, and ended at \(value(last.value)) (\(at(last)))."
      }
      text += ", then "
    }
    if peak == first, crash == 0 {
      return text + "was highest at \(at(first)) (\(value(first.value))) and ended at \(value(last.value)) "
        + "(\(at(last)))."
    }
    if peak == last { return text + "rose to \(value(last.value)) by \(at(last)), the last probe." }
    return text + "peaked at \(value(peak.value)) (\(at(peak))) and ended at \(value(last.value)) (\(at(last)))."
  }

  /// A rise from the least value so far by this factor ends the initial fall.
  private static let riseFactor = 1.5

  /// The index of the least value of the initial fall: of the points before the first that is half as much again.
  static func endOfCrash(_ curve: [Point]) -> Int {
    var least = curve.startIndex
    for index in curve.indices {
      if curve[index].value > riseFactor * curve[least].value { break }
      if curve[index].value < curve[least].value { least = index }
    }
    return least
  }

  /// How the shares of pristine and corrupt examples in the reduction of the loss compare, over the whole population
  /// where it was measured; nil without such a probe, or without noise.
  static func contributions(of run: RunData) -> String? {
    let all = run.contributionCurves
    guard let curves = all.first(where: { $0.sample == "population" }) ?? all.first else { return nil }
    let shares = curves.points(ContributionMeasure.share.pristine)
    guard let first = shares.first, let last = shares.last else { return nil }
    var text =
      "Pristine examples’ share fᵖ in the reduction of the loss (\(curves.description)) was "
      + "\(Wording.percent(first.value)) at \(at(first))"
    if let band = NullBand(
      step: first.step, values: (curves.nulls[first.step] ?? []).compactMap(ContributionMeasure.share.pristine))
    {
      let ends = "\(Wording.percent(band.low))–\(Wording.percent(band.high))"
      let place = first.value > band.high ? "above" : first.value < band.low ? "below" : "within"
      text += ", \(place) the permutation null’s 5–95 % band (\(ends))"
    }
    guard shares.count > 1 else { return text + "." }
    let isAbove = first.value > 0.5
    let side = isAbove ? "below" : "above"
    if let crossing = crossing(shares) {
      return text + "; it went \(side) the corrupt examples’ fᶜ at \(at(crossing))."
    }
    return text + "; it did not cross the corrupt examples’ fᶜ by \(at(last))."
  }

  /// The first point on the other side of one half than the first point, if the next one (where there is one) is there
  /// too: a single point may be chance.
  static func crossing(_ shares: [Point]) -> Point? {
    guard let first = shares.first else { return nil }
    func isAcross(_ point: Point) -> Bool { first.value > 0.5 ? point.value < 0.5 : point.value > 0.5 }
    return shares.indices.first { index in
      isAcross(shares[index]) && (index + 1 == shares.count || isAcross(shares[index + 1]))
    }.map { shares[$0] }
  }

  private static func at(_ point: Point) -> String { "step \(Wording.integer(point.step))" }

  /// Three significant digits.
  private static func value(_ value: Double) -> String {
    value >= 1000 ? Wording.integer(value) : String(format: "%.3g", value)
  }
}
