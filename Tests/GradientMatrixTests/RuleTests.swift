// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

/// Every operation on every problem, against autograd on batches of one. Differences are relative to the largest
/// magnitude of the result: 1e-11 in float64, 2e-5 in float32 (sums of up to some hundred products).
@Suite("Rules against batches of one", .serialized)
struct RuleTests {
  static let tolerances: [(DType, Double)] = [(.float64, 1e-11), (.float32, 2e-5)]

  @Test("Layers tile the parameters", arguments: Problem.all)
  func places(_ problem: Problem) throws {
    let solved = try Solved(problem, dtype: .float64)
    let columns = solved.matrix.layers.flatMap(\.ranges).sorted { $0.lowerBound < $1.lowerBound }
    #expect(columns.flatMap { Array($0) } == Array(0..<solved.plan.store.count))
    #expect(solved.matrix.layers.map(\.name) == solved.plan.layerNames)
    for layer in solved.matrix.layers {
      #expect(layer.columnCount == layer.block.columnCount)
      #expect(layer.block.exampleCount == solved.matrix.exampleCount)
    }
  }

  @Test("Rows", arguments: Problem.all, tolerances)
  func rows(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    let count = solved.matrix.exampleCount
    try expectClose(solved.matrix.rows(0..<count), solved.oracle, precision.1, "rows")
    let some = count / 3..<max(count / 3 + 1, count - 1)
    try expectClose(
      solved.matrix.rows(some), solved.oracle.narrow(0, from: some.lowerBound, length: some.count), precision.1,
      "rows \(some)")
  }

  @Test("Row norms", arguments: Problem.all, tolerances)
  func norms(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    let norms = try solved.matrix.rowSquaredNorms()
    try expectClose(norms.total, solved.oracle.rowSquaredNorms().values(), precision.1, "norms")
    for (layer, values) in zip(solved.matrix.layers, norms.byLayer) {
      try expectClose(values, solved.oracle(layer).rowSquaredNorms().values(), precision.1, "norms of \(layer.name)")
      #expect(values.allSatisfy { $0 >= 0 })
    }
  }

  @Test("Column sums, plain, weighted and accumulating", arguments: Problem.all, tolerances)
  func sums(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    let count = solved.matrix.exampleCount
    let target = try Tensor.full([solved.plan.store.count], 7, dtype: precision.0)
    let sum = try solved.oracle.sum([0])
    try solved.matrix.columnSum(into: target)
    try expectClose(target, sum, precision.1, "sum")
    let weights = try Tensor.uniform([count], -1, 1, dtype: precision.0, generator: Generator(seed: 5))
    let weighted = try weights.to(.float64).matmul(solved.oracle)
    try solved.matrix.columnSum(into: target, weights: weights, accumulating: true)
    try expectClose(target, sum + weighted, precision.1 * 10, "sum and weighted sum")
    try solved.matrix.columnSum(into: target, weights: weights)
    try expectClose(target, weighted, precision.1 * 10, "weighted sum")
  }

  @Test("Row norms and column sum together", arguments: Problem.all, tolerances)
  func fused(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    let target = try Tensor.full([solved.plan.store.count], 7, dtype: precision.0)
    let sum = try solved.oracle.sum([0])
    for times in 1...2 {
      let norms = try solved.matrix.rowSquaredNorms(addingColumnSumTo: target, accumulating: times == 2)
      for (layer, values) in zip(solved.matrix.layers, norms) {
        try expectClose(values, solved.oracle(layer).rowSquaredNorms().values(), precision.1, "norms of \(layer.name)")
      }
      try expectClose(target, sum * Double(times), precision.1, "sum, \(times) times")
    }
  }

  @Test("Product with a vector", arguments: Problem.all, tolerances)
  func product(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    let vector = try Tensor.normal([solved.plan.store.count], dtype: precision.0, generator: Generator(seed: 6))
    for (layer, values) in zip(solved.matrix.layers, try solved.matrix.product(vector)) {
      let part = try layer.part(of: vector).to(.float64)
      try expectClose(values, solved.oracle(layer).matmul(part).values(), precision.1 * 10, "product of \(layer.name)")
    }
    let other = try Tensor.normal([solved.plan.store.count], dtype: precision.0, generator: Generator(seed: 7))
    let (products, norms) = try solved.matrix.rowProducts([vector, other])
    for (values, vector) in zip(products, [vector, other]) {
      let expected = try solved.oracle.matmul(vector.to(.float64))
      try expectClose(values, expected.values(), precision.1 * 10, "products together")
    }
    try expectClose(norms, solved.oracle.rowSquaredNorms().values(), precision.1, "norms together with products")
    let onlyNorms = try solved.matrix.rowProducts([])
    #expect(onlyNorms.products.isEmpty)
    expectClose(onlyNorms.squaredNorms, norms, precision.1, "norms alone")
  }

  @Test("Gram matrix", arguments: Problem.all, tolerances)
  func gram(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    for (layer, gram) in zip(solved.matrix.layers, try solved.matrix.gram()) {
      let own = try solved.oracle(layer)
      try expectClose(gram, own.matmul(own.transpose()), precision.1, "Gram matrix of \(layer.name)")
    }
  }

  @Test("Column sums of squares", arguments: Problem.all, tolerances)
  func squares(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    let target = try Tensor.full([solved.plan.store.count], 7, dtype: precision.0)
    let sum = try solved.oracle.squared().sum([0])
    try solved.matrix.columnSquareSum(into: target)
    try expectClose(target, sum, precision.1, "sums of squares")
    try solved.matrix.columnSquareSum(into: target, accumulating: true)
    try expectClose(target, sum * 2, precision.1, "sums of squares, twice")
  }

  @Test("Explicit columns", arguments: Problem.all, tolerances)
  func columns(_ problem: Problem, _ precision: (DType, Double)) throws {
    let solved = try Solved(problem, dtype: precision.0)
    #expect(solved.plan.layerColumnCounts == solved.matrix.layers.map(\.columnCount))
    for layer in solved.matrix.layers {
      // Out of order, the last (a bias, where there is one) first, and one twice.
      let last = layer.columnCount - 1
      let indices = [last, 0, last / 2, last, last / 3]
      try expectClose(
        layer.block.columns(indices), solved.oracle(layer).indexSelect(1, Tensor(indices)), precision.1,
        "columns of \(layer.name)")
    }
  }
}
