// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors
import TestSupport
import Testing

@testable import NeuralNetworks

@Suite struct AttentionTests {
  /// The layer by its definition, number by number.
  private func reference(_ layer: MultiheadAttention, _ input: Tensor, visible: [[Bool]]? = nil) throws -> [Double] {
    let (batch, count, width) = (input.size(0), input.size(1), input.size(2))
    let x: [Double] = try input.values()
    let (weight, bias): ([Double], [Double]) = try (
      layer.projection.value.values(), layer.projectionBias.value.values()
    )
    let (last, lastBias): ([Double], [Double]) = try (
      layer.output.weight.value.values(), layer.output.bias?.value.values() ?? []
    )
    let size = width / layer.heads
    func projected(_ example: Int, _ place: Int, _ row: Int) -> Double {
      (0..<width).reduce(bias[row]) { $0 + weight[row * width + $1] * x[(example * count + place) * width + $1] }
    }
    var result: [Double] = []
    for example in 0..<batch {
      for query in 0..<count {
        var mixed: [Double] = []
        for head in 0..<layer.heads {
          let keys = (0..<count).filter { (!layer.isCausal || $0 <= query) && visible?[example][$0] != false }
          let scores = keys.map { key in
            (0..<size).reduce(0.0) {
              $0 + projected(example, query, head * size + $1) * projected(example, key, width + head * size + $1)
            } / Double(size).squareRoot()
          }
          let powers = scores.map { exp($0 - (scores.max() ?? 0)) }
          let total = powers.reduce(0, +)
          mixed += (0..<size).map { number in
            zip(keys, powers).reduce(0) {
              $0 + $1.1 / total * projected(example, $1.0, 2 * width + head * size + number)
            }
          }
        }
        result += (0..<width).map { row in
          (0..<width).reduce(lastBias[row]) { $0 + last[row * width + $1] * mixed[$1] }
        }
      }
    }
    return result
  }

  private func layer(_ width: Int, _ heads: Int, isCausal: Bool, seed: UInt64 = 1) throws -> MultiheadAttention {
    let generator = try Generator(seed: seed)
    let layer = try MultiheadAttention(width: width, heads: heads, isCausal: isCausal, generator: generator)
    _ = try ParameterStore(layer, dtype: .float64)
    for (_, parameter) in layer.namedParameters {
      try parameter.value.detach().copy(from: .normal(parameter.shape, dtype: .float64, generator: generator))
    }
    return layer
  }

  @Test(arguments: [(1, 1, 1, 1), (2, 1, 4, 2), (3, 5, 6, 3), (1, 7, 5, 1), (2, 4, 4, 4)], [false, true])
  func equalsItsDefinition(_ extents: (Int, Int, Int, Int), _ isCausal: Bool) throws {
    let (batch, count, width, heads) = extents
    let layer = try layer(width, heads, isCausal: isCausal)
    let input = try Tensor.normal([batch, count, width], dtype: .float64, generator: Generator(seed: 2))
    try expectClose(
      layer.forward(input, in: .evaluation()), reference(layer, input), shape: [batch, count, width], rtol: 1e-11,
      atol: 1e-12)
  }

  @Test(arguments: [false, true]) func paddingIsNotSeen(_ isCausal: Bool) throws {
    let layer = try layer(6, 2, isCausal: isCausal)
    let input = try Tensor.normal([3, 4, 6], dtype: .float64, generator: Generator(seed: 2))
    let visible = [[true, true, false, true], [false, true, true, false], [false, false, false, false]]
    let output = try layer.forward(input, visible: Tensor(visible.flatMap { $0 }, shape: [3, 4]), in: .evaluation())
    try expectClose(output, reference(layer, input, visible: visible), shape: [3, 4, 6], rtol: 1e-11, atol: 1e-12)
    #expect(try output.isFinite().all().values() == [true])
  }

  @Test func whatDoesNotFitIsNamed() throws {
    expectTensorError("a width of 6 does not divide into 4 heads") {
      _ = try MultiheadAttention(width: 6, heads: 4, generator: Generator(seed: 1))
    }
    let layer = try MultiheadAttention(width: 6, heads: 3, generator: Generator(seed: 1))
    for shape in [[2, 6], [2, 3, 5]] {
      expectTensorError("[examples, positions, 6]") { _ = try layer.forward(Tensor.zeros(shape), in: .evaluation()) }
    }
    expectTensorError("the shape of examples and positions, [2, 3]") {
      _ = try layer.forward(Tensor.zeros([2, 3, 6]), visible: Tensor.ones([2, 4]), in: .evaluation())
    }
  }

  private func expectTensorError(_ part: String, _ body: () throws -> Void) {
    #expect {
      try body()
    } throws: { error in
      "\(error)".contains(part)
    }
  }
}

@Suite struct TransformerTests {
  private func build(
    _ word: String, count: Int = 4, vocabulary: Int? = 7, classes: Int = 5, seed: UInt64 = 1
  ) throws -> any Module {
    try ModelSpecification(word).build(
      exampleShape: [count], classes: classes, vocabulary: vocabulary, generator: Generator(seed: seed))
  }

  private func expectError(_ parts: String..., from body: () throws -> Void) {
    #expect {
      try body()
    } throws: { error in
      parts.allSatisfy { "\(error)".contains($0) }
    }
  }

  @Test(arguments: [
    "transformer:layers=2,width=128,heads=4", "transformer:layers=1,width=6,heads=3,mlp=5",
    "transformer:layers=1,width=6,heads=1,dropout=0.1,tied=yes",
  ]) func wordsAreParsed(_ word: String) throws {
    let specification = try ModelSpecification(word)
    #expect(specification.description == word && specification.head == "head")
    #expect(try ModelSpecification(specification.description) == specification)
  }

  @Test func whatIsNotSaidIsUsual() throws {
    #expect(try ModelSpecification("transformer").description == "transformer:layers=2,width=128,heads=4")
    #expect(try ModelSpecification("transformer:heads=8").transformer?.hidden == 512)
  }

  @Test(arguments: [
    ("transformer:", "no setting \"\""), ("transformer:layers=2,,heads=1", "no setting \"\""),
    ("transformer:layers=0", "layers must be a whole number from 1 to 1000, not \"0\""),
    ("transformer:width=1.5", "width must be a whole number"),
    ("transformer:width=99999999999999999999", "width must be"),
    ("transformer:width=10,heads=4", "a width of 10 does not divide into 4 heads; heads=2 would fit it"),
    ("transformer:layers=1,layers=2", "layers occurs twice"), ("transformer:layer=1", "did you mean \"layers\"?"),
    ("transformer:tied=1", "tied must be yes or no"),
    ("transformer:dropout=1", "dropout must be at least 0 and below 1"),
    ("transformer:dropout=nan", "dropout must be"), ("transformer:depth", "no setting \"depth\""),
    ("transformers", "did you mean \"transformer\"?"),
  ]) func impossibleWordsAreRefused(_ word: String, _ part: String) {
    expectError(part) { _ = try ModelSpecification(word) }
  }

  @Test(arguments: ["layers=2,width=6,heads=2", "layers=1,width=4,heads=1,mlp=3", "layers=1,width=6,heads=3,tied=yes"])
  func itsParametersAreCounted(_ settings: String) throws {
    let specification = try ModelSpecification("transformer:" + settings)
    let model = try build("transformer:" + settings)
    #expect(specification.parameterCount(inputs: 4, classes: 5, vocabulary: 7) == model.parameterCount)
    let names = model.namedParameters.map(\.name)
    #expect(names.first == "embedding.weight" && names.contains("encoder.pos_embedding"))
    #expect(names.contains("encoder.layers.encoder_layer_0.self_attention.in_proj_weight"))
    #expect(names.contains("head.weight") == !settings.contains("tied"))
    let logits = try model.forward(Tensor([0, 1, 2, 6, 6, 5, 4, 3], shape: [2, 4]), in: .evaluation())
    #expect(logits.shape == [2, 5])
    #expect(try model.forward(Tensor.zeros([0, 4]), in: .evaluation()).shape == [0, 5])
  }

  @Test func whatDoesNotFitIsRefused() throws {
    expectError("needs examples of tokens", "modular:97") { _ = try build("transformer", vocabulary: nil) }
    expectError("a vocabulary of at least one token") { _ = try build("transformer", vocabulary: 0) }
    expectError("table of 3 tokens cannot make the logits of 5 classes", "leave tied out") {
      _ = try build("transformer:tied=yes", vocabulary: 3)
    }
    expectError("takes pictures", "are tokens", "transformer:") {
      _ = try ModelSpecification("mlp:3").build(
        exampleShape: [4], classes: 5, vocabulary: 7, generator: Generator(seed: 1))
    }
    expectError("no normalisation to choose") { try ModelSpecification("transformer").check(norm: .group(2)) }
    let model = try build("transformer:layers=1,width=4,heads=2")
    expectError("at most 4 positions", "shorten the examples") {
      _ = try model.forward(Tensor.zeros([2, 5]), in: .evaluation())
    }
    expectError("at least one token") { _ = try model.forward(Tensor.zeros([2, 0]), in: .evaluation()) }
    for token in [7, -1] {
      expectError("a token \(token)", "vocabulary is 0 to 6", "larger") {
        _ = try model.forward(Tensor([0, token], shape: [1, 2]), in: .evaluation())
      }
    }
    expectError("cannot predict every token of 7", "5 classes", "example: token") {
      _ = try ModelSpecification("transformer").build(
        exampleShape: [4], classes: 5, vocabulary: 7, predictsAll: true, generator: Generator(seed: 1))
    }
  }

  /// What follows a position has no say in it: the model of the first tokens is that of all.
  @Test func theLastLogitsOfABeginningAreThoseOfIt() throws {
    let factory = LayerFactory(
      norm: .batch, weights: TokenTransformer.weights, initializer: nil, generator: try Generator(seed: 3))
    let specification = try #require(ModelSpecification("transformer:layers=2,width=6,heads=2").transformer)
    let model = try TokenTransformer(
      specification, positions: 5, vocabulary: 7, classes: 4, padding: 0, factory: factory)
    let short = try model.forward(Tensor([3, 1, 2], shape: [1, 3]), in: .evaluation())
    // Padding behind them changes nothing either.
    let padded = try model.forward(Tensor([3, 1, 2, 0, 0], shape: [1, 5]), in: .evaluation())
    try expectClose(padded, short.values(as: Double.self), shape: [1, 4], rtol: 1e-5, atol: 1e-6)
    // One example without a token is no harm beside others; alone it is a mistake.
    let beside = try model.forward(Tensor([3, 1, 2, 0, 0, 0], shape: [2, 3]), in: .evaluation())
    try expectClose(
      beside.narrow(0, from: 0, length: 1), short.values(as: Double.self), shape: [1, 4], rtol: 1e-5, atol: 1e-6)
    #expect(try beside.isFinite().all().values() == [true])
    expectError("nothing but padding", "the token 0") {
      _ = try model.forward(Tensor([0, 0, 0, 0], shape: [2, 2]), in: .evaluation())
    }
    let other = try model.forward(Tensor([3, 1, 4], shape: [1, 3]), in: .evaluation())
    #expect(try other.values(as: Float.self) != short.values(as: Float.self))
  }

  /// The loss of a sequence is the mean of the losses of its tokens, each from a pass over what comes before it.
  @Test(arguments: ["", ",tied=yes"]) func everyTokenIsPredictedFromThoseBefore(_ tied: String) throws {
    let word = try ModelSpecification("transformer:layers=1,width=6,heads=2" + tied)
    func build(_ predictsAll: Bool) throws -> any Module {
      let model = try word.build(
        exampleShape: [4], classes: 7, vocabulary: 7, predictsAll: predictsAll, generator: Generator(seed: 5))
      _ = try ParameterStore(model, dtype: .float64)
      return model
    }
    let (all, one) = try (build(true), build(false))
    let (tokens, labels) = ([[3, 1, 2, 6], [0, 0, 5, 4]], [2, 0])
    let context = ForwardContext.evaluation()
    let logits = try all.forward(Tensor(tokens.flatMap { $0 }, shape: [2, 4]), in: context)
    let losses = try context.completed(logits.crossEntropy(targets: Tensor(labels)))
    let expected = try zip(tokens, labels).map { tokens, label -> Double in
      let each = try (1...4).map { count -> Double in
        let before = try Tensor(Array(tokens.prefix(count)), shape: [1, count])
        let target = count < 4 ? tokens[count] : label
        return try one.forward(before, in: .evaluation()).crossEntropy(targets: Tensor([target])).sum().item()
      }
      return each.reduce(0.0, +) / 4
    }
    try expectClose(losses, expected, shape: [2], rtol: 1e-11, atol: 1e-12)
    // A model that has no losses of its own leaves those of its output as they are.
    let plain = ForwardContext.evaluation()
    _ = try one.forward(Tensor([3, 1], shape: [1, 2]), in: plain)
    #expect(try plain.completed(Tensor([0.5])).values(as: Double.self) == [0.5])
  }

  /// A file may have the table of a tied model twice, if both are the same, and under either name.
  @Test func tiedWeightsOfAFileHaveOneValue() throws {
    let word = try ModelSpecification("transformer:layers=1,width=4,heads=2,tied=yes")
    func build(_ seed: UInt64) throws -> any Module {
      try word.build(exampleShape: [3], classes: 5, vocabulary: 5, generator: Generator(seed: seed))
    }
    let (source, target) = try (build(1), build(2))
    var tensors = Dictionary(uniqueKeysWithValues: source.namedParameters.map { ($0.name, $0.parameter.value) })
    let table = try #require(tensors["embedding.weight"])
    #expect(target.sharedParameterNames.map(\.name) == ["head.weight"])
    func load() throws { try PretrainedWeights(tensors: tensors, source: "w.safetensors").load(into: target, word) }
    for names in [["embedding.weight"], ["head.weight"], ["embedding.weight", "head.weight"]] {
      for name in ["embedding.weight", "head.weight"] { tensors[name] = names.contains(name) ? table : nil }
      for (_, parameter) in target.namedParameters { try parameter.value.detach().fill(0) }
      try load()
      let loaded = try #require(target.namedParameters.first { $0.name == "embedding.weight" })
      #expect(try loaded.parameter.value.values(as: Float.self) == table.values(as: Float.self))
    }
    for other in [try table.detach() * 2, try Tensor.zeros([6, 4])] {
      tensors["head.weight"] = other
      expectError("w.safetensors", "embedding.weight and head.weight differ", "without tied weights") { try load() }
    }
    // Where nothing is tied, two names are two tensors.
    let untied = try ModelSpecification("transformer:layers=1,width=4,heads=2").build(
      exampleShape: [3], classes: 5, vocabulary: 5, generator: Generator(seed: 1))
    #expect(untied.sharedParameterNames.isEmpty)
  }

  @Test func dropoutNeedsAGeneratorInTrainingAlone() throws {
    let model = try build("transformer:layers=1,width=4,heads=2,dropout=0.5")
    let input = try Tensor([1, 2, 3, 4], shape: [1, 4])
    let calm: [Float] = try model.forward(input, in: .evaluation()).values()
    let wild = try model.forward(input, in: ForwardContext(isTraining: true, generator: Generator(seed: 1)))
    #expect(try wild.values(as: Float.self) != calm)
    #expect(throws: TensorError.self) { try model.forward(input, in: ForwardContext(isTraining: true)) }
  }
}

@Suite struct VisionTransformerTests {
  private static let name = "encoder.layers.encoder_layer_11.self_attention.out_proj.bias"

  @Test func namesAndShapesAreThoseOfTorchvision() throws {
    let model = try ModelSpecification("vit_tiny").build(
      exampleShape: [3, 32, 32], classes: 10, initializer: .pytorch, generator: Generator(seed: 1))
    let shapes = Dictionary(uniqueKeysWithValues: model.namedParameters.map { ($0.name, $0.parameter.shape) })
    #expect(shapes["class_token"] == [1, 1, 192] && shapes["conv_proj.weight"] == [192, 3, 4, 4])
    #expect(shapes["encoder.pos_embedding"] == [1, 65, 192])
    #expect(shapes["encoder.layers.encoder_layer_0.self_attention.in_proj_weight"] == [576, 192])
    #expect(shapes["encoder.layers.encoder_layer_3.mlp.0.weight"] == [768, 192])
    #expect(shapes["encoder.layers.encoder_layer_3.mlp.3.weight"] == [192, 768])
    #expect(shapes[Self.name] == [192] && shapes["encoder.ln.weight"] == [192])
    #expect(shapes["heads.head.weight"] == [10, 192] && shapes.count == 152)
    #expect(try model.forward(Tensor.zeros([2, 3, 32, 32]), in: .evaluation()).shape == [2, 10])
  }

  @Test func theSummaryHasEveryParameter() throws {
    let model = try ModelSpecification("transformer:layers=2,width=8,heads=2").build(
      exampleShape: [3], classes: 5, vocabulary: 7, generator: Generator(seed: 1))
    let summary = try ModelSummary(of: model, exampleShape: [3])
    #expect(summary.layers.reduce(0) { $0 + $1.parameters } == model.parameterCount)
    let attention = try #require(summary.layers.first { $0.kind == "MultiheadAttention" })
    #expect(attention.parameters == 3 * 8 * 9 && attention.flops == 2 * 3 * 8 * 24 + 2 * 2 * 3 * 3 * 8)
  }

  @Test func theSummaryHasParametersOfTheModelItself() throws {
    let model = try ModelSpecification("vit_tiny").build(
      exampleShape: [3, 8, 8], classes: 2, initializer: .pytorch, generator: Generator(seed: 1))
    let summary = try ModelSummary(of: model, exampleShape: [3, 8, 8])
    #expect(summary.layers.reduce(0) { $0 + $1.parameters } == model.parameterCount)
    #expect(summary.layers.last?.name == "(the model itself)" && summary.layers.last?.parameters == 192)
  }

  @Test func imagesHaveToDivideIntoPatches() {
    for (word, shape) in [("vit_tiny", [3, 30, 32]), ("vit_b_16", [3, 40, 32])] {
      #expect {
        try ModelSpecification(word).build(exampleShape: shape, classes: 2, generator: Generator(seed: 1))
      } throws: { error in
        "\(error)".contains("does not divide into") && "\(error)".contains("image-size")
      }
    }
  }
}
