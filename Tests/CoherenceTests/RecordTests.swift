// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

@Suite("Per-example records", .serialized)
struct RecordTests {
  private func mean(_ matrix: GradientMatrix) throws -> Tensor {
    let mean = try Tensor.zeros([matrix.parameterCount], dtype: matrix.losses.dtype)
    try matrix.columnSum(into: mean)
    try mean.multiply(by: 1 / Double(matrix.exampleCount))
    return mean
  }

  @Test("As PyTorch's numbers", arguments: [(DType.float64, 1e-11), (.float32, 2e-5)])
  func reference(_ precision: (DType, Double)) throws {
    let matrix = try Reference(dtype: precision.0).matrix()
    let mean = try mean(matrix)
    let indices = (0..<12).map { 100 + $0 }
    let records = try matrix.exampleRecords(
      indices: indices, targets: Tensor(Reference.labels), meanGradient: mean)
    #expect(records.map(\.index) == indices)
    let length = try mean.dot(mean).squareRoot()
    let logits: [Double] = try matrix.output.values()
    for (place, record) in records.enumerated() {
      #expect(isClose(record.dot, ReferenceTests.dots[place], precision.1))
      #expect(isClose(record.squaredNorm, ReferenceTests.squaredNorms[place], precision.1))
      #expect(isClose(record.loss, ReferenceTests.losses[place], precision.1))
      #expect(isClose(record.cosine, record.dot / (record.squaredNorm.squareRoot() * length)))
      #expect(record.dotByLayer.count == 2 && isClose(record.dotByLayer.reduce(0, +), record.dot))
      #expect(record.squaredNormByLayer.count == 2)
      let own = Array(logits[place * 10..<place * 10 + 10])
      let label = Reference.labels[place]
      let others = own.enumerated().filter { $0.offset != label }.map(\.element)
      let margin = own[label] - (others.max() ?? .nan)
      #expect(abs((record.margin ?? .nan) - margin) < 1e-5)
      #expect(record.isCorrect == (margin > 0))
    }
  }

  @Test("The accumulator's mean gradient serves the records of another pass")
  func twoPasses() throws {
    let reference = try Reference(dtype: .float32)
    let accumulator = try CoherenceAccumulator(reference.plan, expectedCount: 12)
    for start in [0, 5] { try accumulator.add(reference.matrix(start..<(start == 0 ? 5 : 12))) }
    let mean = try accumulator.meanGradient()
    #expect(try mean.dtype == .float32)
    let records = try reference.matrix(3..<6).exampleRecords(
      indices: [3, 4, 5], targets: nil, meanGradient: mean)
    for record in records {
      #expect(isClose(record.dot, ReferenceTests.dots[record.index], 1e-5))
      #expect(record.margin == nil && record.isCorrect == nil)
    }
  }

  @Test("A gradient of zero has no cosine")
  func zero() throws {
    let vectors = try Vectors(widths: [2])
    let matrix = try vectors.matrix([[0, 0], [3, 4]])
    let records = try matrix.exampleRecords(indices: [0, 1], targets: nil, meanGradient: mean(matrix))
    #expect(records[0].cosine == nil && records[0].squaredNorm == 0 && records[0].dot == 0)
    #expect(isClose(records[1].cosine, 1) && records[1].squaredNorm == 25)
    let nothing = try matrix.exampleRecords(
      indices: [0, 1], targets: nil, meanGradient: .zeros([2], dtype: .float64))
    #expect(nothing.allSatisfy { $0.cosine == nil })
  }

  @Test("What does not fit, and what is not finite, is refused")
  func refusals() throws {
    let vectors = try Vectors(widths: [1, 1])
    let matrix = try vectors.matrix([[1, 2], [3, .nan]])
    let mean = try Tensor.ones([2], dtype: .float64)
    #expect(throws: CoherenceError.self) {
      try matrix.exampleRecords(indices: [1], targets: nil, meanGradient: mean)
    }
    #expect(throws: CoherenceError.self) {
      try matrix.exampleRecords(indices: [1, 2], targets: nil, meanGradient: .ones([3], dtype: .float64))
    }
    do {
      _ = try matrix.exampleRecords(indices: [70, 71], targets: nil, meanGradient: mean)
      Issue.record("NaN went through")
    } catch let error as CoherenceError {
      #expect(error.description.contains("example 71") && error.description.contains("layer layer1"))
    }
  }

  @Test("The paper's sample: chosen columns, each layer, over batches", arguments: [1, 40, 300])
  func sampled(_ perLayer: Int) throws {
    let reference = try Reference(dtype: .float64)
    var generator = SplitMix(seed: 3)
    let sample = try ColumnSample(reference.plan, perLayer: perLayer, using: &generator)
    #expect(sample.columns.map(\.count) == [perLayer, min(perLayer, 170)])
    #expect(sample.columns.allSatisfy { Set($0).count == $0.count && $0 == $0.sorted() })
    var sampled = SampledGradients(sample)
    for start in stride(from: 0, to: 12, by: 5) {
      let range = start..<min(start + 5, 12)
      try sampled.add(
        reference.matrix(range), indices: Array(range), targets: Tensor(Array(Reference.labels[range])))
    }
    let (square, records) = try sampled.records()
    // The same from all rows.
    let whole = try reference.matrix()
    let rows = try Tensor.concatenate(
      zip(whole.layers, sample.columns).map { layer, columns in
        try layer.block.rows(0..<12).indexSelect(1, Tensor(columns))
      }, dimension: 1)
    let mean = try rows.mean([0])
    #expect(isClose(square, try mean.dot(mean), 1e-10))
    let dots: [Double] = try rows.matmul(mean).values()
    let norms: [Double] = try rows.rowSquaredNorms().values()
    #expect(records.map(\.index) == Array(0..<12))
    for (place, record) in records.enumerated() {
      #expect(abs(record.dot - dots[place]) < 1e-12)
      #expect(abs(record.squaredNorm - norms[place]) < 1e-12)
      #expect(isClose(record.loss, ReferenceTests.losses[place], 1e-11))
      #expect(record.margin != nil && record.isCorrect != nil)
    }
    var again = SplitMix(seed: 3)
    #expect(try ColumnSample(reference.plan, perLayer: perLayer, using: &again) == sample)
    #expect(throws: CoherenceError.self) { try SampledGradients(sample).records() }
    #expect(throws: CoherenceError.self) { try sample.explicit(Vectors(widths: [3]).matrix([[1, 2, 3]])) }
    #expect(throws: CoherenceError.self) { try ColumnSample(reference.plan, perLayer: 0, using: &again) }
  }

  @Test("Every column is chosen equally often")
  func uniform() throws {
    let plan = try Vectors(widths: [10]).plan
    var generator = SplitMix(seed: 9)
    var counts = Array(repeating: 0, count: 10)
    for _ in 0..<4000 {
      for column in try ColumnSample(plan, perLayer: 3, using: &generator).columns[0] { counts[column] += 1 }
    }
    // 1200 expected, standard deviation 29.
    #expect(counts.allSatisfy { abs($0 - 1200) < 130 }, "\(counts)")
  }
}
