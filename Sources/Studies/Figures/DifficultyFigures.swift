// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// Easy and hard examples: §4 of "Weak and Strong Gradient Directions".
enum DifficultyFigures {
  static let section = "Easy and hard examples"
  /// RM3's accuracy by difficulty 0 to 8 on ImageNet (table under figure 5).
  static let paper = [0.9915, 0.9782, 0.9673, 0.9569, 0.9446, 0.9285, 0.9056, 0.8661, 0.6101]

  /// Figure 4, and the table of §4.4.
  static func easyHard(_ source: FigureSource) -> [Figure?] {
    // The runs that only told easy from hard, before there were any groups, train on all and stop early.
    let names = unique(source.runs.map(\.trainedOn)).sorted()
    let groups = names.map { name in (name, source.runs.filter { $0.trainedOn == name }) }
    let loss = FigureAxis("Loss (nats)", including: [0])
    let panels = groups.flatMap { name, runs -> [FigurePanel] in
      func lines(_ curve: (RunHistory, String, String) -> Curve) -> [FigureLine] {
        let tests = unique(runs.flatMap { $0.ownGroups(of: "test") }).sorted()
        return [
          FigureLine("training examples", measure: "train", of: runs, along: .epochs) { curve($0, "train", "all") }
        ]
          + (tests.isEmpty ? ["all"] : tests).map { group in
            FigureLine(title(group), measure: "test", of: runs, along: .epochs) { curve($0, "test", group) }
          }
      }
      return [
        FigurePanel(
          row: "Accuracy", column: "trained on \(name)", x: HorizontalAxis.epochs.axis, y: .accuracy(),
          lines: lines { $0.accuracy($1, $2) }),
        FigurePanel(
          row: loss.title, column: "trained on \(name)", x: HorizontalAxis.epochs.axis, y: loss,
          lines: lines { $0.loss($1, $2) }),
      ]
    }
    return [
      FigureGrid(
        id: "easy-hard", title: "Learning easy and hard examples",
        caption: source.caption(
          "As figure 4 of the paper: accuracy and loss of training on the easy, the hard or all examples, on the training "
            + "examples (solid) and on test examples (dashed), which are also easy, hard or all. Easy examples are those "
            + "that a first network learns early."),
        section: section, order: ["training examples", title("easy"), title("hard"), title("all")], panels: panels
      ).figure(),
      table(source, groups: groups),
    ]
  }

  private static func title(_ group: String) -> String { group == "all" ? "test examples" : "\(group) test examples" }

  private static func table(_ source: FigureSource, groups: [(String, [RunHistory])]) -> Figure? {
    let cells = groups.flatMap { name, runs in
      let groups = unique(runs.flatMap { $0.ownGroups(of: "test") }).sorted()
      return (groups.isEmpty ? ["all"] : groups).compactMap { group in
        SeedRange(runs.compactMap { $0.accuracy("test", group).last?.value }).map {
          FigureMap.Cell(row: "trained on \(name)", column: group, value: $0.mean, low: $0.low, high: $0.high)
        }
      }
    }
    let columns = ["easy", "hard"] + unique(cells.map(\.column)).filter { !["easy", "hard"].contains($0) }
    let ordered = groups.flatMap { name, _ in
      columns.compactMap { column in cells.first { $0.row == "trained on \(name)" && $0.column == column } }
    }
    return FigureMap(
      id: "cross-generalization", title: "Cross-generalization",
      caption: source.caption(
        "Accuracy at the last evaluation of training on one part of the data set (rows) on the test examples of each "
          + "part (columns). The paper reports on ImageNet (§4.4): easy to easy 85, easy to hard 17, hard to easy "
          + "44, hard to hard 21 %."),
      section: section, rows: "", columns: "Test examples", value: .accuracy(), cells: ordered
    ).figure()
  }

  /// Figure 5a: RM3's training accuracy by difficulty.
  static func difficulty(_ source: FigureSource) -> [Figure?] {
    let prefix = "difficulty-"
    let parts = source.grouped(by: FigureWording.optimizer).map { name, runs in
      let found = Set(
        runs.flatMap { $0.ownGroups(of: "train") }.filter { $0.hasPrefix(prefix) }.compactMap {
          Int($0.dropFirst(prefix.count))
        })
      return FigureBars.Panel(
        name,
        bars: found.sorted().compactMap { level in
          let group = "\(prefix)\(level)"
          return SeedRange(runs.compactMap { $0.accuracy("train", group).last?.value }).map {
            FigureBar(
              "\(level)", value: $0.mean, low: $0.low, high: $0.high,
              expected: name == "RM3" && found.count == paper.count && paper.indices.contains(level)
                ? paper[level] : nil,
              note: runs.first.map { count($0.count("train", group)) })
          }
        })
    }
    return [
      FigureBars(
        id: "difficulty", title: "Training accuracy by difficulty",
        caption: source.caption(
          "As figure 5a of the paper: training accuracy at the end on examples of each difficulty, the number of first "
            + "networks (of different initialisation) that had not learned the example early. Above the bars: how many "
            + "examples. Lines across RM3’s bars: the paper’s values on ImageNet."),
        section: section, categories: "Difficulty", y: .accuracy("Training accuracy"), panels: parts
      ).figure()
    ]
  }

  private static func count(_ value: Int) -> String {
    value < 10_000 ? "\(value)" : String(format: value < 100_000 ? "%.1fk" : "%.0fk", Double(value) / 1000)
  }
}
