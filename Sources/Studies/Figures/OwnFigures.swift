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
    func scatter(
      _ points: [PushPoint], _ x: (PushPoint) -> Double, _ y: (PushPoint) -> Double
    ) -> [FigureScatter.Point] {
      points.map { .init(group: $0.optimizer.uppercased(), name: $0.title, x: x($0), y: y($0)) }
    }
    let memorising = points.filter { $0.optimizer != "sgd" && $0.learnedBySGD >= GS2.memorised }
    return [
      FigureScatter(
        id: "push-and-memory", title: "The ledger of pushes and what was memorised",
        caption: source.caption(
          "Share of the corrupt labels learned in the end, against the share that corrupt examples have in the net pushes at "
            + "SGD’s weights (net(corrupt)/(|net(corrupt)| + |net(pristine)|), mean over passes 1 to 10); a point for each "
            + "setting and optimizer."),
        section: section, x: FigureAxis("Share of corrupt examples in net pushes"),
        y: FigureAxis("Corrupt labels learned", isShare: true, including: [0, 1]),
        groups: PushPoint.optimizers.map { $0.uppercased() }, points: scatter(points, \.share, \.learned)
      ).figure(),
      FigureScatter(
        id: "group-window", title: "Suppression by group size",
        caption: source.caption(
          "What the medians learn of the corrupt labels over what SGD learns, against N/b, training examples by the size of the "
            + "groups whose means a median takes (RM3: the mini-batch; M3: a third of it), in the settings in which SGD learns "
            + "at least half of them."),
        section: section, x: FigureAxis("N/b (examples by group size)", scale: .logarithmic),
        y: FigureAxis("Corrupt labels learned, over SGD’s", isShare: true, including: [0, 1]),
        groups: ["RM3", "M3"], points: scatter(memorising, \.examplesPerGroup) { $0.learned / $0.learnedBySGD }
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
