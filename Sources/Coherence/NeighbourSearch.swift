// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors

/// What is looked for around an example.
public struct NeighbourSettings: Sendable, Equatable {
  /// How many helpers, and how many opponents, of each example.
  public var limit: Int
  /// What ranks them.
  public var order: NeighbourOrder
  /// The layer whose gradients alone rank them; nil for all parameters.
  public var layer: String?
  /// Whether the ranking values of all candidates are kept, which `Neighbourhoods.changes(since:)` needs: 8 bytes for each
  /// pair.
  public var keepsValues: Bool

  /// Settings from their parts.
  ///
  /// - Parameters:
  ///   - limit: how many helpers, and how many opponents, of each example.
  ///   - order: what ranks them.
  ///   - layer: the layer whose gradients alone rank them; nil for all parameters.
  ///   - keepsValues: whether the ranking values of all candidates are kept.
  public init(limit: Int = 10, order: NeighbourOrder = .product, layer: String? = nil, keepsValues: Bool = false) {
    (self.limit, self.order, self.layer, self.keepsValues) = (limit, order, layer, keepsValues)
  }
}

/// Streams the gradients of candidates past those of some examples, and keeps for each of these the candidates that help
/// it most and hurt it most: ⟨gᵢ, gⱼ⟩ over the examples' own losses, at one set of weights.
///
/// First the examples are added, then the candidates, in batches of any size. Candidates go by in factored form; in
/// memory are the examples' rows (factors, of linear layers) and their nearest candidates.
public final class NeighbourSearch {
  private struct Query {
    let index: Int
    let isCandidate: Bool
    let squaredNorm: Double
    let squaredNorms: [Double]
  }

  /// What was found around an example so far.
  private struct Found {
    var helpers: Shortlist
    var opponents: Shortlist
    var values: [Double] = []
  }

  /// The gradients of a batch of candidates, and their products with those of a batch of examples.
  private struct Products {
    let norms: (total: [Double], byLayer: [[Double]])
    /// By layer, [candidates, examples].
    let dots: [[Double]]
    /// Their sum over layers.
    let totals: [Double]
  }

  private let settings: NeighbourSettings
  private let layers: [String]
  /// The place of the layer that ranks; nil for all of them.
  private let layer: Int?
  private var batches: [GradientMatrix] = []
  private var queries: [Query] = []
  // Beside the queries, so that a change of one never copies what another holds.
  private var found: [Found] = []
  private var candidates: [Int] = []

  /// Numbers of explicit rows in memory.
  public var explicitCount: Int { batches.reduce(0) { $0 + $1.explicitCount } }

  /// - Parameters:
  ///   - plan: how gradients are computed. Its batch norm policy has to be `running`: otherwise a gradient depends on the
  ///     batch that an example happens to be in.
  ///   - settings: what is looked for.
  /// - Throws: `CoherenceError` when no neighbours are asked for, or there is no such layer.
  public init(_ plan: GradientPlan, _ settings: NeighbourSettings = NeighbourSettings()) throws {
    guard settings.limit >= 1 else {
      throw CoherenceError("\(settings.limit) neighbours were requested; request at least 1")
    }
    guard plan.batchNormPolicy == .running else {
      throw CoherenceError(
        "with batch statistics an example's gradient depends on the others of its batch, so that it has no neighbours of "
          + "its own; use the running policy for batch norm")
    }
    (self.settings, layers) = (settings, plan.layerNames)
    layer = try settings.layer.map { name in
      guard let place = plan.layerNames.firstIndex(of: name) else {
        throw CoherenceError(
          "there is no layer \(name) with parameters; choose among \(plan.layerNames.joined(separator: ", "))")
      }
      return place
    }
  }

  /// Adds examples whose neighbours are looked for.
  ///
  /// - Parameters:
  ///   - matrix: their gradients.
  ///   - indices: their numbers, one for each row.
  ///   - areCandidates: whether candidates have the same numbers, so that no example is its own neighbour.
  /// - Throws: `CoherenceError` when candidates went by already, the numbers do not fit, or a gradient is not finite.
  public func addQueries(_ matrix: GradientMatrix, indices: [Int], areCandidates: Bool) throws {
    guard candidates.isEmpty else {
      throw CoherenceError("examples were added after candidates; add all examples first")
    }
    let norms = try checkedNorms(matrix, indices: indices)
    batches.append(try matrix.prepared())
    for (place, index) in indices.enumerated() {
      queries.append(
        Query(
          index: index, isCandidate: areCandidates, squaredNorm: norms.total[place],
          squaredNorms: norms.byLayer.map { $0[place] }))
      let none = Shortlist(limit: settings.limit)
      found.append(Found(helpers: none, opponents: none))
    }
  }

  /// Has candidates go by.
  ///
  /// - Parameters:
  ///   - matrix: their gradients.
  ///   - indices: their numbers, one for each row; each number goes by once.
  /// - Throws: `CoherenceError` when the numbers do not fit, or a gradient is not finite.
  public func addCandidates(_ matrix: GradientMatrix, indices: [Int]) throws {
    let norms = try checkedNorms(matrix, indices: indices)
    candidates += indices
    var first = 0
    for batch in batches {
      let dots = try matrix.gram(with: batch).map { try $0.to(.float64).values(as: Double.self) }
      var totals = [Double](repeating: 0, count: indices.count * batch.exampleCount)
      for layer in dots {
        for place in totals.indices { totals[place] += layer[place] }
      }
      let products = Products(norms: norms, dots: dots, totals: totals)
      for (row, index) in indices.enumerated() {
        for column in 0..<batch.exampleCount {
          try consider(index, row, products, at: row * batch.exampleCount + column, for: first + column)
        }
      }
      first += batch.exampleCount
    }
  }

  /// The neighbourhoods among the candidates that went by. More can go by afterwards.
  public func result() -> Neighbourhoods {
    Neighbourhoods(
      layers: layers, candidates: candidates,
      queries: zip(queries, found).map { query, found in
        Neighbourhood(
          query: query.index, squaredNorm: query.squaredNorm, helpers: found.helpers.neighbours,
          opponents: found.opponents.neighbours, values: settings.keepsValues ? found.values : nil)
      })
  }

  /// Takes a candidate, whose row and products are given, into the neighbourhood of an example where it belongs there.
  private func consider(_ index: Int, _ row: Int, _ products: Products, at pair: Int, for place: Int) throws {
    let query = queries[place]
    guard !(query.isCandidate && query.index == index) else {
      if settings.keepsValues { found[place].values.append(.nan) }
      return
    }
    let total = products.totals[pair]
    guard total.isFinite else {
      throw CoherenceError.diverged(
        "the inner product of the gradients of examples \(query.index) and \(index) overflows")
    }
    func similarity(_ layer: Int) -> GradientSimilarity {
      GradientSimilarity(
        dot: products.dots[layer][pair], query.squaredNorms[layer], products.norms.byLayer[layer][row])
    }
    let whole = GradientSimilarity(dot: total, query.squaredNorm, products.norms.total[row])
    let ranking = layer.map(similarity) ?? whole
    let value = settings.order == .product ? ranking.dot : ranking.cosine ?? 0
    if settings.keepsValues { found[place].values.append(value) }
    func neighbour() -> Neighbour {
      Neighbour(index: index, similarity: whole, byLayer: products.dots.indices.map(similarity))
    }
    if value > 0 { found[place].helpers.offer(value, index, neighbour) }
    if value < 0 { found[place].opponents.offer(-value, index, neighbour) }
  }

  private func checkedNorms(
    _ matrix: GradientMatrix, indices: [Int]
  ) throws -> (total: [Double], byLayer: [[Double]]) {
    guard indices.count == matrix.exampleCount else {
      throw CoherenceError("\(indices.count) numbers were given for the gradients of \(matrix.exampleCount) examples")
    }
    let norms = try matrix.rowSquaredNorms()
    for (layer, values) in norms.byLayer.enumerated() {
      if let bad = values.firstIndex(where: { !$0.isFinite }) {
        throw CoherenceError.diverged(
          "the gradient of example \(indices[bad]) is not finite in layer \(matrix.layers[layer].name)")
      }
    }
    return norms
  }
}

/// The candidates with the largest scores, largest first, equals by index; kept as candidates go by.
private struct Shortlist {
  let limit: Int
  private var entries: [(score: Double, neighbour: Neighbour)] = []

  init(limit: Int) { self.limit = limit }

  var neighbours: [Neighbour] { entries.map(\.neighbour) }

  mutating func offer(_ score: Double, _ index: Int, _ neighbour: () -> Neighbour) {
    func precedes(_ entry: (score: Double, neighbour: Neighbour)) -> Bool {
      score > entry.score || score == entry.score && index < entry.neighbour.index
    }
    if entries.count == limit, let last = entries.last {
      guard precedes(last) else { return }
      entries.removeLast()
    }
    let place = entries.firstIndex(where: precedes) ?? entries.count
    entries.insert((score, neighbour()), at: place)
  }
}
