// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import Tensors
import Testing

@Suite("Pairwise measures, GSNR", .serialized)
struct PairwiseTests {
  @Test("Stiffness and confusion as PyTorch's numbers", arguments: [(DType.float64, 1e-10), (.float32, 1e-4)])
  func reference(_ precision: (DType, Double)) throws {
    let matrix = try Reference(dtype: precision.0).matrix()
    var stiffness = Stiffness()
    try stiffness.add(matrix, classes: Reference.labels)
    #expect(stiffness.all.count == 66 && stiffness.within.count + stiffness.between.count == 66)
    #expect(isClose(stiffness.all.sign, -0.363636363636364))
    #expect(isClose(stiffness.all.cosine, -0.00828871657241326, precision.1))
    #expect(isClose(stiffness.within.cosine, 0.07968141366533, precision.1))
    #expect(isClose(stiffness.between.cosine, -0.0110377831423427, precision.1))
    var confusion = GradientConfusion()
    try confusion.add(matrix)
    #expect(isClose(confusion.minimumCosine, -0.137569181510616, precision.1))
    #expect(isClose(confusion.minimumProduct, -5.93543188182646, precision.1))
    #expect(isClose(confusion.bound, 5.93543188182646, precision.1))
  }

  @Test("By hand: signs, a zero gradient, merging")
  func byHand() throws {
    let vectors = try Vectors(widths: [2])
    var stiffness = Stiffness()
    var confusion = GradientConfusion()
    #expect(stiffness.all.sign == nil && stiffness.all.cosine == nil && confusion.bound == nil)
    let matrix = try vectors.matrix([[1, 0], [2, 0], [0, 0], [-3, 0]])
    try stiffness.add(matrix, classes: [0, 0, 0, 1])
    try confusion.add(matrix)
    #expect(stiffness.within.count == 3 && stiffness.within.sign == 1.0 / 3)
    #expect(stiffness.within.cosineCount == 1 && stiffness.within.cosine == 1)
    #expect(stiffness.between.sign == -2.0 / 3 && stiffness.between.cosine == -1)
    #expect(confusion.minimumProduct == -6 && confusion.minimumCosine == -1)

    var other = Stiffness()
    try other.add(gram: tensor([[1, 1], [1, 1]]), classes: [3, 3])
    stiffness.merge(other)
    #expect(stiffness.within.count == 4 && stiffness.within.cosine == 1)
    var mild = GradientConfusion()
    try mild.add(gram: tensor([[1, 0.5], [0.5, 1]]))
    #expect(mild.bound == 0 && mild.minimumCosine == 0.5)
    mild.merge(confusion)
    #expect(mild == confusion)
    var single = GradientConfusion()
    try single.add(vectors.matrix([[1, 2]]))
    #expect(single.minimumProduct == nil)
  }

  @Test("What does not fit, and what is not finite, is refused")
  func refusals() throws {
    var stiffness = Stiffness()
    var confusion = GradientConfusion()
    #expect(throws: CoherenceError.self) { try stiffness.add(gram: .ones([2, 2]), classes: [1]) }
    #expect(throws: CoherenceError.self) { try stiffness.add(gram: .ones([2, 3]), classes: [1, 1]) }
    #expect(throws: CoherenceError.self) { try confusion.add(gram: tensor([[1, .nan], [.nan, 1]])) }
  }

  @Test("GSNR as PyTorch's numbers, whatever the chunks", arguments: [DType.float64, .float32], [12, 5, 1])
  func gsnr(_ dtype: DType, _ chunk: Int) throws {
    let reference = try Reference(dtype: dtype)
    let parts = try (0..<2).map { _ in try GSNRAccumulator(reference.plan) }
    for (index, start) in stride(from: 0, to: 12, by: chunk).enumerated() {
      try parts[index % 2].add(reference.matrix(start..<min(start + chunk, 12)))
    }
    try parts[0].merge(parts[1])
    let result = try parts[0].result()
    #expect(result.m == 12)
    let expected = [
      ("0", 0.0674116282922045, 10990, 12560), ("2", 0.0943896581330468, 150, 170),
      ("all", 0.0677748872218388, 11140, 12730),
    ]
    for (layer, (name, mean, defined, count)) in zip(result.layers + [result.network], expected) {
      #expect(layer.layer == name && layer.definedCount == defined && layer.parameterCount == count)
      #expect(isClose(layer.mean, mean, dtype == .float64 ? 1e-9 : 1e-4))
    }
    #expect(try result.isDefined.to(.int64).sum().itemInteger() == 11140)
  }

  @Test("GSNR by hand; constant gradients have none")
  func gsnrByHand() throws {
    let vectors = try Vectors(widths: [2, 2])
    let accumulator = try GSNRAccumulator(vectors.plan)
    #expect(throws: CoherenceError.self) { try accumulator.result() }
    try accumulator.add(vectors.matrix([[1, 0.1, 1, 0], [3, 0.1, -1, 0]]))
    let result = try accumulator.result()
    #expect(try result.ratios.values(as: Double.self) == [4, 0, 0, 0])
    #expect(try result.isDefined.values(as: Bool.self) == [true, false, true, false])
    #expect(result.layers.map(\.mean) == [4, 0] && result.layers.map(\.definedCount) == [1, 1])
    #expect(result.network.mean == 2)
    try accumulator.add(vectors.matrix([[1, 0.1, .infinity, 0]]))
    #expect(throws: CoherenceError.self) { try accumulator.result() }
    #expect(throws: CoherenceError.self) { try accumulator.merge(GSNRAccumulator(Vectors(widths: [3]).plan)) }
  }
}
