// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The layers of a model as one example passes through them.
public struct ModelSummary: Sendable, Equatable, Codable {
  /// A layer, that is a module with parameters of its own, or another module without modules inside.
  public struct Layer: Sendable, Equatable, Codable {
    /// Its dotted name.
    public let name: String
    /// Its type, such as "Conv2d".
    public let kind: String
    /// The extents of its output for one example.
    public let outputShape: [Int]
    /// The number of its own trainable elements, without those of layers inside.
    public let parameters: Int
    /// Floating-point operations for one example: two for each multiplication and addition of a convolution, linear layer
    /// or attention; other layers count 0.
    public let flops: Int
  }

  /// The layers in the order they are applied.
  public let layers: [Layer]
  /// The number of trainable elements of the model.
  public let parameters: Int
  /// The layers' sum.
  public let flops: Int

  /// Traces a model with one example of zeros, in evaluation mode.
  ///
  /// - Throws: `TensorError` when the model does not take the example.
  public init(of model: any Module, exampleShape: [Int]) throws {
    let names = Dictionary(
      model.namedModules.map { (ObjectIdentifier($0.module), $0.name) }, uniquingKeysWith: { first, _ in first })
    var layers: [Layer] = []
    let context = ForwardContext.evaluation()
    context.observer = { module, input, output in
      let own = module.ownParameterCount
      guard let name = names[ObjectIdentifier(module)], own != nil || !module.hasModules else { return }
      layers.append(
        Layer(
          name: name.isEmpty ? "(the model itself)" : name, kind: String(describing: type(of: module)),
          outputShape: Array(output.shape.dropFirst()),
          parameters: own ?? 0, flops: Self.flops(of: module, output: output)))
    }
    try withoutGradients {
      let input = try Tensor.zeros([1] + exampleShape)
      let output = try model.forward(input, in: context)
      // Nobody else tells of the model itself, which may have parameters of its own.
      if model.hasModules { context.observer?(model, input, output) }
    }
    self.layers = layers
    parameters = model.parameterCount
    flops = layers.reduce(0) { $0 + $1.flops }
  }

  private static func flops(of module: any Module, output: Tensor) -> Int {
    switch module {
    case let layer as Conv2d: 2 * output.count * layer.weight.shape.dropFirst().reduce(1, *)
    case let layer as Linear: 2 * output.count * layer.weight.shape[1]
    // Three projections of each number, then its products with all keys and of all shares with values.
    case let layer as MultiheadAttention: output.count * (6 * layer.width + 4 * output.size(1))
    default: 0
    }
  }
}

extension Module {
  fileprivate var hasModules: Bool { members.contains { if case .module = $0 { true } else { false } } }

  /// The number of its own trainable elements; nil where it has no parameters of its own.
  fileprivate var ownParameterCount: Int? {
    let own = members.compactMap { if case .parameter(_, let parameter) = $0 { parameter.count } else { nil } }
    return own.isEmpty ? nil : own.reduce(0, +)
  }
}
