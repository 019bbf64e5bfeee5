// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import GradientMatrix
import NeuralNetworks
import TestSupport
import Tensors
import Testing

/// Knows its rule, but its `forward` does not record.
private final class Unrecorded: Scale, FactoredModule {
  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { RowsBlock(try $0 * $1) }
  }
}

/// Keeps the tensor that its parameter had when the layer was made.
private class Stale: Scale {
  private let kept: Tensor
  override init(_ source: Source, size: Int) throws {
    let parameter = try Parameter(source.normal([size]))
    kept = parameter.value
    try super.init(parameter)
  }
  override func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor { try input * kept }
}

private final class StaleFactored: Stale, FactoredModule {
  override func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try context.record(self, input: input, output: super.forward(input, in: context))
  }
  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { RowsBlock(try $0 * $1) }
  }
}

/// Reads its parameter past the context, so that training would not reach it; per-example gradients are right all the
/// same.
private final class PastTheContext: Scale, FactoredModule {
  override func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try context.record(self, input: input, output: input * scale.value)
  }
  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { RowsBlock(try $0 * $1) }
  }
}

@Suite("What a layer of one's own may forget is an error that names it", .serialized)
struct MistakeTests {
  private let source = Result { try Source(dtype: .float32) }

  private func model(_ layer: Scale) throws -> Sequential {
    Sequential([("fc", try source.get().linear(4, 5)), ("odd", layer), ("last", try source.get().linear(5, 2))])
  }

  /// Expects both ways of taking per-example gradients to refuse.
  private func expectRefusal(
    _ model: any Module, _ parts: [String], unknownLayers: UnknownLayers = .refuse,
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let plan = try GradientPlan(model, store: ParameterStore(model), unknownLayers: unknownLayers)
    let input = try source.get().normal([3, 4])
    for body in [
      { _ = try GradientMatrix(plan, input: input, losses: quadraticLosses) },
      { _ = try GradientMatrix.visit(plan, input: input, losses: quadraticLosses) { _ in } },
    ] {
      #expect(sourceLocation: location) {
        try body()
      } throws: { error in
        let text = (error as? GradientMatrixError)?.description ?? "\(error)"
        return parts.allSatisfy { text.contains($0) }
      }
    }
  }

  @Test func aLayerThatDoesNotRecord() throws {
    let layer = try Unrecorded(source.get(), size: 5)
    try expectRefusal(model(layer), ["odd (Unrecorded)", "context.record(self", "allowsUnusedParameters"])
    let alone = try Unrecorded(source.get(), size: 4)
    try expectRefusal(
      Sequential([("first", alone), ("fc", source.get().linear(4, 2))]), ["first (Unrecorded)", "recorded nothing"])
  }

  @Test func aLayerThatKeepsItsTensor() throws {
    try expectRefusal(
      model(StaleFactored(source.get(), size: 5)), ["odd (StaleFactored)", "parameter scale", "context.value(of:)"])
    // Without a rule, one example at a time.
    try expectRefusal(
      model(Stale(source.get(), size: 5)), ["odd.scale", "context.value(of:)"], unknownLayers: .oneByOne)
  }

  @Test func theLossDoesNotDependOnTheLayer() throws {
    let (used, computed) = (try source.get().linear(4, 2), try source.get().linear(4, 3))
    let model = Custom([("computed", computed), ("used", used)]) { input, context in
      _ = try computed.forward(input, in: context)
      return try used.forward(input, in: context)
    }
    try expectRefusal(model, ["computed (Linear)", "do not depend on its output"])
  }

  @Test func trainingNamesTheParameter() throws {
    for layer in [try Stale(source.get(), size: 5), try PastTheContext(source.get(), size: 5)] {
      let model = try model(layer)
      let store = try ParameterStore(model)
      let input = try source.get().normal([3, 4])
      let context = ForwardContext(isTraining: true, usesGradientViews: true)
      expectTensorError(.invalid, "ParameterStore.backward", containing: "no gradient arrived for odd.scale: read") {
        try store.backward(model.forward(input, in: context).sum())
      }
      // Where it is meant, or the parameter takes no gradients, its part is 0.
      let place = try #require(store.entries.first { $0.name == "odd.scale" }).range
      func expectZero() throws {
        try store.gradient.fill(7)
        try store.backward(model.forward(input, in: context).sum())
        let values: [Float] = try store.gradient.values()
        #expect(values[place].allSatisfy { $0 == 0 } && !values.contains(7))
      }
      store.allowsUnusedParameters = true
      try expectZero()
      store.allowsUnusedParameters = false
      try layer.scale.value.setRequiresGradient(false)
      try expectZero()
    }
  }

  @Test func aValueReadPastTheContextIsRightForEachExample() throws {
    let model = try model(PastTheContext(source.get(), size: 5))
    let plan = try GradientPlan(model, store: ParameterStore(model))
    let input = try source.get().normal([3, 4])
    let rows = try GradientMatrix(plan, input: input, losses: quadraticLosses).rows(0..<3)
    try expectClose(rows, plan.exampleGradients(input: input, losses: quadraticLosses), 1e-5, "rows")
  }
}
