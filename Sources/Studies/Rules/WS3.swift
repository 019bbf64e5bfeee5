// SPDX-License-Identifier: Apache-2.0

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

  var varying: Set<Trait> { [.noise, .seed, .optimizer, .batchSize, .steps] }
  func reads(_ run: StudyRun) -> Bool {
    Level.isEqual(run.noise, Self.level) && WS2.optimizers.contains(run.optimizer.name)
  }
  func isSpokenAbout(by runs: [StudyRun]) -> Bool { runs.contains { ["rm3", "m3"].contains($0.optimizer.name) } }

  func judge(_ runs: [StudyRun]) -> Judgement {
    bySeed(runs) { runs in
      var assessment = Assessment()
      for name in WS2.optimizers {
        guard let run = runs.first(where: { $0.optimizer.name == name }),
          let pristine = run.pristineAccuracy.last?.value, let corrupt = run.accuracy("train", "corrupt").last?.value
        else {
          assessment.miss("\(name), \(Level.text(Self.level))")
          continue
        }
        assessment.note("final pristine accuracy, \(name)", pristine)
        assessment.note("final corrupt accuracy, \(name)", corrupt)
        if pristine < Self.learned { assessment.fail("\(name) does not learn the pristine examples") }
        let isRobust = name == "rm3" || name == "m3"
        if isRobust, corrupt > Self.notLearned {
          assessment.fail("\(name) learns more than a fifth of the corrupt examples")
        } else if !isRobust, corrupt < Self.learned {
          assessment.fail("\(name) does not learn half of the corrupt examples")
        }
      }
      return assessment.judgement(held: "RM3 and M3 learn the pristine examples only, SGD and RA3 both groups")
    }
  }
}
