// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors
import Testing

/// Every operation of a sum of blocks, against the same on its explicit rows.
@Suite struct SummedBlockTests {
  private static let examples = 7

  private static func linear(_ seed: UInt64, inputs: Int, outputs: Int, positions: Int = 1) throws -> LinearBlock {
    let generator = try Generator(seed: seed)
    func draw(_ size: Int) throws -> Tensor {
      try .normal([examples, positions, size], dtype: .float64, generator: generator)
    }
    return try LinearBlock([(draw(inputs), draw(outputs))], hasBias: seed % 2 == 0)
  }

  enum Kind: String, CaseIterable, Sendable {
    case sideBySide, onTheSameColumns, inPieces, withGaps
  }

  private static func block(_ kind: Kind) throws -> SummedBlock {
    let (one, two) = try (linear(1, inputs: 3, outputs: 2), linear(2, inputs: 2, outputs: 4, positions: 3))
    switch kind {
    case .sideBySide: return try SummedBlock(concatenating: [one, two])
    case .onTheSameColumns: return try SummedBlock([one, linear(3, inputs: 3, outputs: 2, positions: 2)])
    case .inPieces:
      // Ranges out of order, which only together are all columns.
      return try SummedBlock(
        exampleCount: examples, columnCount: 18,
        parts: [.init(block: one, columns: [14..<18, 0..<2]), .init(block: two, columns: [2..<14])])
    case .withGaps:
      return try SummedBlock(
        exampleCount: examples, columnCount: 21,
        parts: [.init(block: one, columns: [15..<21]), .init(block: two, columns: [1..<13])])
    }
  }

  @Test(arguments: Kind.allCases) func agreesWithItsRows(_ kind: Kind) throws {
    let block = try Self.block(kind)
    let plain = RowsBlock(try block.rows(0..<Self.examples))
    func expectSame(_ what: String, _ measure: (any GradientBlock, Tensor) throws -> Tensor) throws {
      let targets = try [1, 2].map { _ in try Tensor.full([block.columnCount], 0.5, dtype: .float64) }
      let (own, expected) = try (measure(block, targets[0]), measure(plain, targets[1]))
      try expectClose(own, expected, 1e-12, "\(kind): \(what)")
    }
    let weights = try Tensor((0..<Self.examples).map { Double($0) - 2.5 })
    let vector = try Tensor.normal([block.columnCount], dtype: .float64, generator: Generator(seed: 9))
    try expectSame("norms") { block, _ in try block.rowSquaredNorms() }
    try expectSame("Gram matrix") { block, _ in try block.gram() }
    try expectSame("product") { block, _ in try block.product(vector) }
    let vectors = try Tensor.normal([3, block.columnCount], dtype: .float64, generator: Generator(seed: 10))
    try expectSame("products") { block, _ in try block.rowProducts(vectors) }
    for accumulating in [false, true] {
      try expectSame("column sum") {
        try $0.columnSum(into: $1, weights: weights, accumulating: accumulating)
        return $1
      }
      try expectSame("sum of squares") {
        try $0.columnSquareSum(into: $1, accumulating: accumulating)
        return $1
      }
    }
    for clippingKind in [Clipping.Kind.winsorized, .trimmed] {
      try expectSame("clipped sum") {
        try $0.clippedSum(into: $1, Clipping(low: 1, high: 2, kind: clippingKind, scale: 0.25))
        return $1
      }
    }
    try expectSame("median") {
      try $0.groupMedian(into: $1, groups: [0..<3, 3..<5, 5..<7])
      return $1
    }
    try expectSame("signs") {
      try $0.signSum(into: $1)
      return $1
    }
    try expectSame("a group's norms") { block, _ in try block.group(2..<5).rowSquaredNorms() }
  }

  @Test func whatDoesNotFitIsAnError() throws {
    let one = try Self.linear(1, inputs: 3, outputs: 2)
    let other = RowsBlock(try Tensor.zeros([Self.examples + 1, 6]))
    #expect(throws: TensorError.self) { try SummedBlock([one, other]) }
    #expect(throws: TensorError.self) { try SummedBlock([]) }
    #expect(throws: TensorError.self) { try SummedBlock(concatenating: []) }
    for columns in [[0..<5], [1..<7], [0..<3, 2..<6]] {
      #expect(throws: TensorError.self) {
        try SummedBlock(exampleCount: Self.examples, columnCount: 6, parts: [.init(block: one, columns: columns)])
      }
    }
    #expect(throws: TensorError.self) { try LinearBlock([], hasBias: true) }
    #expect(throws: TensorError.self) { try LinearBlock([(.zeros([3, 2]), .zeros([1, 2]))], hasBias: true) }
    #expect(throws: TensorError.self) {
      try EmbeddingBlock(indices: Tensor([0, 1, 2]), outputGradient: .zeros([3, 2, 4]), vectorCount: 3)
    }
  }
}
