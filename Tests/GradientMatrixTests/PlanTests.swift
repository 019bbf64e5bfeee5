// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

@testable import GradientBlocks

@Suite("Plans and their refusals", .serialized)
struct PlanTests {
  private func error(_ body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch let error as GradientMatrixError {
      return error.description
    } catch {
      return "another error: \(error)"
    }
  }

  @Test("An unknown layer with parameters is refused by name")
  func unknown() throws {
    let source = try Source(dtype: .float32)
    let model = Sequential([
      ("fc", try source.linear(4, 4)), ("odd", try Scale(source, size: 4)), ("act", Activation(.relu)),
      ("strange", try Scale(source, size: 4)),
    ])
    let store = try ParameterStore(model)
    let message = try #require(error { _ = try GradientPlan(model, store: store) })
    #expect(message.contains("odd (Scale)") && message.contains("strange (Scale)") && !message.contains("fc"))
    #expect(message.contains("FactoredModule"))
    let slow = try GradientPlan(model, store: store, unknownLayers: .oneByOne)
    #expect(slow.usesOneByOne)
    #expect(slow.layerNames == ["fc", "odd", "strange"])
    #expect(
      error { _ = try GradientPlan(model, store: store, batchNormPolicy: .batch, unknownLayers: .oneByOne) }?
        .contains("running policy") == true)
  }

  @Test("Parameters take part in training again after the slow way")
  func restored() throws {
    let source = try Source(dtype: .float32)
    let model = Sequential(try Scale(source, size: 4))
    let plan = try GradientPlan(model, store: ParameterStore(model), unknownLayers: .oneByOne)
    _ = try GradientMatrix(plan, input: source.normal([2, 4])) { try $0.sum([1]) }
    #expect(plan.store.entries.allSatisfy { $0.parameter.value.requiresGradient })
  }

  @Test("What cannot be a batch is refused with a sentence")
  func refusals() throws {
    let source = try Source(dtype: .float32)
    let model = Sequential(try source.linear(4, 3))
    let plan = try GradientPlan(model, store: ParameterStore(model))
    let input = try source.normal([5, 4])
    #expect(error { _ = try GradientMatrix(plan, input: input) { try $0.sum() } }?.contains("one loss each") == true)
    #expect(
      error { _ = try GradientMatrix(plan, input: input) { try $0.detach().sum([1]) } }?
        .contains("do not depend") == true)
    #expect(
      error { _ = try GradientMatrix(plan, input: Tensor.zeros([0, 4])) { try $0.sum([1]) } }?
        .contains("without examples") == true)
    let matrix = try GradientMatrix(plan, input: input) { try $0.sum([1]) }
    #expect(error { _ = try matrix.rows(3..<6) }?.contains("batch of 5") == true)
    #expect(throws: TensorError.self) { try GradientMatrix(plan, input: Tensor.zeros([5, 3])) { try $0.sum([1]) } }
  }

  @Test("A layer whose input does not count the examples is refused by name")
  func folded() throws {
    let source = try Source(dtype: .float32)
    let layer = try source.linear(4, 3)
    let model = Custom([("inner", layer)]) { input, context in
      try layer.forward(input.reshape([-1, 4]), in: context).reshape([input.size(0), -1])
    }
    let plan = try GradientPlan(model, store: ParameterStore(model))
    let message = error { _ = try GradientMatrix(plan, input: source.normal([5, 2, 4])) { try $0.sum([1]) } }
    #expect(message?.contains("layer inner") == true)
    #expect(message?.contains("first dimension") == true)
  }

  @Test("Taking gradients changes neither parameters, nor gradients, nor running statistics")
  func untouched() throws {
    let source = try Source(dtype: .float32)
    let norm = try BatchNorm2d(channels: 3)
    let model = Sequential(try source.linear(4, 3), norm, Activation(.relu), try source.linear(3, 2))
    let store = try ParameterStore(model)
    try store.gradient.fill(5)
    let before: [Double] = try store.values.values()
    for policy in BatchNormPolicy.allCases {
      let plan = try GradientPlan(model, store: store, batchNormPolicy: policy)
      let matrix = try GradientMatrix(plan, input: source.normal([5, 4]), losses: quadraticLosses)
      _ = try matrix.rowSquaredNorms()
      #expect(matrix.batchNormPolicy == policy)
    }
    #expect(try store.values.values() == before)
    #expect(try store.gradient.values(as: Double.self).allSatisfy { $0 == 5 })
    #expect(try norm.runningMean.value.values(as: Double.self) == [0, 0, 0])
    #expect(try norm.runningVariance.value.values(as: Double.self) == [1, 1, 1])
  }

  @Test("Losses, outputs and norms are those of the plain forward pass")
  func outputs() throws {
    let source = try Source(dtype: .float64)
    let model = Sequential(try source.linear(4, 3), Activation(.relu), try source.linear(3, 2))
    let plan = try GradientPlan(model, store: ParameterStore(model, dtype: .float64))
    let input = try source.normal([5, 4])
    let targets = try Tensor([0, 1, 1, 0, 1])
    let matrix = try GradientMatrix(plan, input: input) { try crossEntropy($0, targets, reduction: .none) }
    let output = try withoutGradients { try model.forward(input, in: .evaluation()) }
    try expectClose(matrix.output, output, 1e-14, "output")
    try expectClose(matrix.losses, crossEntropy(output, targets, reduction: .none), 1e-14, "losses")
    #expect(!matrix.output.requiresGradient && !matrix.losses.requiresGradient)
  }

  @Test("Sums over the examples go to the library that the policy names, in blocks made from blocks too")
  func sumsByPolicy() throws {
    let source = try Source(dtype: .float32)
    let model = Sequential([("fc", try source.linear(20, 9))])
    let store = try ParameterStore(model)
    let input = try Tensor.randn([13, 20], generator: Generator(seed: 1))
    func losses(_ output: Tensor) throws -> Tensor { try output.squared().sum([1]) }
    for (policy, backend) in [
      (LinearPolicy.native, ProductBackend.native), (LinearPolicy(rule: .sized), .tiled),
      (LinearPolicy(rule: .onednn), .tiled),
    ] {
      let plan = try GradientPlan(model, store: store, linearPolicy: policy)
      func check(_ matrix: GradientMatrix) throws {
        let block = try #require(matrix.layers.first?.block as? LinearBlock)
        let parts: [any GradientBlock] = [
          block, try block.group(2..<5), try block.block(ofFactors: block.factors()),
          try block.block(ofColumns: 0..<40),
        ]
        for part in parts { #expect((part as? LinearBlock)?.backend == backend, "\(policy.rule)") }
        let (sum, expected) = (try Tensor.zeros([store.count]), try Tensor.zeros([store.count]))
        try block.columnSum(into: sum, weights: nil, accumulating: false)
        try expected.narrow(0, from: 0, length: 180).reshape([9, 20]).setWeightGradient(
          outputGradient: block.delta.squeeze(1), input: block.input.squeeze(1),
          bias: expected.narrow(0, from: 180, length: 9), product: backend)
        #expect(try sum.values(as: Float.self) == expected.values(as: Float.self))
      }
      try check(GradientMatrix(plan, input: input, losses: losses))
      _ = try GradientMatrix.visit(plan, input: input, losses: losses, check)
    }
  }

  @Test("Nothing leaks", arguments: Problem.all)
  func leaks(_ problem: Problem) throws {
    func use() throws {
      let solved = try Solved(problem, dtype: .float32)
      let target = try Tensor.zeros([solved.plan.store.count])
      _ = try solved.matrix.rowSquaredNorms(addingColumnSumTo: target, accumulating: false)
      _ = try solved.matrix.product(target)
      _ = try solved.matrix.gram()
    }
    try use()
    let before = Runtime.liveHandles
    try use()
    #expect(Runtime.liveHandles == before)
  }

  @Test("Rows beyond the budget for explicit numbers are taken in chunks")
  func chunks() throws {
    let columns = 6_000_000
    let values = try Tensor([1.0, -2, 3, 0.5, 4]).to(.float32)
    let block = RowsBlock(exampleCount: 5, columnCount: columns) { range in
      #expect(range.count <= 2)
      let own = try values.narrow(0, from: range.lowerBound, length: range.count)
      return try own.unsqueeze(1).expand([range.count, columns]).contiguous()
    }
    let size = Double(columns)
    let expected = [1, 4, 9, 0.25, 16].map { $0 * size }
    try expectClose(block.rowSquaredNorms().values(), expected, 1e-6, "norms")
    let target = try Tensor.full([columns], 1)
    try expectClose(
      block.rowSquaredNorms(addingColumnSumTo: target, accumulating: true).values(), expected, 1e-6, "norms and sum")
    let ends: [Double] = [try target.select(0, 0).item(), try target.select(0, columns - 1).item()]
    #expect(ends == [7.5, 7.5])
    try block.columnSum(into: target, weights: Tensor([1.0, 1, 0, 0, 0.5]).to(.float32), accumulating: false)
    #expect(try target.select(0, 3).item() == 1)
    try expectClose(
      block.product(Tensor.ones([columns])).values(), [1, -2, 3, 0.5, 4].map { $0 * size }, 1e-5, "product")
    let outer = [1, -2, 3, 0.5, 4].flatMap { row in [1, -2, 3, 0.5, 4].map { $0 * row * size } }
    try expectClose(block.gram().values(), outer, 1e-5, "Gram matrix")
  }
}
