// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import Reports

/// The page of `coherent neighbours`: each example, its helpers and its opponents as strips of pictures.
struct NeighbourPage {
  /// Height and width of a picture in pixels.
  private static let side = 84

  /// The page.
  let html: String
  /// Pictures that could not be read, for people.
  let notes: [String]

  /// - Parameters:
  ///   - report: what was found.
  ///   - asked: the examples, in the order of the report.
  ///   - candidates: the data set of the neighbours.
  /// - Throws: `DatasetError` when the examples are no pictures.
  init(_ report: NeighbourReport, asked: [Neighbours.Queries], candidates: Dataset) throws {
    let sheet = try PictureSheet(side: Self.side, columns: 1, rows: 1)
    var notes: [String] = []
    var drawn: [String: Data] = [:]
    func thumbnail(_ kind: String, _ index: Int, of dataset: Dataset) throws -> Data {
      if let known = drawn["\(kind) \(index)"] { return known }
      let (png, unreadable) = try sheet.png(of: [index], in: dataset)
      notes += unreadable.map { "\($0.file ?? "example \($0.index)") has a placeholder: \($0.reason)" }
      drawn["\(kind) \(index)"] = png
      return png
    }
    let datasets = Dictionary(asked.map { ($0.kind, $0.sample.dataset) }, uniquingKeysWith: { first, _ in first })
    let sections = try report.moments.flatMap { moment in
      try moment.examples.map { example in
        let own = PictureStripPage.Picture(
          png: try thumbnail(example.kind, example.index, of: datasets[example.kind] ?? candidates),
          title: example.title, lines: [example.label, example.file ?? "\(example.index)"])
        let strips = try example.sides.map { side, items in
          PictureStripPage.Strip(
            name: side == "helper" ? "Helpers" : "Opponents",
            pictures: try items.map { item in
              PictureStripPage.Picture(
                png: try thumbnail("train", item.index, of: candidates),
                title: "training example \(item.index)" + (item.file.map { ", \($0)" } ?? ""),
                lines: [item.label, item.cosine.map { String(format: "cos %.3f", $0) } ?? "–", "\(item.index)"])
            })
        }
        return PictureStripPage.Section(
          heading: "\(example.title); step \(moment.step)",
          notes: example.change.map { [NeighbourReport.sentence($0, of: report.candidates)] } ?? [],
          strips: [PictureStripPage.Strip(name: "Example", pictures: [own])] + strips)
      }
    }
    html =
      PictureStripPage(
        title: "Neighbours in \(URL(fileURLWithPath: report.run).lastPathComponent)",
        lead: "The training examples, among \(report.candidates), whose gradients help each example most, and those "
          + "whose gradients hurt it most, ranked by \(report.order.rawValue)"
          + (report.layer.map { " in layer \($0)" } ?? "") + "; below each its label, the cosine of the two gradients "
          + "and its number.",
        side: Self.side, sections: sections
      ).html
    self.notes = notes
  }
}
