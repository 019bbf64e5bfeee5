// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

/// A model whose per-example gradients are whatever the input holds: the loss is w·x, so ∇ᵢ = xᵢ. Its columns are split
/// into layers of the given widths.
final class Identity: Module {
  let layers: [Linear]
  let widths: [Int]

  init(widths: [Int]) throws {
    self.widths = widths
    layers = try widths.map { try Linear(weight: Parameter(.zeros([1, $0]))) }
  }

  var members: [ModuleMember] { layers.enumerated().map { .module("layer\($0.offset)", $0.element) } }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    var start = 0
    var total: Tensor?
    for (layer, width) in zip(layers, widths) {
      let part = try layer.forward(input.narrow(1, from: start, length: width), in: context)
      total = try total.map { try $0 + part } ?? part
      start += width
    }
    return try total ?? Tensor.zeros([input.size(0), 1])
  }
}

/// Measures gradients given as rows.
struct Vectors {
  let plan: GradientPlan
  let dtype: DType

  init(widths: [Int], dtype: DType = .float64) throws {
    let model = try Identity(widths: widths)
    plan = try GradientPlan(model, store: ParameterStore(model, dtype: dtype))
    self.dtype = dtype
  }

  /// The gradient matrix whose rows are the given ones.
  func matrix(_ rows: Tensor) throws -> GradientMatrix {
    try GradientMatrix(plan, input: rows.to(dtype)) { try $0.squeeze(1) }
  }

  func matrix(_ rows: [[Double]]) throws -> GradientMatrix { try matrix(tensor(rows)) }

  /// Coherence in chunks of a given number of rows.
  func coherence(_ rows: Tensor, chunk: Int? = nil, groups: Int = 10) throws -> CoherenceResult {
    let count = rows.size(0)
    let accumulator = try CoherenceAccumulator(plan, expectedCount: count, groupCount: groups)
    for start in stride(from: 0, to: count, by: chunk ?? count) {
      try accumulator.add(matrix(rows.narrow(0, from: start, length: min(chunk ?? count, count - start))))
    }
    return try accumulator.result()
  }
}

func tensor(_ rows: [[Double]]) throws -> Tensor {
  try Tensor(rows.flatMap { $0 }, shape: [rows.count, rows.first?.count ?? 0])
}

/// α of rows, as one layer.
func alpha(_ rows: [[Double]]) throws -> Double? {
  try Vectors(widths: [rows[0].count]).coherence(tensor(rows)).network.coherence.alpha
}

/// Whether two numbers differ by no more than a share of the second.
func isClose(_ actual: Double?, _ expected: Double, _ tolerance: Double = 1e-12) -> Bool {
  guard let actual else { return false }
  return abs(actual - expected) <= tolerance * abs(expected)
}

/// SplitMix64: a small generator of one's own for tests.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Rows μ + σ·normal in d dimensions with ‖μ‖ = 1: the population's α is 1/(1 + dσ²).
struct Population {
  let dimensions: Int
  let deviation: Double

  var alpha: Double { 1 / (1 + Double(dimensions) * deviation * deviation) }

  func draw(_ count: Int, generator: Generator) throws -> Tensor {
    let noise = try Tensor.normal([count, dimensions], dtype: .float64, generator: generator) * deviation
    return try noise + 1 / Double(dimensions).squareRoot()
  }
}
