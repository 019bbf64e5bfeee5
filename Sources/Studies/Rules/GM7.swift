// SPDX-License-Identifier: Apache-2.0

import RunStore

/// Width raises generalisation, depth amplifies coherent directions.
struct GM7: Rule {
  /// Two sizes could differ by chance in either direction; three have a trend.
  static let minimumSizes = 3

  let claim = Claim(
    id: "GM-7",
    sentence:
      "Wider networks generalise better (a smaller gap, a higher test accuracy), and deeper ones amplify coherent "
      + "directions (a higher peak of α).",
    paper: Paper.generalizationMystery, section: "on width and depth",
    setting: "an argument, and fully connected networks")

  var varying: Set<Factor> { [.seed, .model] }
  func reads(_ run: RunHistory) -> Bool {
    run.optimizer.isSGD && !run.isFullBatch && run.noise == 0 && Self.widths(of: run) != nil
  }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { Set(runs.compactMap(Self.widths)).count >= Self.minimumSizes }

  /// The widths of the hidden layers of a fully connected network of equal layers, as in `mlp:256,256`.
  static func widths(of run: RunHistory) -> [Int]? {
    let parts = run.manifest.model.lowercased().split(separator: ":", maxSplits: 1)
    guard parts.count == 2, parts[0] == "mlp" else { return nil }
    let texts = parts[1].split(separator: ",", omittingEmptySubsequences: false)
    let widths = texts.compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    return widths.count == texts.count && Set(widths).count == 1 ? widths : nil
  }

  let change: RuleChange? = RuleChange(
    "The same comparisons, as parts: (a) the gap and (b) test accuracy by width, (c) the peak of α by depth.",
    because: "The claim says three things about two sweeps. Test accuracy does not change with depth, which the first "
      + "version did not look at and the claim does not say.")

  func judge(_ runs: [RunHistory]) -> Judgement {
    let shapes = Dictionary(grouping: runs) { Self.widths(of: $0) ?? [] }
    func sweeps(_ key: ([Int]) -> Int) -> [[[Int]]] {
      Dictionary(grouping: shapes.keys.filter { !$0.isEmpty }, by: key).values.map { Array($0) }
        .filter { $0.count >= Self.minimumSizes }
    }
    // Of several sweeps the longest; of equally long ones that of the smaller networks.
    func longest(_ all: [[[Int]]]) -> [[Int]]? {
      all.map { $0.sorted { $0.lexicographicallyPrecedes($1) } }
        .max { $0.count != $1.count ? $0.count < $1.count : $1[0].lexicographicallyPrecedes($0[0]) }
    }
    let missing = "\(Self.minimumSizes) widths of networks of one depth"
    let widths = longest(sweeps(\.count))?.map { (model: Self.word($0), runs: shapes[$0] ?? []) }
    let depths = longest(sweeps { $0[0] })?.map { (model: Self.word($0), runs: shapes[$0] ?? []) }
    func part(
      _ sizes: [(model: String, runs: [RunHistory])]?, missing: String,
      _ judge: ([(model: String, runs: [RunHistory])], inout Assessment) -> Void
    ) -> Judgement { .assessing(held: "It does") { if let sizes = $0.need(sizes, missing) { judge(sizes, &$0) } } }
    return .joining([
      "The gap falls with width.": part(widths, missing: missing, judgeGap),
      "Test accuracy rises with width.": part(widths, missing: missing, judgeTest),
      "The peak of α rises with depth.":
        part(depths, missing: "\(Self.minimumSizes) depths of networks of one width", judgeDepth),
    ])
  }

  private static func word(_ widths: [Int]) -> String { "mlp:" + widths.map(String.init).joined(separator: ",") }

  private func judgeGap(_ sizes: [(model: String, runs: [RunHistory])], in assessment: inout Assessment) {
    if sizes.contains(where: { $0.runs.contains { !$0.isFitted } }) {
      assessment.doubt("not every width has fitted its examples, so that gaps do not compare")
    }
    let gaps = sizes.compactMap { size in
      assessment.seedMean("gap, \(size.model)", of: size.runs, missing: size.model, \.finalGap)
    }
    let closed = gaps.map { SeedMean($0.values.map(-)) }
    compare(closed, of: "the gap", grows: "rises with width", isAll: gaps.count == sizes.count, in: &assessment)
  }

  private func judgeTest(_ sizes: [(model: String, runs: [RunHistory])], in assessment: inout Assessment) {
    let tests = sizes.compactMap { size in
      assessment.seedMean("final test accuracy, \(size.model)", of: size.runs, missing: size.model) {
        $0.accuracy("test").last?.value
      }
    }
    compare(tests, of: "test accuracy", grows: "falls with width", isAll: tests.count == sizes.count, in: &assessment)
  }

  private func judgeDepth(_ sizes: [(model: String, runs: [RunHistory])], in assessment: inout Assessment) {
    if Set(sizes.flatMap { $0.runs.flatMap { $0.probeSizes("train") } }).count > 1 {
      assessment.doubt("the probes of the depths differ in m")
    }
    let peaks = sizes.compactMap { size in
      assessment.seedMean(
        "peak of α, unbiased, \(size.model)", of: size.runs, missing: "\(size.model) with coherence", Self.peak)
    }
    compare(peaks, of: "the peak of α", grows: "falls with depth", isAll: peaks.count == sizes.count, in: &assessment)
  }

  /// (r − 1)/(m − 1) at the peak after the initial fall: the estimate of α without the bias of 1/m.
  private static func peak(of run: RunHistory) -> Double? {
    guard let course = CoherenceCourse(of: run), let m = run.probeSizes("train").first,
      run.probeSizes("train").count == 1, m > 1
    else { return nil }
    return (course.peak.value - 1) / Double(m - 1)
  }

  /// Expects a rise from the first to the last size, and no fall on the way.
  private func compare(
    _ means: [SeedMean], of what: String, grows wrong: String, isAll: Bool, in assessment: inout Assessment
  ) {
    guard isAll, let first = means.first, let last = means.last else { return }
    let falls = zip(means, means.dropFirst()).contains { before, after in after.isAbove(before) == false }
    if falls || last.isAbove(first) == false {
      assessment.fail("\(what) \(wrong)")
    } else if last.isAbove(first) == nil {
      assessment.leaveOpen("\(what) is the same at both ends, within two standard errors")
    }
  }
}
