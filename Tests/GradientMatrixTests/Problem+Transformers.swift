// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

@testable import NeuralNetworks

extension Problem {
  /// Attention between two linear layers, over [B, T, D].
  private static func attention(
    _ name: String, batch: Int = 3, count: Int, width: Int, heads: Int, isCausal: Bool
  ) -> Problem {
    Problem("attention, \(name)") {
      let attention = try $0.attention(width: width, heads: heads, isCausal: isCausal)
      return .init(
        model: Sequential(try $0.linear(4, width), attention, Activation(.gelu), try $0.linear(width, 2)),
        input: try $0.normal([batch, count, 4]))
    }
  }

  /// A transformer for tokens, by its word.
  private static func transformer(
    _ settings: String, count: Int = 3, vocabulary: Int = 6, classes: Int = 5, tokens: [Int]
  ) -> Problem {
    Problem("transformer, \(settings)") {
      let model = try ModelSpecification("transformer:\(settings)").build(
        exampleShape: [count], classes: classes, vocabulary: vocabulary, generator: $0.generator)
      try $0.unsettle(model)
      return .init(
        model: model, input: try Tensor(tokens, shape: [tokens.count / count, count]).to(.float32))
    }
  }

  static let transformers: [Problem] = [
    attention("two heads", count: 5, width: 6, heads: 2, isCausal: false),
    attention("causal", count: 5, width: 6, heads: 3, isCausal: true),
    attention("one head, causal", count: 7, width: 5, heads: 1, isCausal: true),
    attention("one token", count: 1, width: 6, heads: 2, isCausal: true),
    attention("one example", batch: 1, count: 4, width: 4, heads: 4, isCausal: false),
    // Positions are few and the layer wide, so that pairs of positions are the cheaper form.
    attention("few positions, wide", count: 2, width: 24, heads: 2, isCausal: true),
    Problem("attention applied twice") {
      let attention = try $0.attention(width: 4, heads: 2, isCausal: true)
      return .init(
        model: Sequential([("first", attention), ("linear", try $0.linear(4, 4)), ("second", attention)]),
        input: try $0.normal([3, 4, 4]))
    },
    Problem("attention over padding, rows of nothing but padding too") {
      let embedding = try Embedding(count: 5, size: 4, generator: $0.generator)
      let causal = try $0.attention(width: 4, heads: 2, isCausal: true)
      let free = try $0.attention(width: 4, heads: 1, isCausal: false)
      let tokens = try Tensor([1, 2, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3], shape: [4, 4])
      return .init(
        model: Custom([("embedding", embedding), ("causal", causal), ("free", free)]) { input, context in
          let visible = try input.equal(Tensor([0])).logicalNot()
          let hidden = try causal.forward(embedding.forward(input, in: context), visible: visible, in: context)
          return try free.forward(hidden.tanh(), visible: visible, in: context)
        }, input: tokens)
    },
    transformer("layers=1,width=6,heads=2", tokens: [0, 1, 5, 2, 2, 5, 4, 0, 5]),
    transformer("layers=2,width=4,heads=1,mlp=7", count: 1, tokens: [3, 0, 3]),
    transformer("layers=1,width=6,heads=3,tied=yes", tokens: [0, 1, 5, 2, 2, 5, 4, 0, 5, 5, 5, 5]),
    Problem("transformer that predicts every token") {
      let model = try ModelSpecification("transformer:layers=1,width=4,heads=2").build(
        exampleShape: [4], classes: 5, vocabulary: 5, predictsAll: true, generator: $0.generator)
      try $0.unsettle(model)
      return .init(model: model, input: try Tensor([1, 2, 3, 4, 4, 0, 0, 1, 2, 2, 2, 2], shape: [3, 4]))
    },
    Problem("transformer that predicts every token by a tied table") {
      let model = try ModelSpecification("transformer:layers=1,width=4,heads=1,tied=yes").build(
        exampleShape: [4], classes: 5, vocabulary: 5, predictsAll: true, generator: $0.generator)
      try $0.unsettle(model)
      return .init(model: model, input: try Tensor([1, 2, 3, 4, 4, 0, 0, 1, 2, 2, 2, 2], shape: [3, 4]))
    },
    Problem("transformer over padding") {
      let specification = try ModelSpecification("transformer:layers=1,width=4,heads=2")
      let model = try TokenTransformer(
        #require(specification.transformer), positions: 5, vocabulary: 6, classes: 3, padding: 0,
        factory: LayerFactory(
          norm: .batch, weights: TokenTransformer.weights, initializer: nil, generator: $0.generator))
      try $0.unsettle(model)
      // Shorter than the most positions that there are, and one row with padding at both ends.
      return .init(
        model: model, input: try Tensor([1, 2, 3, 4, 5, 0, 0, 0, 0, 3, 1, 0, 2, 0, 0, 0], shape: [4, 4]))
    },
    Problem("vision transformer") {
      let plan = ImagePlan(
        channels: 2, height: 4, width: 6, classes: 3,
        layers: LayerFactory(
          norm: .batch, weights: InitialWeights(convolution: .normalByFanIn, linear: .xavierUniform),
          initializer: nil, generator: $0.generator))
      let model = try VisionTransformer(
        plan, EncoderShape(layers: 2, width: 6, heads: 3, hidden: 8), patch: 2, name: "vit")
      try $0.unsettle(model)
      return .init(model: model, input: try $0.normal([3, 2, 4, 6]))
    },
  ]
}

extension Source {
  /// Attention whose biases are not 0.
  func attention(width: Int, heads: Int, isCausal: Bool) throws -> MultiheadAttention {
    let layer = try MultiheadAttention(width: width, heads: heads, isCausal: isCausal, generator: generator)
    try unsettle(layer)
    return layer
  }

  /// Overwrites all parameters with draws, so that nothing is 0, 1 or close to it.
  func unsettle(_ model: any Module) throws {
    for (_, parameter) in model.namedParameters {
      try parameter.value.detach().copy(
        from: .normal(parameter.shape, mean: 0.1, standardDeviation: 0.6, generator: generator))
    }
  }
}
