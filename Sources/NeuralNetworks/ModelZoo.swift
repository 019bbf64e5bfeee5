// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A model asked for by name cannot be made, or weights do not belong to it.
public struct ModelError: Error, CustomStringConvertible, Sendable {
  /// The reason and the remedy.
  public let description: String
  /// An error with a sentence for the user.
  public init(_ description: String) { self.description = description }
}

/// A model as a word on the command line: "mlp:2048", "linear", "resnet32".
public struct ModelSpecification: Sendable, Equatable, CustomStringConvertible {
  private enum Kind: Equatable {
    case perceptron([Int])
    case image(String)
  }

  private let kind: Kind

  /// Widths of the hidden layers of a multi-layer perceptron; none for other models.
  public var hidden: [Int] { if case .perceptron(let widths) = kind { widths } else { [] } }

  /// The architecture for images that the word names; nil for perceptrons.
  public var entry: ModelEntry? { if case .image(let name) = kind { ModelCatalog.entry(named: name) } else { nil } }

  /// The dotted name of the last layer, which makes the logits.
  public var head: String { entry?.head ?? "fc\(hidden.count + 1)" }

  /// How a perceptron's weights are drawn unless chosen otherwise; nil for architectures that have ways of their own.
  public var usualInitializer: Initializer? { entry == nil ? .xavierScaled : nil }

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
    guard parts[0] == "mlp" else {
      let known = ModelCatalog.all.map(\.name)
      let hint = nearest(to: text, in: known + ["linear", "mlp"]).map { "did you mean \"\($0)\"? Known models:" }
      throw ModelError(
        "there is no model \"\(text)\"; \(hint ?? "known models:") mlp:WIDTH[,WIDTH...] (such as mlp:2048), linear, "
          + known.joined(separator: ", "))
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
    case .perceptron(let widths): widths.isEmpty ? "linear" : "mlp:" + widths.map(String.init).joined(separator: ",")
    }
  }

  /// Checks what can be checked without the data.
  ///
  /// - Throws: `ModelError` when the model has no normalisation to choose.
  public func check(norm: NormalizationChoice) throws {
    guard norm != .batch, entry?.hasNormalization != true else { return }
    let remedy = ModelCatalog.entry(named: description + "_bn").map { "; \($0.name) has one" } ?? ""
    throw ModelError("norm \(norm) does not apply to \(description), which has no normalisation\(remedy)")
  }

  /// Checks that examples fit the model.
  ///
  /// - Parameters:
  ///   - exampleShape: the extents of one example: channels × height × width for images.
  ///   - source: what the examples belong to, for the message.
  /// - Throws: `ModelError` that says what the model takes and what was given.
  public func check(exampleShape: [Int], of source: String = "the input") throws {
    let given = exampleShape.map(String.init).joined(separator: "×")
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

  /// The number of a perceptron's parameters, for examples of so many values; nil for other models, and when there are
  /// more than can be counted.
  public func perceptronParameterCount(inputs: Int, classes: Int) -> Int? {
    guard entry == nil else { return nil }
    var (total, width) = (0.0, Double(inputs))
    for next in hidden + [classes] {
      total += (width + 1) * Double(next)
      width = Double(next)
    }
    return total < 1e17 ? Int(exactly: total.rounded()) : nil
  }

  /// Builds the model: fully connected layers fc1, fc2, ... with ReLU between them for a perceptron, else the named
  /// architecture with torchvision's parameter names.
  ///
  /// - Parameters:
  ///   - exampleShape: the extents of one example: channels × height × width for images.
  ///   - classes: the number of logits.
  ///   - norm: which normalisation follows convolutions.
  ///   - initializer: how weights are drawn; by default as the architecture's authors or torchvision draw them, and
  ///     `xavierScaled` for perceptrons.
  ///   - generator: the source of the draws.
  /// - Throws: `ModelError` when examples or normalisation do not fit the model; `TensorError` when memory runs out.
  public func build(
    exampleShape: [Int], classes: Int, norm: NormalizationChoice = .batch, initializer: Initializer? = nil,
    generator: Generator
  ) throws -> any Module {
    try build(
      exampleShape: exampleShape, classes: classes, norm: norm, initializer: initializer, generator: generator,
      drops: true)
  }

  /// As above; without `drops` neither dropout nor stochastic depth is random.
  func build(
    exampleShape: [Int], classes: Int, norm: NormalizationChoice, initializer: Initializer?, generator: Generator,
    drops: Bool
  ) throws -> any Module {
    try check(norm: norm)
    try check(exampleShape: exampleShape)
    guard let entry else {
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
    var layers = LayerFactory(norm: norm, weights: entry.weights, initializer: initializer, generator: generator)
    layers.drops = drops
    return try entry.make(ImagePlan(channels: exampleShape[0], classes: classes, layers: layers))
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
