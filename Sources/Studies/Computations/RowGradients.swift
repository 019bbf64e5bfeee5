// SPDX-License-Identifier: Apache-2.0

import Coherence
import GradientMatrix
import NeuralNetworks
import Tensors

/// Gradients given as rows, in the shape of a model: with the loss w·x of an example x its gradient is x. What is
/// measured on them goes the way that every network's gradients go.
struct RowGradients {
  private final class Rows: Module {
    let layers: [Linear]
    let widths: [Int]

    init(widths: [Int], dtype: DType) throws {
      self.widths = widths
      layers = try widths.map { try Linear(weight: Parameter(.zeros([1, $0], dtype: dtype))) }
    }

    var members: [ModuleMember] { layers.enumerated().map { .module("layer\($0.offset)", $0.element) } }

    func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
      var start = 0
      var total = try Tensor.zeros([input.size(0), 1], dtype: input.dtype)
      for (layer, width) in zip(layers, widths) {
        total = try total + layer.forward(input.narrow(1, from: start, length: width), in: context)
        start += width
      }
      return total
    }
  }

  let store: ParameterStore
  private let plan: GradientPlan
  private let dtype: DType

  /// - Parameter widths: the columns of each layer.
  init(widths: [Int], dtype: DType = .float64) throws {
    let model = try Rows(widths: widths, dtype: dtype)
    store = try ParameterStore(model, dtype: dtype)
    plan = try GradientPlan(model, store: store)
    self.dtype = dtype
  }

  func matrix(_ rows: [[Double]]) throws -> GradientMatrix {
    let input = try Tensor(rows.flatMap { $0 }, shape: [rows.count, rows.first?.count ?? 0]).to(dtype)
    return try GradientMatrix(plan, input: input) { try $0.squeeze(1) }
  }

  func coherence(_ rows: [[Double]]) throws -> CoherenceResult {
    let accumulator = try CoherenceAccumulator(plan, expectedCount: rows.count, groupCount: 0)
    try accumulator.add(matrix(rows))
    return try accumulator.result()
  }

  /// α of rows as one layer; 0 when all of them are.
  static func alpha(_ rows: [[Double]]) throws -> Double {
    try RowGradients(widths: [rows.first?.count ?? 0]).coherence(rows).network.coherence.alpha ?? 0
  }
}
