// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors
import Testing

@Suite struct EmbeddingBlockTests {
  /// So many positions that norms are taken some examples at a time; row by row they are those of the explicit rows.
  @Test func longTextsAreTakenInParts() throws {
    let (examples, positions, vectors, size) = (7, 2500, 5, 2)
    let generator = try Generator(seed: 3)
    let indices = (0..<examples * positions).map { ($0 * $0 + 3 * $0) % vectors }
    let block = try EmbeddingBlock(
      indices: Tensor(indices).reshape([examples, positions]),
      outputGradient: .normal([examples, positions, size], dtype: .float64, generator: generator), vectorCount: vectors)
    let norms: [Double] = try block.rowSquaredNorms().values()
    let rows: [Double] = try block.rows(0..<examples).values()
    #expect(norms.count == examples)
    for (example, norm) in norms.enumerated() {
      let row = rows[example * vectors * size..<(example + 1) * vectors * size]
      let expected = row.reduce(0) { $0 + $1 * $1 }
      #expect(abs(norm - expected) < 1e-9 * max(1, expected), "example \(example)")
    }
  }
}
