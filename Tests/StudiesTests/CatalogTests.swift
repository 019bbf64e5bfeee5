// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Runs
import Training

@testable import Studies

@Suite struct CatalogTests {
  private static let pairs = StudyCatalog.all.flatMap { study in
    StudyProfile.allCases.map { (study.id, $0) }
  }

  private func cells(
    _ id: String, _ profile: StudyProfile, _ change: (inout StudySettings) -> Void = { _ in }
  ) throws -> [Cell] {
    var settings = StudySettings(study: id, profile: profile, dataDir: "/data")
    change(&settings)
    return try StudyCatalog.study(id).cells(settings, in: StudyFolder("/studies/one"))
  }

  @Test func theStudiesOfThePapers() {
    let ids = StudyCatalog.all.map(\.id)
    #expect(Set(ids).count == ids.count)
    #expect(ids.count { $0.hasPrefix("cg/") } == 4 && ids.count { $0.hasPrefix("ws/") } == 8)
    #expect(ids.count { $0.hasPrefix("mc/") } == 3 && ids.count { $0.hasPrefix("gm/") } == 8)
    let known = Set(ScoreCard.claims.map(\.id))
    #expect(Set(StudyCatalog.all.flatMap(\.claims)) == known, "every claim has a study, and no study a strange claim")
  }

  /// Every configuration is one that training takes, for cells with names of their own in an order that can be run.
  @Test(arguments: pairs) func gridsAreSound(_ id: String, _ profile: StudyProfile) throws {
    let study = try StudyCatalog.study(id)
    #expect(study.scales[profile] != nil)
    let cells = try cells(id, profile)
    #expect(!cells.isEmpty)
    var seen: Set<String> = []
    for cell in cells {
      #expect(seen.insert(cell.name).inserted, "\(cell.name) twice")
      #expect(
        cell.name.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || "-.".contains($0)) }, "\(cell.name)")
      #expect(!cell.title.isEmpty)
      #expect(cell.needs.allSatisfy { $0 != cell.name && seen.contains($0) }, "\(cell.name) comes before its needs")
      guard let configuration = cell.configuration else { continue }
      try configuration.validate()
      #expect(configuration.tags["study"] == id && configuration.tags["profile"] == profile.rawValue)
      let isDrawn =
        configuration.dataset == "digits" || ["glyphs:", "modular:"].contains(where: configuration.dataset.hasPrefix)
      #expect(configuration.dataDir == (isDrawn ? nil : "/data"))
      #expect(try TrainingConfiguration(yaml: configuration.yaml(), source: "test") == configuration)
      if profile == .smoke { #expect(isDrawn) }
    }
  }

  /// Runs that differ in these do not compare. Architectures may each have their own, and so may the runs that only sort
  /// examples for others.
  @Test(arguments: pairs) func cellsAreTrainedAlike(_ id: String, _ profile: StudyProfile) throws {
    let all = try cells(id, profile).compactMap(\.configuration)
    let judged = all.contains { $0.split != nil } ? all.filter { $0.split != nil } : all
    for (model, own) in Dictionary(grouping: judged, by: \.model) {
      let ways = Set(
        own.map { cell in
          let schedule = cell.schedule.split(separator: ":").first.map(String.init) ?? ""
          // What is compared there.
          let norm = id == "mc/normalisation" ? "" : cell.norm
          return [norm, cell.augment, schedule, "\(cell.momentum)", "\(cell.weightDecay)"]
        })
      #expect(ways.count == 1, "\(model): \(ways)")
    }
  }

  @Test func comparisonsHaveThreeSeeds() throws {
    for study in StudyCatalog.all where !["gm/linear-example", "ws/cost"].contains(study.id) {
      let seeds = try cells(study.id, .small).compactMap { $0.configuration?.seed }
      #expect(Set(seeds).count >= 3, "\(study.id)")
    }
  }

  @Test func seedsStepsAndThreadsAsAskedFor() throws {
    let configurations = try cells("ws/robust-means", .small) {
      $0.seeds = [7]
      $0.steps = 12
      $0.threads = 3
      $0.set = ["model": "mlp:8", "lr": "0.01"]
    }.compactMap(\.configuration)
    #expect(configurations.count == 12)
    for configuration in configurations {
      #expect(configuration.seed == 7 && configuration.steps == 12 && configuration.threads == 3)
      #expect(configuration.model == "mlp:8" && configuration.lr == 0.01)
      #expect(configuration.tags["profile"] == "small, 12 steps at most, lr=0.01, model=mlp:8")
    }
  }

  @Test func whatTheGridVariesCannotBeSet() {
    for (key, value, word) in [
      ("noise", "0.3", "noise"), ("optimizer", "sgd", "ra3"), ("seed", "3", "Use the option"),
      ("threads", "2", "Use the option"),
    ] {
      #expect { _ = try cells("ws/robust-means", .small) { $0.set = [key: value] } } throws: {
        "\($0)".contains("--set \(key)") && "\($0)".contains(word)
      }
    }
    // The sample that coherence is measured on has to fit the data.
    let probe = "[\"coherence:m=6@log\"]"
    #expect(throws: Never.self) { try cells("gm/adversarial-init", .paper) { $0.set = ["probe": probe] } }
    #expect { _ = try cells("ws/robust-means", .small) { $0.set = ["probe": probe] } } throws: {
      "\($0)".contains("--set probe") && !"\($0)".contains("\n")
    }
    #expect { _ = try cells("ws/robust-means", .small) { $0.set = ["modl": "mlp:8"] } } throws: {
      "\($0)".contains("modl") && "\($0)".contains("did you mean")
    }
    #expect { _ = try cells("ws/robust-means", .small) { $0.set = ["lr": "fast"] } } throws: { "\($0)".contains("lr") }
  }

  /// The table in Results says what the score cards say that are kept there.
  @Test func theTableOfResultsIsTheirs() throws {
    let results = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Results")
    let names = try FileManager.default.contentsOfDirectory(atPath: results.path).sorted()
    // Each paper's in turn, as the command below has them; a study may have folders of several profiles.
    let papers = ["cg", "ws", "mc", "gm", "beyond", "audit"]
    let folders = papers.flatMap { paper in names.filter { $0.hasPrefix(paper + "-") } }
    let card = try StudyCard(folders.map { StudyFolder(results.appendingPathComponent($0).path) })
    let page = try String(contentsOf: results.appendingPathComponent("README.md"), encoding: .utf8)
    #expect(
      folders.count > 1 && page.contains(card.markdown),
      "coherent study card Results/{cg,ws,mc,gm,beyond,audit}-* --markdown")
  }

  /// The page of the rules says what they say.
  @Test func thePageOfRulesIsTheirs() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let page = try String(contentsOf: root.appendingPathComponent("docs/studies/rules.md"), encoding: .utf8)
    #expect(page.contains(RuleBook.markdown(RuleBook.entries())), "coherent study rules --markdown")
    for rule in Rules.all {
      let previous = FirstVersion.verdicts(on: rule.claim.id)
      let isOwn = rule.claim.paper == Paper.thisProject
      #expect(
        previous.isEmpty == isOwn && previous.allSatisfy { !$0.rule.isEmpty && !$0.reason.isEmpty }, "\(rule.claim.id)")
      // What a rule is judged by may not be what suggested it.
      #expect(rule.change.map { !$0.rule.isEmpty && !$0.reason.isEmpty } ?? true)
    }
    let seeds = try StudyCatalog.all.flatMap { try cells($0.id, .small) }.compactMap(\.configuration?.seed)
    #expect(!seeds.isEmpty && !seeds.contains(where: RuleChange.isSuggested), "\(Set(seeds).sorted())")
  }

  /// What was said of the first runs is what their score cards say, where those are kept.
  @Test func theFirstVersionIsQuoted() throws {
    let results = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Results")
    var quoted = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: results.path).sorted() {
      guard let kept = try? StudyResults.kept(in: StudyFolder(results.appendingPathComponent(name).path)) else {
        continue
      }
      for verdict in kept.verdicts where verdict.version == 1 {
        let said = FirstVersion.verdicts(on: verdict.claim.id).contains {
          $0.study == kept.study && $0.profile == kept.profile && $0.seeds == verdict.seeds
            && $0.verdict == verdict.outcome && $0.reason == verdict.explanation
        }
        #expect(said, "\(name): \(verdict.text)")
        quoted += 1
      }
    }
    #expect(quoted > 0)
  }

  /// Not even where no two cells would become the same: they would not be what their names say.
  @Test func namesOfCellsStayTrue() throws {
    for (study, key, value) in [
      ("cg/full-batch", "batch-size", "40"), ("ws/difficulty", "optimizer", "sgd"),
      ("ws/easy-hard", "stop-accuracy", "0.3"),
      ("gm/adversarial-init", "noise", "0.3"), ("gm/adversarial-init", "epochs", "2"),
      ("mc/normalisation", "norm", "group:4"),
    ] {
      #expect { _ = try cells(study, .small) { $0.set = [key: value] } } throws: { error in
        "\(error)".contains("--set \(key) is not possible")
      }
    }
    let longer = try cells("ws/easy-hard", .small) { $0.set = ["epochs": "20"] }.compactMap(\.configuration)
    #expect(longer.allSatisfy { $0.epochs == 20 } && longer.contains { $0.stopAccuracy == 0.5 })
    #expect { _ = try cells("cg/label-noise", .small) { $0.set = ["tags": "a=b"] } } throws: {
      "\($0)".contains("tags its runs itself")
    }
  }

  /// What is sorted is not learned from the weights that sorted it.
  @Test func theSecondStageStartsFromScratch() throws {
    for id in ["ws/easy-hard", "ws/difficulty"] {
      let all = try cells(id, .small)
      let sorting = Set(all.filter { $0.name.hasPrefix("sort") }.compactMap(\.configuration?.seed))
      let second = Set(all.filter { !$0.name.hasPrefix("sort") }.compactMap(\.configuration?.seed))
      #expect(second.count == 3 && sorting.isDisjoint(with: second))
    }
  }

  @Test func strangeNamesAreHelped() {
    #expect { _ = try StudyCatalog.study("cg/winsorised") } throws: { "\($0)".contains("cg/winsorized") }
    #expect { _ = try StudyCatalog.study("difficulty") } throws: { "\($0)".contains("ws/difficulty") }
    for (part, whole) in [
      ("ws/easy", "ws/easy-hard"), ("winsor", "ws/winsorized-cifar"), ("gm", "gm/m3"), ("mc/course", "mc/evolution"),
    ] {
      #expect { _ = try StudyCatalog.study(part) } throws: { "\($0)".contains(whole) }
    }
    #expect { _ = try StudyCatalog.study("xyzzy") } throws: { "\($0)".contains("coherent study list") }
  }

  /// What is judged by its wall time or by few examples is not among them: the sizes are those of the papers.
  @Test func paperSizes() throws {
    let first = try #require(try cells("cg/label-noise", .paper).first?.configuration)
    #expect(first.model == "mlp:2048" && first.batchSize == 100 && first.steps == 100_000 && first.lr == 0.1)
    let winsorized = try cells("cg/winsorized", .paper)
    #expect(winsorized.count == 75 && winsorized.allSatisfy { $0.configuration?.steps == 60_000 })
    let m3 = try #require(try cells("ws/robust-means", .paper).first { $0.name.hasPrefix("m3") }?.configuration)
    #expect(m3.batchSize == 264 && m3.epochs == 90 && m3.model == "resnet18" && m3.momentum == 0)
    let inception = try #require(
      try cells("ws/label-noise", .paper).first { $0.name.hasPrefix("inception") }?.configuration)
    #expect(inception.imageSize == 299 && inception.schedule == "cosine" && inception.momentum == 0.9)
  }

  /// Each study has a page that says what its profiles are.
  @Test(arguments: StudyCatalog.all.map(\.id)) func pagesSayWhatIsTrained(_ id: String) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let name = id.replacingOccurrences(of: "/", with: "-") + ".md"
    let page = try String(contentsOf: root.appendingPathComponent("docs/studies/\(name)"), encoding: .utf8)
    let study = try StudyCatalog.study(id)
    for profile in StudyProfile.allCases {
      let row = "| `\(profile.rawValue)` | \(study.scales[profile] ?? "") | \(try cells(id, profile).count) |"
      #expect(page.contains(row), "docs/studies/\(name) lacks \(row)")
    }
    for claim in study.claims { #expect(page.contains(claim)) }
    #expect(page.contains("coherent study run \(id) --profile small"))
  }
}
