// SPDX-License-Identifier: Apache-2.0

import Datasets
import Tensors

/// How many of an example's nearest neighbours have its label.
enum NeighbourAgreement {
  /// Neighbours that are asked.
  static let neighbours = 10
  /// Multiplications that the search may take: a pass or less of training on as many examples.
  static let mostProducts = 60_000_000_000
  /// However many that leaves, neighbours are sought among so many examples.
  static let leastReferences = 1000
  private static let chunkSize = 256

  /// For every example the share of its nearest neighbours, by cosine of the features, that have the same label. An
  /// example is no neighbour of its own; of equally near ones the first counts.
  ///
  /// - Parameters:
  ///   - features: row by row, [N, D].
  ///   - labels: [N].
  ///   - seed: decides which examples neighbours are sought among where the search would take too long among all.
  static func shares(features: [Float], labels: [Int], seed: UInt64) throws -> [Double] {
    let count = labels.count
    guard count > 1, !features.isEmpty else { return [Double](repeating: 1, count: count) }
    let width = features.count / count
    let rows = try Tensor(normalized(features, width: width)).reshape([count, width])
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 5)
    let affordable = max(leastReferences, mostProducts / max(1, features.count))
    let chosen =
      count <= affordable ? Array(0..<count) : generator.permutation(count: count).prefix(affordable).sorted()
    let references = try rows.indexSelect(0, Tensor(chosen)).transpose()
    let wanted = min(neighbours, chosen.count - 1)
    var shares: [Double] = []
    shares.reserveCapacity(count)
    for start in stride(from: 0, to: count, by: chunkSize) {
      let length = min(chunkSize, count - start)
      let cosines = try rows.narrow(0, from: start, length: length).matmul(references).values(as: Float.self)
      cosines.withUnsafeBufferPointer { values in
        for row in 0..<length {
          let own = UnsafeBufferPointer(rebasing: values[row * chosen.count..<(row + 1) * chosen.count])
          let near = nearest(own, chosen, without: start + row, count: wanted)
          let same = near.count { labels[chosen[$0]] == labels[start + row] }
          shares.append(Double(same) / Double(max(1, near.count)))
        }
      }
    }
    return shares
  }

  /// The places of the largest values, without that of one example.
  private static func nearest(
    _ values: UnsafeBufferPointer<Float>, _ chosen: [Int], without own: Int, count: Int
  ) -> [Int] {
    var (best, places): ([Float], [Int]) = ([], [])
    var least = -Float.infinity
    for place in values.indices where best.count < count || values[place] > least {
      if chosen[place] == own { continue }
      let value = values[place]
      let rank = best.firstIndex { $0 < value } ?? best.count
      best.insert(value, at: rank)
      places.insert(place, at: rank)
      if best.count > count {
        best.removeLast()
        places.removeLast()
      }
      if best.count == count { least = best[count - 1] }
    }
    return places
  }

  private static func normalized(_ features: [Float], width: Int) -> [Float] {
    var result = features
    for start in stride(from: 0, to: features.count, by: width) {
      let square = features[start..<start + width].reduce(0.0) { $0 + Double($1) * Double($1) }
      let scale = square > 0 ? Float(1 / square.squareRoot()) : 0
      for place in start..<start + width { result[place] *= scale }
    }
    return result
  }
}
