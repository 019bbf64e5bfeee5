// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Foundation

/// The studies that no paper has.
enum OwnFigures {
  static let section = "Group size"

  /// The window of group sizes, and the ledger against what was memorised.
  static func groupSize(_ source: FigureSource) -> [Figure?] {
    let points = PushPoint.points(of: source.runs)
    func lines(_ x: (PushPoint) -> Double, _ y: (PushPoint) -> Double) -> [FigureLine] {
      PushPoint.optimizers.map { name in
        let own = points.filter { $0.optimizer == name }
        let places = Set(own.map(x)).sorted()
        return FigureLine(name, values: places.map { place in (place, own.filter { x($0) == place }.map(y)) })
      }
    }
    let learned = FigureAxis("Corrupt labels learned", isShare: true, including: [0])
    return [
      FigureGrid(
        id: "push-and-memory", title: "The ledger of pushes and what was memorised",
        caption: source.caption(
          "Share of the corrupt labels learned in the end, against the share that corrupt examples have in the net pushes at "
            + "SGD’s weights (net(corrupt)/(|net(corrupt)| + |net(pristine)|), mean over passes 1 to 10); a point for each "
            + "setting and optimizer, joined along the axis."),
        section: section, order: PushPoint.optimizers,
        panels: [
          FigurePanel(
            row: learned.title, column: "all settings", x: FigureAxis("Share of corrupt examples in net pushes"),
            y: learned,
            lines: lines(\.share, \.learned))
        ]
      ).figure(),
      FigureGrid(
        id: "group-window", title: "Suppression by group size",
        caption: source.caption(
          "Share of the corrupt labels learned in the end, against N/b, training examples by the size of the groups whose "
            + "means a median takes (RM3: the mini-batch; M3: a third of it); means over settings of the same N/b."),
        section: section, order: PushPoint.optimizers,
        panels: [
          FigurePanel(
            row: learned.title, column: "all settings",
            x: FigureAxis("N/b (examples by group size)", scale: .logarithmic), y: learned,
            lines: lines(\.examplesPerGroup, \.learned))
        ]
      ).figure(),
    ]
  }

  /// r on training and test samples under each treatment of batch normalisation.
  static func normalisation(_ source: FigureSource) -> [Figure?] {
    let axis = FigureAxis("m-coherence r", scale: .logarithmic, including: [1])
    let treatments: [(title: String, policy: String, isGrouped: Bool)] = [
      ("running statistics", "running", false), ("statistics of the batch", "batch", false),
      ("group norm", "running", true),
    ]
    let panels = source.levels.flatMap { level in
      treatments.map { treatment in
        let runs = source.at(level).filter { ($0.normalization != nil) == treatment.isGrouped }
        return FigurePanel(
          row: FigureWording.noise(level), column: treatment.title, x: .steps, y: axis,
          lines: ["train", "test"].map { split in
            FigureLine(split == "train" ? "training sample" : "test sample", measure: split, of: runs, along: .steps) {
              run in
              Curve(
                run.mCoherence(split, policy: treatment.policy).points.lazy.filter { $0.value > 0 }.map {
                  ($0.step, $0.value)
                })
            }
          }, references: [1.0])
      }
    }
    return [
      FigureGrid(
        id: "coherence-normalisation", title: "Coherence by normalisation",
        caption: source.caption(
          "r of a fixed sample of training and of one of test images (with their true labels), with batch norm measured under "
            + "running statistics and under those of mini-batches at the same weights, and with group norm. The step axis "
            + "is logarithmic and starts at step 0."),
        section: CoherenceFigures.section, panels: panels
      ).figure()
    ]
  }
}
