// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

/// A few layers at a time, as the backward pass comes by them, is the same as all at once.
@Suite("Layers during the backward pass", .serialized)
struct VisitTests {
  @Test("Every layer comes once, with the same rows and medians", arguments: Problem.all, [DType.float32, .float64])
  func same(_ problem: Problem, _ dtype: DType) throws {
    let solved = try Solved(problem, dtype: dtype)
    let (all, parts) = try (solved.matrix, problem.make(Source(dtype: dtype)))
    let batch = all.exampleCount
    let groups = batch >= 3 ? [0..<1, 1..<2, 2..<batch] : []
    let (early, late) = try (
      Tensor.zeros([all.parameterCount], dtype: dtype), Tensor.zeros([all.parameterCount], dtype: dtype)
    )
    // The layers of the plan that the parts are made for: the same model twice would be two sets of parameters.
    let plan = try GradientPlan(
      parts.model, store: parts.store(dtype: dtype), batchNormPolicy: parts.batchNormPolicy,
      linearPolicy: parts.linearPolicy, unknownLayers: parts.unknownLayers)
    var rows: [String: Tensor] = [:]
    let (output, losses) = try GradientMatrix.visit(plan, input: parts.input, losses: parts.losses ?? quadraticLosses) {
      for layer in $0.layers {
        #expect(rows[layer.name] == nil, "\(layer.name) came twice")
        rows[layer.name] = try layer.block.rows(0..<batch)
      }
      if !groups.isEmpty { try $0.groupMedian(into: early, groups: groups) }
    }
    #expect(Set(rows.keys) == Set(all.layers.map(\.name)))
    for layer in all.layers {
      try expectClose(#require(rows[layer.name]), layer.block.rows(0..<batch), 0, layer.name)
    }
    try expectClose(output, all.output, 0, "output")
    try expectClose(losses, all.losses, 0, "losses")
    guard !groups.isEmpty else { return }
    try all.groupMedian(into: late, groups: groups)
    try expectClose(early, late, 0, "medians")
  }

  @Test("Convolutions that stand alone come early, and nothing of them is kept")
  func early() throws {
    let source = try Source(dtype: .float32)
    let shared = try source.convolution(4, 4, [3, 3], padding: [1, 1])
    let model = Sequential([
      ("alone", try source.convolution(2, 4, [3, 3], bias: false)), ("shared", shared), ("again", shared),
      ("flat", Flatten()), ("output", try source.linear(4 * 4 * 4, 3)),
    ])
    let plan = try GradientPlan(model, store: ParameterStore(model))
    var calls: [[String]] = []
    _ = try GradientMatrix.visit(plan, input: source.normal([5, 2, 6, 6]), losses: quadraticLosses) {
      calls.append($0.layers.map(\.name))
    }
    #expect(calls == [["alone"], ["shared", "output"]])
  }

  private struct Refusal: Error, Equatable { let word: String }

  @Test("What the visitor throws comes out as it is, and the plan serves again")
  func errors() throws {
    let source = try Source(dtype: .float32)
    let model = Sequential([
      ("conv", try source.convolution(2, 4, [3, 3])), ("flat", Flatten()), ("output", try source.linear(64, 3)),
    ])
    let plan = try GradientPlan(model, store: ParameterStore(model))
    let input = try source.normal([5, 2, 6, 6])
    for name in ["conv", "output"] {
      #expect(throws: Refusal(word: name)) {
        _ = try GradientMatrix.visit(plan, input: input, losses: quadraticLosses) {
          if $0.layers.contains(where: { $0.name == name }) { throw Refusal(word: name) }
        }
      }
    }
    var names: [String] = []
    _ = try GradientMatrix.visit(plan, input: input, losses: quadraticLosses) { names += $0.layers.map(\.name) }
    #expect(names == ["conv", "output"])
    #expect(throws: GradientMatrixError.self) {
      _ = try GradientMatrix.visit(plan, input: Tensor.zeros([0, 2, 6, 6]), losses: quadraticLosses) { _ in }
    }
  }

  @Test("Nothing leaks", arguments: Problem.convolution)
  func leaks(_ problem: Problem) throws {
    func use() throws {
      let parts = try problem.make(Source(dtype: .float32))
      let plan = try GradientPlan(
        parts.model, store: parts.store(), batchNormPolicy: parts.batchNormPolicy,
        linearPolicy: parts.linearPolicy, unknownLayers: parts.unknownLayers)
      _ = try GradientMatrix.visit(plan, input: parts.input, losses: parts.losses ?? quadraticLosses) { _ in }
    }
    try use()
    let before = Runtime.liveHandles
    try use()
    #expect(Runtime.liveHandles == before)
  }
}
