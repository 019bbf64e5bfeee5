// SPDX-License-Identifier: Apache-2.0

import Coherence
import Tensors
import Testing

/// What holds for coherence by its definition, on gradients given as rows.
@Suite("Laws of coherence", .serialized)
struct LawTests {
  @Test("Identical gradients: r = m and α = 1, exactly", arguments: [1, 2, 7, 64])
  func identical(_ m: Int) throws {
    let rows = try tensor(Array(repeating: [0.5, -2, 0, 1.25], count: m))
    let result = try Vectors(widths: [3, 1]).coherence(rows).network.coherence
    #expect(result.m == m)
    #expect(result.mCoherence == Double(m))
    #expect(result.alpha == 1)
    #expect(result.alphaUnbiased == (m > 1 ? 1 : nil))
    #expect(result.gradientDiversity == 1 / Double(m))
  }

  @Test("Orthogonal gradients: r = 1, α = 1/m, unbiased α = 0, exactly", arguments: [2, 8, 32])
  func orthogonal(_ m: Int) throws {
    let rows = (0..<m).map { row in (0..<m).map { $0 == row ? 2.0 : 0 } }
    let result = try Vectors(widths: [m]).coherence(tensor(rows)).network.coherence
    #expect(result.mCoherence == 1)
    #expect(result.alpha == 1 / Double(m))
    #expect(result.alphaUnbiased == 0)
  }

  @Test("A gradient and its opposite: 0, exactly")
  func opposite() throws {
    let result = try Vectors(widths: [2]).coherence(tensor([[0.3, -0.7], [-0.3, 0.7]])).network.coherence
    #expect(result.mCoherence == 0)
    #expect(result.alpha == 0)
    #expect(result.alphaUnbiased == -1)
    #expect(result.gradientDiversity == nil)
    #expect(result.simpleNoiseScale == nil)
  }

  @Test("k copies of d orthogonal gradients: α = 1/d and r = k")
  func copies() throws {
    let rows = (0..<12).map { row in (0..<4).map { $0 == row % 4 ? 1.0 : 0 } }
    let result = try Vectors(widths: [4]).coherence(tensor(rows)).network.coherence
    #expect(result.alpha == 0.25)
    #expect(result.mCoherence == 3)
  }

  private func random(_ count: Int, _ width: Int, seed: UInt64, mean: Double = 0.4) throws -> [[Double]] {
    let values: [Double] = try Tensor.normal(
      [count * width], mean: mean, dtype: .float64, generator: Generator(seed: seed)
    ).values()
    return (0..<count).map { Array(values[$0 * width..<($0 + 1) * width]) }
  }

  @Test("Diluted by zeros, α becomes p·α", arguments: [1, 3, 10])
  func dilution(_ zeros: Int) throws {
    let rows = try random(5, 6, seed: 1)
    let whole = try #require(try alpha(rows))
    let diluted = try alpha(rows + Array(repeating: Array(repeating: 0, count: 6), count: zeros))
    #expect(isClose(diluted, whole * 5 / Double(5 + zeros)))
  }

  @Test("Means of k independent draws: α(W) = kα/(1 + (k − 1)α)", arguments: [1, 2, 3])
  func batches(_ k: Int) throws {
    let rows = try random(5, 4, seed: 2)
    // Every sequence of k draws with replacement: the distribution itself rather than a sample.
    var means = [[0.0, 0, 0, 0]]
    for _ in 0..<k {
      means = means.flatMap { sum in rows.map { row in zip(sum, row).map { $0 + $1 / Double(k) } } }
    }
    let a = try #require(try alpha(rows))
    #expect(isClose(try alpha(means), Double(k) * a / (1 + Double(k - 1) * a), 1e-11))
  }

  @Test("α is the share-weighted mean of the layers' α, and lies between 0 and 1", arguments: 0..<8)
  func layers(_ seed: Int) throws {
    let rows = try random(3 + 4 * seed, 12, seed: UInt64(seed), mean: 0.2 * Double(seed))
    let result = try Vectors(widths: [2, 7, 3]).coherence(tensor(rows), chunk: 5)
    #expect(result.layers.map(\.layer) == ["layer0", "layer1", "layer2"])
    #expect(result.network.layer == "all" && result.network.share == 1)
    let whole = try #require(result.network.coherence.alpha)
    let mixed = result.layers.reduce(0) { $0 + ($1.share ?? .nan) * ($1.coherence.alpha ?? .nan) }
    #expect(isClose(mixed, whole))
    #expect(isClose(result.layers.reduce(0) { $0 + ($1.share ?? .nan) }, 1))
    for part in result.layers + [result.network] {
      let alpha = try #require(part.coherence.alpha)
      #expect(alpha >= 0 && alpha <= 1 + 1e-15)
    }
  }

  @Test("Scale does not matter", arguments: [1e-30, -3, 1e20])
  func scale(_ factor: Double) throws {
    let rows = try random(9, 5, seed: 4)
    let scaled = rows.map { $0.map { $0 * factor } }
    #expect(isClose(try alpha(scaled), try #require(try alpha(rows))))
  }

  @Test("Two draws differ by at most √(2(1 − α)E‖v‖²) on average", arguments: 0..<5)
  func distance(_ seed: Int) throws {
    let rows = try random(8, 6, seed: UInt64(seed), mean: 0.3 * Double(seed))
    let a = try #require(try alpha(rows))
    let square = rows.reduce(0) { $0 + $1.reduce(0) { $0 + $1 * $1 } } / 8
    let distances = rows.flatMap { v in
      rows.map { w in zip(v, w).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot() }
    }
    #expect(distances.reduce(0, +) / 64 <= (2 * (1 - a) * square).squareRoot())
  }

  @Test("Noise scale and diversity by their definitions")
  func definitions() throws {
    let rows = try random(7, 5, seed: 5, mean: 1)
    let result = try Vectors(widths: [5]).coherence(tensor(rows)).network.coherence
    let mean = (0..<5).map { column in rows.reduce(0) { $0 + $1[column] } / 7 }
    let trace = rows.reduce(0) { $0 + zip($1, mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } } / 6
    let signal = mean.reduce(0) { $0 + $1 * $1 } - trace / 7
    #expect(isClose(result.simpleNoiseScale, trace / signal))
    let sum = mean.reduce(0) { $0 + 49 * $1 * $1 }
    #expect(isClose(result.gradientDiversity, rows.reduce(0) { $0 + $1.reduce(0) { $0 + $1 * $1 } } / sum))
  }

  @Test("Zero gradients have no coherence, and nothing becomes NaN")
  func zero() throws {
    let result = try Vectors(widths: [2, 3]).coherence(.zeros([40, 5], dtype: .float64), chunk: 4)
    for part in result.layers + [result.network] {
      let coherence = part.coherence
      #expect(coherence.m == 40 && coherence.squaredNormSum == 0)
      #expect(coherence.alpha == nil && coherence.mCoherence == nil && coherence.alphaUnbiased == nil)
      #expect(coherence.gradientDiversity == nil && coherence.simpleNoiseScale == nil)
      #expect(part.share == nil && part.unbiasedInterval == nil && part.alphaInterval == nil)
    }
    #expect(result.fromBatches == nil)
  }

  @Test("A layer without gradients leaves the others measured")
  func zeroLayer() throws {
    let rows = try random(30, 4, seed: 6).map { $0 + [0, 0] }
    let result = try Vectors(widths: [4, 2]).coherence(tensor(rows), chunk: 3)
    #expect(result.layers[1].coherence.alpha == nil && result.layers[1].share == 0)
    #expect(result.layers[1].unbiasedInterval == nil)
    #expect(result.network.coherence == result.layers[0].coherence)
    #expect(result.network.unbiasedInterval != nil)
  }
}
