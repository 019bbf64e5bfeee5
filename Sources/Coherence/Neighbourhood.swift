// SPDX-License-Identifier: Apache-2.0

/// By what examples are ranked as neighbours of another.
public enum NeighbourOrder: String, Sendable, Codable, CaseIterable {
  /// ⟨gᵢ, gⱼ⟩: a step of size η along −gⱼ lowers the loss of example i by η·⟨gᵢ, gⱼ⟩ to first order.
  case product
  /// ⟨gᵢ, gⱼ⟩/(‖gᵢ‖‖gⱼ‖): whether two examples ask for the same change, however strongly.
  case cosine
}

/// An inner product of two gradients.
public struct GradientSimilarity: Sendable, Equatable {
  /// ⟨gᵢ, gⱼ⟩.
  public let dot: Double
  /// ⟨gᵢ, gⱼ⟩/(‖gᵢ‖‖gⱼ‖); nil when either gradient is 0.
  public let cosine: Double?

  /// A product of gradients with the given ‖gᵢ‖² and ‖gⱼ‖².
  init(dot: Double, _ first: Double, _ second: Double) {
    self.dot = dot
    // Rounding must not make a cosine larger than 1.
    let lengths = first.squareRoot() * second.squareRoot()
    cosine = lengths > 0 ? min(1, max(-1, dot / lengths)) : nil
  }
}

/// An example and how its gradient stands to that of another.
public struct Neighbour: Sendable, Equatable {
  /// The example.
  public let index: Int
  /// Over all parameters.
  public let similarity: GradientSimilarity
  /// By layer, in the order of the model's layers.
  public let byLayer: [GradientSimilarity]
}

/// The examples whose gradients help one example most, and those that hurt it most.
public struct Neighbourhood: Sendable, Equatable {
  /// The example, by the number it was asked about with.
  public let query: Int
  /// ‖gᵢ‖² over all parameters.
  public let squaredNorm: Double
  /// The examples with the largest positive products (or cosines), largest first, equals by index.
  public let helpers: [Neighbour]
  /// Those with the most negative ones, most negative first, equals by index.
  public let opponents: [Neighbour]
  /// What ranks the candidates, in their order; NaN for the example itself. Nil unless asked for.
  public let values: [Double]?
}

/// The neighbourhoods of some examples among some candidates, at one set of weights.
public struct Neighbourhoods: Sendable, Equatable {
  /// The names of the layers of `Neighbour.byLayer`.
  public let layers: [String]
  /// The examples that were looked through, in their order.
  public let candidates: [Int]
  /// One for each example, in the order in which they were asked about.
  public let queries: [Neighbourhood]

  /// These and those of further examples among the same candidates.
  ///
  /// - Parameter others: of the same model and candidates.
  public func adding(_ others: Neighbourhoods) -> Neighbourhoods {
    Neighbourhoods(layers: layers, candidates: candidates, queries: queries + others.queries)
  }
}

/// What became of an example's neighbourhood at other weights: "use the state of the network to explicitly characterize
/// which examples are considered similar and study this evolution" (Chatterjee, Coherent Gradients, ICLR 2020, section 5).
public struct NeighbourhoodChange: Sendable, Equatable {
  /// The share of the former helpers that are among the helpers now; nil without former helpers.
  public let helpersKept: Double?
  /// The same of the opponents.
  public let opponentsKept: Double?
  /// The rank among all candidates that each former helper has now, 1 for the one that helps most.
  public let helperRanks: [Int]
  /// The rank of each former opponent, 1 for the one that hurts most.
  public let opponentRanks: [Int]
}

extension Neighbourhoods {
  /// What became of each neighbourhood since other weights.
  ///
  /// - Parameter former: the same examples among the same candidates at those weights.
  /// - Throws: `CoherenceError` when examples or candidates differ, or values were not kept.
  public func changes(since former: Neighbourhoods) throws -> [NeighbourhoodChange] {
    guard candidates == former.candidates, queries.map(\.query) == former.queries.map(\.query) else {
      throw CoherenceError("neighbourhoods of other examples cannot be compared: look at the same ones at both weights")
    }
    let places = Dictionary(candidates.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    return try zip(queries, former.queries).map { now, before in
      guard let values = now.values else {
        throw CoherenceError("ranks need the values of all candidates: set keepsValues of the settings")
      }
      func ranks(_ neighbours: [Neighbour], _ sign: Double) -> [Int] {
        neighbours.compactMap { neighbour in
          places[neighbour.index].map { place in
            let own = sign * values[place]
            return 1
              + zip(candidates, values).reduce(0) { count, other in
                let value = sign * other.1
                return count + (value > own || value == own && other.0 < neighbour.index ? 1 : 0)
              }
          }
        }
      }
      return NeighbourhoodChange(
        helpersKept: Self.kept(of: before.helpers, in: now.helpers),
        opponentsKept: Self.kept(of: before.opponents, in: now.opponents), helperRanks: ranks(before.helpers, 1),
        opponentRanks: ranks(before.opponents, -1))
    }
  }

  private static func kept(of former: [Neighbour], in now: [Neighbour]) -> Double? {
    guard !former.isEmpty else { return nil }
    let present = Set(now.map(\.index))
    return Double(former.count { present.contains($0.index) }) / Double(former.count)
  }
}
