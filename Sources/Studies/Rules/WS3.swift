// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore

/// RM3 and M3 learn pristine examples only.
struct WS3: Rule {
  static let level = 0.5
  /// Learned: more than half of the examples.
  static let learned = 0.5
  /// Not learned: at most a fifth, which leaves room for chance.
  static let notLearned = 0.2

  let claim = Claim(
    id: "WS-3", sentence: "With 50 % noise RM3 and M3 learn pristine examples only; SGD and RA3 learn both.",
    paper: Paper.weakAndStrong, section: "§3.3, figure 3", setting: Paper.imageNetSetting)

  var varying: Set<Factor> { [.noise, .seed, .optimizer, .batchSize, .steps] }
  func reads(_ run: RunHistory) -> Bool {
    Level.isEqual(run.noise, Self.level) && WS2.optimizers.contains(run.optimizer.name)
  }
  func groups(of runs: [RunHistory]) -> [[RunHistory]] { Matching.groups(runs, varying: varying).map(\.atOneBatchSize) }

  /// M3 beside SGD alone is GM-3.
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { runs.contains { $0.optimizer.name == "rm3" } }

  let change: RuleChange? = RuleChange(
    "The same margins (more than half of the pristine examples learned, at most a fifth of the corrupt ones), for each "
      + "optimizer a part of its own. Unless SGD has learned half of the corrupt labels there is nothing to suppress, and "
      + "the claim is not tested.",
    because: "The claim is about four optimizers. The first runs were no fair test of them: see WS-2.")

  func judge(_ runs: [RunHistory]) -> Judgement { bySeed(runs) { Self.judge($0, optimizers: WS2.optimizers) } }

  /// For every optimizer what it learned, where SGD memorised.
  static func judge(_ runs: [RunHistory], optimizers: [String]) -> Judgement {
    let control = runs.filter { $0.optimizer.isSGD }.at(level)
    let memorised = control?.accuracy("train", "corrupt").last?.value
    return .joining(
      optimizers.map { name in
        var assessment = Assessment()
        if let memorised, memorised < learned {
          assessment.notTested(
            "SGD has learned \(Wording.whole(100 * memorised)) % of the corrupt labels, so there is little to suppress; it "
              + "takes longer training")
        } else if control == nil {
          assessment.miss("sgd, \(Level.text(level))")
        }
        let isRobust = name == "rm3" || name == "m3"
        judge(runs.filter { $0.optimizer.name == name }.at(level), of: name, isRobust: isRobust, in: &assessment)
        let sentence = "\(name.uppercased()) learns \(isRobust ? "the pristine examples only" : "both groups")."
        return (sentence, assessment.judgement(held: "It does"))
      })
  }

  /// Medians have to learn the pristine examples only, the others both.
  private static func judge(_ run: RunHistory?, of name: String, isRobust: Bool, in assessment: inout Assessment) {
    guard let run, let pristine = run.pristineAccuracy.last?.value,
      let corrupt = run.accuracy("train", "corrupt").last?.value
    else { return assessment.miss("\(name), \(Level.text(level))") }
    assessment.note("final pristine accuracy, \(name)", pristine)
    assessment.note("final corrupt accuracy, \(name)", corrupt)
    if isRobust, pristine < learned {
      assessment.fail("\(name) does not learn the pristine examples")
    } else if pristine < learned {
      assessment.leaveOpen("\(name) has not learned half of the pristine examples in the training it had")
    }
    if isRobust, corrupt > notLearned {
      assessment.fail("\(name) learns more than a fifth of the corrupt examples")
    } else if !isRobust, corrupt < learned {
      // The control has not memorised yet: what the medians do not learn says nothing either.
      assessment.leaveOpen("\(name) has not learned half of the corrupt examples in the training it had")
    }
  }
}
