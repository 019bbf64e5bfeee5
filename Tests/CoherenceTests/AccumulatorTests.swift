// SPDX-License-Identifier: Apache-2.0

import Coherence
import Tensors
import Testing

/// Streaming: chunks, merging, intervals, cross-check and refusals.
@Suite("The coherence accumulator", .serialized)
struct AccumulatorTests {
  private func same(_ one: CoherenceResult, _ two: CoherenceResult, _ tolerance: Double) {
    for (a, b) in zip(one.layers + [one.network], two.layers + [two.network]) {
      #expect(a.layer == b.layer && a.coherence.m == b.coherence.m)
      #expect(isClose(a.coherence.sumSquaredNorm, b.coherence.sumSquaredNorm, tolerance))
      #expect(isClose(a.coherence.squaredNormSum, b.coherence.squaredNormSum, tolerance))
      #expect(isClose(a.share, b.share ?? .nan, tolerance))
    }
  }

  @Test("The size of the chunks changes rounding only", arguments: [1, 7, 64, 300, 2500])
  func chunks(_ size: Int) throws {
    let rows = try Population(dimensions: 9, deviation: 0.5).draw(2500, generator: Generator(seed: 1))
    for (dtype, tolerance) in [(DType.float64, 1e-12), (.float32, 2e-5)] {
      let vectors = try Vectors(widths: [4, 5], dtype: dtype)
      same(try vectors.coherence(rows, chunk: size), try vectors.coherence(rows, chunk: 100), tolerance)
    }
  }

  @Test("Merged parts give the whole, also when their batches were interleaved")
  func merge() throws {
    let rows = try Population(dimensions: 6, deviation: 0.7).draw(240, generator: Generator(seed: 2))
    let vectors = try Vectors(widths: [2, 4])
    let whole = try vectors.coherence(rows, chunk: 10)
    let parts = try (0..<3).map { _ in try CoherenceAccumulator(vectors.plan, expectedCount: 80, groupCount: 4) }
    for batch in 0..<24 {
      try parts[batch % 3].add(vectors.matrix(rows.narrow(0, from: batch * 10, length: 10)))
    }
    try parts[0].merge(parts[1])
    try parts[0].merge(parts[2])
    #expect(parts[0].count == 240)
    let merged = try parts[0].result()
    same(merged, whole, 1e-12)
    let interval = try #require(merged.network.unbiasedInterval)
    let reference = try #require(whole.network.unbiasedInterval)
    #expect(interval.low < reference.high && reference.low < interval.high)
    #expect(isClose(interval.standardError, reference.standardError, 0.6))
  }

  /// The numbers of two processes of which the second is as the first, until it fails.
  private final class Twins: SampleExchange {
    var hasFailed = false
    func sum(_ tensor: Tensor) throws { try tensor.multiply(by: 2) }
    func gather(_ values: [Double]) throws -> [[Double]] {
      [values, hasFailed && values.count == 1 ? [1] : values]
    }
  }

  @Test("Processes that share a sample have intervals together, or none")
  func shared() throws {
    let rows = try Population(dimensions: 6, deviation: 0.7).draw(120, generator: Generator(seed: 2))
    let vectors = try Vectors(widths: [2, 4])
    for hasFailed in [false, true] {
      let accumulator = try CoherenceAccumulator(vectors.plan, expectedCount: 240, groupCount: 8)
      try accumulator.add(vectors.matrix(rows.narrow(0, from: 0, length: 60)))
      try accumulator.add(vectors.matrix(rows.narrow(0, from: 60, length: 60)))
      let twins = Twins()
      try accumulator.combine(over: twins)
      #expect(accumulator.count == 240)
      twins.hasFailed = hasFailed
      let result = try accumulator.result()
      #expect((result.network.unbiasedInterval == nil) == hasFailed)
      #expect((accumulator.intervalProblem?.contains("another process") == true) == hasFailed)
    }
  }

  @Test("Groups differ by one example at most, and have no more than ten thousand")
  func groups() {
    #expect(CoherenceAccumulator.groups(of: 23, count: 4) == [0..<6, 6..<12, 12..<18, 18..<23])
    #expect(CoherenceAccumulator.groups(of: 123_457, count: 10).count == 13)
    #expect(CoherenceAccumulator.groups(of: 3, count: 10) == [0..<3])
    #expect(CoherenceAccumulator.groups(of: 50, count: 0) == [0..<50])
  }

  @Test("Merging in the middle of a group loses nothing")
  func mergeOpen() throws {
    let rows = try Population(dimensions: 6, deviation: 0.7).draw(100, generator: Generator(seed: 3))
    let vectors = try Vectors(widths: [6])
    // Both expect more than they get, so that their last groups are open.
    let parts = try [(0, 45), (45, 55)].map { start, length in
      let part = try CoherenceAccumulator(vectors.plan, expectedCount: 70, groupCount: 7)
      for at in stride(from: start, to: start + length, by: 5) {
        try part.add(vectors.matrix(rows.narrow(0, from: at, length: 5)))
      }
      return part
    }
    try parts[0].merge(parts[1])
    let merged = try parts[0].result()
    same(merged, try vectors.coherence(rows), 1e-12)
    let interval = try #require(merged.network.unbiasedInterval)
    let estimate = try #require(merged.network.coherence.alphaUnbiased)
    #expect(interval.low < estimate && estimate < interval.high)
  }

  @Test("More or fewer examples than expected still give intervals around the estimate", arguments: [30, 33, 55, 90])
  func unexpected(_ count: Int) throws {
    let rows = try Population(dimensions: 6, deviation: 0.4).draw(count, generator: Generator(seed: 4))
    let vectors = try Vectors(widths: [6])
    let accumulator = try CoherenceAccumulator(vectors.plan, expectedCount: 60)
    for row in 0..<count { try accumulator.add(vectors.matrix(rows.narrow(0, from: row, length: 1))) }
    let result = try accumulator.result()
    let interval = try #require(result.network.unbiasedInterval)
    let population = Population(dimensions: 6, deviation: 0.4).alpha
    #expect(interval.low < population && population < interval.high)
    #expect(interval.high - interval.low < 0.5)
    same(result, try vectors.coherence(rows), 1e-12)
  }

  @Test("The 95 % interval covers the population's α about 95 times in 100", arguments: [0.15, 0.8])
  func coverage(_ deviation: Double) throws {
    let population = Population(dimensions: 12, deviation: deviation)
    let generator = try Generator(seed: 5)
    let vectors = try Vectors(widths: [12])
    var covered = 0
    var covered2 = 0
    let runs = 300
    for _ in 0..<runs {
      let result = try vectors.coherence(population.draw(200, generator: generator), chunk: 20).network
      let interval = try #require(result.unbiasedInterval)
      if interval.low <= population.alpha && population.alpha <= interval.high { covered += 1 }
      // The sample's α has expectation a + (1 − a)/m to first order.
      let expected = population.alpha + (1 - population.alpha) / 200
      let biased = try #require(result.alphaInterval)
      if biased.low <= expected && expected <= biased.high { covered2 += 1 }
    }
    #expect(covered == covered2)
    // Three binomial standard deviations around 0.95, and a little for the normal approximation.
    #expect(covered >= 271 && covered <= 298, "\(covered) of \(runs)")
  }

  @Test("Batch sums alone give back r: exactly in expectation, and in simulation")
  func fromBatches() throws {
    let (a, k, n) = (0.07, 20, 40)
    let m = Double(k * n)
    let batch = Double(k) * (1 + Double(k - 1) * a)
    let whole = m * (1 + (m - 1) * a)
    let r = Coherence.mCoherence(fromBatchSums: Array(repeating: batch, count: n), total: whole, batchSize: k)
    #expect(isClose(r, 1 + (m - 1) * a))

    let population = Population(dimensions: 30, deviation: 0.5)
    let generator = try Generator(seed: 6)
    let vectors = try Vectors(widths: [30])
    var ratio = 0.0
    for _ in 0..<60 {
      let result = try vectors.coherence(population.draw(400, generator: generator), chunk: 40)
      ratio += try #require(result.fromBatches) / #require(result.network.coherence.mCoherence) / 60
    }
    #expect(abs(ratio - 1) < 0.02, "\(ratio)")
  }

  @Test("No batch estimate from too little")
  func noBatches() {
    #expect(Coherence.mCoherence(fromBatchSums: [3], total: 3, batchSize: 4) == nil)
    #expect(Coherence.mCoherence(fromBatchSums: [0, 0], total: 0, batchSize: 4) == nil)
    #expect(Coherence.mCoherence(fromBatchSums: [1, 1], total: 1e9, batchSize: 400) == nil)
  }

  @Test("Student's t for every number of groups", arguments: [(2, 12.7062), (10, 2.2622), (17, 2.1199), (100, 1.9842)])
  func student(_ groups: Int, _ quantile: Double) throws {
    let values = (0..<groups).map { Double($0 % 2) }
    let interval = try #require(ConfidenceInterval(estimate: 0, leavingOut: values))
    #expect(isClose(interval.high / interval.standardError, quantile, 3e-5))
    #expect(interval.low == -interval.high)
    #expect(ConfidenceInterval(estimate: 0, leavingOut: [1]) == nil)
  }

  @Test("A gradient that is not finite is named by layer and place in the stream", arguments: [Double.nan, .infinity])
  func notFinite(_ value: Double) throws {
    let vectors = try Vectors(widths: [2, 2])
    let accumulator = try CoherenceAccumulator(vectors.plan, expectedCount: 6)
    try accumulator.add(vectors.matrix([[1, 2, 3, 4], [1, 2, 3, 4]]))
    let bad = try vectors.matrix([[1, 2, 3, 4], [1, 2, value, 4]])
    do {
      try accumulator.add(bad)
      Issue.record("the gradient was taken in")
    } catch let error as CoherenceError {
      #expect(error.description.contains("example 3 "))
      #expect(error.description.contains("layer layer1"))
    }
  }

  @Test("A sum that overflows is an error, not NaN")
  func overflow() throws {
    let vectors = try Vectors(widths: [2], dtype: .float32)
    let accumulator = try CoherenceAccumulator(vectors.plan, expectedCount: 2)
    try accumulator.add(vectors.matrix([[3e38, 1], [3e38, 1]]))
    #expect(throws: CoherenceError.self) { try accumulator.result() }
  }

  @Test("An empty sample and different models are refused")
  func refusals() throws {
    let one = try CoherenceAccumulator(Vectors(widths: [2]).plan, expectedCount: 5)
    #expect(throws: CoherenceError.self) { try one.result() }
    #expect(throws: CoherenceError.self) {
      try one.merge(CoherenceAccumulator(Vectors(widths: [3]).plan, expectedCount: 5))
    }
  }

  @Test("The mean gradient is that of the rows, and measuring leaves the store's gradient alone")
  func meanGradient() throws {
    let vectors = try Vectors(widths: [1, 2])
    try vectors.plan.store.gradient.fill(4)
    let accumulator = try CoherenceAccumulator(vectors.plan, expectedCount: 4)
    try accumulator.add(vectors.matrix([[1, 2, 3], [-1, 0, 1]]))
    try accumulator.add(vectors.matrix([[2, 2, 2], [2, 4, 2]]))
    #expect(try accumulator.meanGradient().values(as: Double.self) == [1, 2, 2])
    #expect(try vectors.plan.store.gradient.values(as: Double.self) == [4, 4, 4])
  }

  @Test("Nothing leaks")
  func leaks() throws {
    func use() throws {
      let rows = try Population(dimensions: 4, deviation: 1).draw(40, generator: Generator(seed: 8))
      _ = try Vectors(widths: [3, 1], dtype: .float32).coherence(rows, chunk: 4)
    }
    try use()
    let before = Runtime.liveHandles
    try use()
    #expect(Runtime.liveHandles == before)
  }
}
