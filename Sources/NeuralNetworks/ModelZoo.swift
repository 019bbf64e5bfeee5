// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A model asked for by name cannot be made, or weights do not belong to it.
public struct ModelError: Error, CustomStringConvertible, Sendable {
  /// The reason and the remedy.
  public let description: String
  /// An error with a sentence for the user.
  public init(_ description: String) { self.description = description }
}

/// A model as a word on the command line: "mlp:2048", "linear", "resnet32", "transformer:layers=2,width=128,heads=4".
public struct ModelSpecification: Sendable, Equatable, CustomStringConvertible {
  private enum Kind: Equatable {
    case perceptron([Int])
    case image(String)
    case transformer(TransformerSpecification)
  }

  private let kind: Kind

  /// Widths of the hidden layers of a multi-layer perceptron; none for other models.
  public var hidden: [Int] { if case .perceptron(let widths) = kind { widths } else { [] } }

  /// The architecture for images that the word names; nil for perceptrons.
  public var entry: ModelEntry? { if case .image(let name) = kind { ModelCatalog.entry(named: name) } else { nil } }

  /// The transformer for tokens that the word names; nil for other models.
  public var transformer: TransformerSpecification? { if case .transformer(let own) = kind { own } else { nil } }

  /// The dotted name of the last layer, which makes the logits.
  public var head: String { entry?.head ?? (transformer == nil ? "fc\(hidden.count + 1)" : "head") }

  /// How a perceptron's weights are drawn unless chosen otherwise; nil for architectures that have ways of their own.
  public var usualInitializer: Initializer? { if case .perceptron = kind { .xavierScaled } else { nil } }

  /// The largest layer that is accepted; more is a slip of the keyboard.
  private static let widest = 1 << 20

  /// Parses the word.
  ///
  /// - Throws: `ModelError` that names what was expected.
  public init(_ text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    if text == "linear" {
      kind = .perceptron([])
      return
    }
    if ModelCatalog.entry(named: text) != nil {
      kind = .image(text)
      return
    }
    if parts[0] == TransformerSpecification.name {
      kind = .transformer(try TransformerSpecification(parts.count > 1 ? parts[1][...] : "", of: text))
      return
    }
    guard parts[0] == "mlp" else {
      let known = ModelCatalog.all.map(\.name)
      let words = known + ["linear", "mlp", TransformerSpecification.name]
      let hint = nearest(to: text, in: words).map { "did you mean \"\($0)\"? Known models:" }
      throw ModelError(
        "there is no model \"\(text)\"; \(hint ?? "known models:") mlp:WIDTH[,WIDTH...] (such as mlp:2048), linear, "
          + known.joined(separator: ", ") + ", \(TransformerSpecification.usage)")
    }
    let widths = (parts.count > 1 ? parts[1] : "").split(separator: ",", omittingEmptySubsequences: false)
    kind = .perceptron(
      try widths.map { word in
        guard let width = Int(word), width > 0, width <= Self.widest else {
          throw ModelError(
            "model \"\(text)\": \"\(word)\" is not a layer width; write mlp:WIDTH[,WIDTH...] with widths from 1 to "
              + "\(Self.widest), such as mlp:256,256,256")
        }
        return width
      })
  }

  /// The word it was parsed from.
  public var description: String {
    switch kind {
    case .image(let name): name
    case .transformer(let own): own.description
    case .perceptron(let widths): widths.isEmpty ? "linear" : "mlp:" + widths.map(String.init).joined(separator: ",")
    }
  }

  /// Checks what can be checked without the data.
  ///
  /// - Throws: `ModelError` when the model has no normalisation to choose.
  public func check(norm: NormalizationChoice) throws {
    guard norm != .batch, entry?.hasNormalization != true else { return }
    let remedy = ModelCatalog.entry(named: description + "_bn").map { "; \($0.name) has one" } ?? ""
    let what = transformer == nil && entry?.head != "heads.head" ? "no normalisation" : "no normalisation to choose"
    throw ModelError("norm \(norm) does not apply to \(description), which has \(what)\(remedy)")
  }

  /// Checks that examples fit the model.
  ///
  /// - Parameters:
  ///   - exampleShape: the extents of one example: channels × height × width for images, the number of tokens for tokens.
  ///   - source: what the examples belong to, for the message.
  ///   - vocabulary: the number of different tokens; nil where the examples are no tokens.
  /// - Throws: `ModelError` that says what the model takes and what was given.
  public func check(exampleShape: [Int], of source: String = "the input", vocabulary: Int? = nil) throws {
    let given = exampleShape.map(String.init).joined(separator: "×")
    guard transformer == nil else {
      guard let vocabulary, exampleShape.count == 1, exampleShape[0] >= 1 else {
        throw ModelError(
          "\(description) needs examples of tokens, such as those of modular:97; \(source) has \(given) numbers")
      }
      guard vocabulary >= 1 else { throw ModelError("\(description) needs a vocabulary of at least one token") }
      return
    }
    guard vocabulary == nil else {
      throw ModelError(
        "\(description) takes pictures and other numbers, but the examples of \(source) are tokens; choose a transformer, "
          + "such as \(TransformerSpecification.usage)")
    }
    guard let entry else {
      guard exampleShape.allSatisfy({ $0 >= 1 }) else {
        throw ModelError("\(description) needs examples of at least one value; \(source) has \(given)")
      }
      return
    }
    guard exampleShape.count == 3, exampleShape.allSatisfy({ $0 >= 1 }) else {
      throw ModelError("\(entry.name) needs images, channels × height × width; \(source) has \(given)")
    }
    guard exampleShape[1] >= entry.minimumSide, exampleShape[2] >= entry.minimumSide else {
      let smaller = ["resnet20", "resnet18-32"].joined(separator: " or ")
      throw ModelError(
        "\(entry.name) needs images of at least \(entry.minimumSide)×\(entry.minimumSide), but \(source) has "
          + "\(exampleShape[1])×\(exampleShape[2]); models for small images are \(smaller)")
    }
  }

  /// The number of parameters of a perceptron or a transformer for tokens, whose sizes are the user's; nil for other
  /// models. Sizes beyond 10¹⁷ are 10¹⁷: no machine has them.
  ///
  /// - Parameters:
  ///   - inputs: the values or tokens of an example.
  ///   - classes: the number of logits.
  ///   - vocabulary: the number of different tokens; nil where the examples are no tokens.
  public func parameterCount(inputs: Int, classes: Int, vocabulary: Int? = nil) -> Int? {
    guard entry == nil else { return nil }
    var total = 0.0
    if let transformer {
      total = transformer.parameterCount(positions: inputs, vocabulary: vocabulary ?? 0, classes: classes)
    } else {
      var width = Double(inputs)
      for next in hidden + [classes] {
        total += (width + 1) * Double(next)
        width = Double(next)
      }
    }
    return Int(exactly: min(total, 1e17).rounded())
  }

  /// Builds the model: fully connected layers fc1, fc2, ... with ReLU between them for a perceptron, a transformer for
  /// tokens, or the named architecture with torchvision's parameter names.
  ///
  /// - Parameters:
  ///   - exampleShape: the extents of one example: channels × height × width for images, the number of tokens for tokens.
  ///   - classes: the number of logits.
  ///   - vocabulary: the number of different tokens; nil where the examples are no tokens.
  ///   - predictsAll: whether every token is predicted from those before it, rather than what follows the last alone.
  ///   - norm: which normalisation follows convolutions.
  ///   - initializer: how weights are drawn; by default as the architecture's authors or torchvision draw them, and
  ///     `xavierScaled` for perceptrons.
  ///   - generator: the source of the draws.
  /// - Throws: `ModelError` when examples or normalisation do not fit the model; `TensorError` when memory runs out.
  public func build(
    exampleShape: [Int], classes: Int, vocabulary: Int? = nil, predictsAll: Bool = false,
    norm: NormalizationChoice = .batch, initializer: Initializer? = nil, generator: Generator
  ) throws -> any Module {
    try build(
      exampleShape: exampleShape, classes: classes, vocabulary: vocabulary, predictsAll: predictsAll, norm: norm,
      initializer: initializer, generator: generator, drops: true)
  }

  /// As above; without `drops` neither dropout nor stochastic depth is random.
  func build(
    exampleShape: [Int], classes: Int, vocabulary: Int? = nil, predictsAll: Bool = false, norm: NormalizationChoice,
    initializer: Initializer?, generator: Generator, drops: Bool
  ) throws -> any Module {
    try check(norm: norm)
    try check(exampleShape: exampleShape, vocabulary: vocabulary)
    func factory(_ weights: InitialWeights) -> LayerFactory {
      var layers = LayerFactory(norm: norm, weights: weights, initializer: initializer, generator: generator)
      layers.drops = drops
      return layers
    }
    if let entry {
      return try entry.make(
        ImagePlan(
          channels: exampleShape[0], height: exampleShape[1], width: exampleShape[2], classes: classes,
          layers: factory(entry.weights)))
    }
    if let transformer {
      return try TokenTransformer(
        transformer, positions: exampleShape[0], vocabulary: vocabulary ?? 0, classes: classes,
        predictsAll: predictsAll, factory: factory(TokenTransformer.weights))
    }
    var inputs = 1
    for extent in exampleShape {
      let (product, overflow) = inputs.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw ModelError("\(description): an example of \(exampleShape) is too large") }
      inputs = product
    }
    return try perceptron(
      inputs: inputs, classes: classes, initializer: initializer ?? usualInitializer ?? .xavierScaled,
      generator: generator)
  }

  private func perceptron(
    inputs: Int, classes: Int, initializer: Initializer, generator: Generator
  ) throws -> any Module {
    var steps: [(name: String, module: any Module)] = [("flatten", Flatten())]
    var width = inputs
    for (index, next) in (hidden + [classes]).enumerated() {
      let layer = try Linear(inputs: width, outputs: next, initializer: initializer, generator: generator)
      steps.append(("fc\(index + 1)", layer))
      if index < hidden.count { steps.append(("relu\(index + 1)", Activation(.relu))) }
      width = next
    }
    return Sequential(steps)
  }
}
