// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix

extension ProbeSample {
  /// Numbers of explicit gradient rows that examples have in memory while candidates go by: one gibibyte.
  static let explicitBudget = 1 << 28

  /// The examples of this sample whose gradients help, and those whose gradients hurt, each example of another sample.
  ///
  /// One factored pass over this sample, chunk by chunk; several where the other's explicit rows would take more than a
  /// gibibyte.
  ///
  /// - Parameters:
  ///   - queries: the examples that are asked about. Where its split is this sample's it has to be of the same data set,
  ///     and no example is its own neighbour.
  ///   - plan: how gradients are computed, with the running policy for batch norm.
  ///   - settings: what is looked for.
  /// - Throws: `CoherenceError` when the settings make no sense, or a gradient is not finite, named by example and layer;
  ///   `DatasetError` that names a file that cannot be decoded.
  public func neighbours(
    of queries: ProbeSample, _ plan: GradientPlan, _ settings: NeighbourSettings = NeighbourSettings()
  ) throws -> Neighbourhoods {
    try neighbours(of: queries, plan, settings, explicitBudget: Self.explicitBudget)
  }

  func neighbours(
    of queries: ProbeSample, _ plan: GradientPlan, _ settings: NeighbourSettings, explicitBudget: Int
  ) throws -> Neighbourhoods {
    let size = max(1, min(queries.chunkSize, explicitBudget / max(1, plan.store.count)))
    var rest = queries.indices[...]
    // The neighbourhoods of as many of the examples as the budget allows.
    func pass() throws -> Neighbourhoods {
      let search = try NeighbourSearch(plan, settings)
      var needed = 0
      while !rest.isEmpty && needed <= explicitBudget {
        var part = queries
        (part.indices, part.chunkSize) = (Array(rest.prefix(size)), size)
        rest = rest.dropFirst(size)
        let before = search.explicitCount
        try part.forEachChunk(plan) { matrix, _ in
          try search.addQueries(matrix, indices: part.indices, areCandidates: queries.split == split)
        }
        // With another part as large as this one.
        needed = 2 * search.explicitCount - before
      }
      try forEachChunk(plan) { try search.addCandidates($0, indices: Array(indices[$1])) }
      return search.result()
    }
    var found = try pass()
    while !rest.isEmpty { found = found.adding(try pass()) }
    return found
  }
}
