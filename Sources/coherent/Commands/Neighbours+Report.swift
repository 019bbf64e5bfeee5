// SPDX-License-Identifier: Apache-2.0

import Charts
import Coherence
import Foundation
import RunStore
import Runs
import Training

/// What `coherent neighbours` found, for people and programs.
struct NeighbourReport: Encodable {
  struct Layer: Encodable {
    let layer: String
    let dot: Double
    let cosine: Double?
  }

  struct Item: Encodable {
    let rank, index: Int
    let label: String
    let file: String?
    let dot: Double
    let cosine: Double?
    let layers: [Layer]
  }

  struct Change: Encodable {
    let sinceStep: Int
    let helpersKept, opponentsKept: Double?
    let helperRanks, opponentRanks: [Int]
  }

  struct Example: Encodable {
    let kind: String
    let index: Int
    let label: String
    let file: String?
    let gradientNorm: Double
    let helpers, opponents: [Item]
    var change: Change?

    /// The two sides by name.
    var sides: [(name: String, items: [Item])] { [("helper", helpers), ("opponent", opponents)] }

    var title: String {
      let name = kind == "picture" ? "picture \(file ?? "")" : "\(kind) example \(index)"
      return name + ", labelled \(label)"
    }
  }

  struct Moment: Encodable {
    let weights: String
    let step: Int
    var examples: [Example]
  }

  let run: String
  let order: NeighbourOrder
  let layer: String?
  private(set) var candidates = 0
  private(set) var moments: [Moment] = []
  var seconds = 0.0
  private var former: [Neighbourhoods] = []

  private enum CodingKeys: String, CodingKey { case run, order, layer, candidates, moments, seconds }

  init(run: String, order: NeighbourOrder, layer: String?) { (self.run, self.order, self.layer) = (run, order, layer) }

  /// Takes in what was found at some weights, and what changed since those before.
  mutating func add(_ found: [Neighbourhoods], _ asked: [Neighbours.Queries], of trained: TrainedModel) throws {
    let names = trained.dataset.classNames
    var examples: [Example] = []
    for (place, (neighbourhoods, queries)) in zip(found, asked).enumerated() {
      let changes = former.isEmpty ? nil : try neighbourhoods.changes(since: former[place])
      for (number, neighbourhood) in neighbourhoods.queries.enumerated() {
        func items(_ neighbours: [Neighbour]) -> [Item] {
          neighbours.enumerated().map { Self.item($0, $1, layers: neighbourhoods.layers, of: trained) }
        }
        let index = neighbourhood.query
        var example = Example(
          kind: queries.kind, index: index, label: names[queries.sample.labels[index]], file: queries.file(at: index),
          gradientNorm: neighbourhood.squaredNorm.squareRoot(), helpers: items(neighbourhood.helpers),
          opponents: items(neighbourhood.opponents))
        if let change = changes?[number], let before = moments.last {
          example.change = Change(
            sinceStep: before.step, helpersKept: change.helpersKept, opponentsKept: change.opponentsKept,
            helperRanks: change.helperRanks, opponentRanks: change.opponentRanks)
        }
        examples.append(example)
      }
    }
    candidates = found.first?.candidates.count ?? 0
    moments.append(Moment(weights: trained.selection.rawValue, step: trained.step, examples: examples))
    former = found
  }

  private static func item(_ place: Int, _ neighbour: Neighbour, layers: [String], of trained: TrainedModel) -> Item {
    Item(
      rank: place + 1, index: neighbour.index, label: trained.dataset.classNames[trained.labels[neighbour.index]],
      file: trained.dataset.file(at: neighbour.index), dot: neighbour.similarity.dot,
      cosine: neighbour.similarity.cosine,
      layers: zip(layers, neighbour.byLayer).map { Layer(layer: $0, dot: $1.dot, cosine: $1.cosine) })
  }

  static let columns = [
    "step", "kind", "query", "query_label", "query_file", "side", "rank", "index", "label", "file", "layer", "dot",
    "cosine",
  ]

  /// One line for each neighbour and layer, the layer `all` first; a cosine that is undefined is an empty cell.
  var csv: String {
    var lines = [Self.columns.joined(separator: ",")]
    for moment in moments {
      for example in moment.examples {
        let query = [
          "\(moment.step)", example.kind, "\(example.index)", csvCell(example.label), csvCell(example.file ?? ""),
        ]
        for (side, items) in example.sides {
          for item in items {
            let own = [side, "\(item.rank)", "\(item.index)", csvCell(item.label), csvCell(item.file ?? "")]
            for layer in [Layer(layer: "all", dot: item.dot, cosine: item.cosine)] + item.layers {
              let numbers = [csvCell(layer.layer), "\(layer.dot)", layer.cosine.map { "\($0)" } ?? ""]
              lines.append((query + own + numbers).joined(separator: ","))
            }
          }
        }
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

extension NeighbourReport {
  /// - Parameter byLayer: whether layers are shown.
  func text(byLayer: Bool) -> String {
    var lines: [String] = []
    for moment in moments {
      for example in moment.examples {
        lines.append(
          "\(example.title); \(moment.weights) weights (step \(moment.step)), gradient norm "
            + Self.number(example.gradientNorm))
        if let change = example.change { lines.append(Self.sentence(change, of: candidates)) }
        lines += [Self.table(example), ""]
        if byLayer, let layers = Self.layers(example) { lines += [layers, ""] }
      }
    }
    lines.append(
      "Of \(candidates) training examples, ranked by \(order.rawValue)"
        + (layer.map { " in layer \($0)" } ?? "") + String(format: "; %.2f s", seconds))
    return lines.joined(separator: "\n")
  }

  private static func number(_ value: Double?) -> String { value.map { String(format: "%.4g", $0) } ?? "–" }

  private static func table(_ example: Example) -> String {
    let hasFiles = (example.helpers + example.opponents).contains { $0.file != nil }
    return example.sides.map { side, items in
      guard !items.isEmpty else { return "no \(side)s" }
      let header = ["\(side)s", "label", "⟨gᵢ, gⱼ⟩", "cosine"] + (hasFiles ? ["file"] : [])
      return Console.table(
        [header]
          + items.map {
            ["\($0.index)", $0.label, number($0.dot), number($0.cosine)] + (hasFiles ? [$0.file ?? ""] : [])
          })
    }.joined(separator: "\n")
  }

  /// How much of the neighbours' products lies in each layer, and how they agree there.
  private static func layers(_ example: Example) -> String? {
    guard let names = (example.helpers + example.opponents).first?.layers.map(\.layer) else { return nil }
    let rows = names.indices.map { layer -> [String] in
      [names[layer]]
        + example.sides.flatMap { _, items -> [String] in
          let cosines = items.compactMap { $0.layers[layer].cosine }
          let total = items.reduce(0) { $0 + $1.dot }
          let share = total == 0 ? nil : items.reduce(0) { $0 + $1.layers[layer].dot } / total
          return [
            number(cosines.isEmpty ? nil : cosines.reduce(0, +) / Double(cosines.count)), Console.percent(share),
          ]
        }
    }
    return Console.table([["layer", "helpers' cosine", "share", "opponents' cosine", "share"]] + rows)
  }

  /// What became of a neighbourhood, in words.
  static func sentence(_ change: Change, of candidates: Int) -> String {
    func part(_ name: String, _ kept: Double?, _ ranks: [Int]) -> String? {
      kept.map { kept in
        "\(Wording.whole(kept * Double(ranks.count))) of \(ranks.count) \(name)s kept (former ones now rank "
          + ranks.map(String.init).joined(separator: ", ") + ")"
      }
    }
    let parts = [
      part("helper", change.helpersKept, change.helperRanks),
      part("opponent", change.opponentsKept, change.opponentRanks),
    ].compactMap { $0 }
    guard !parts.isEmpty else { return "No neighbours at step \(change.sinceStep)." }
    return "Since step \(change.sinceStep): " + parts.joined(separator: "; ") + ", of \(candidates)."
  }
}
