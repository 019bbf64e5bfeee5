// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// How large a transformer is.
struct EncoderShape: Sendable, Equatable {
  /// The number of layers.
  var layers: Int
  /// D, the numbers of a position.
  var width: Int
  /// H, a divisor of D.
  var heads: Int
  /// The hidden numbers of the perceptron in each layer.
  var hidden: Int
  /// Whether a position sees only itself and those before it.
  var isCausal = false
  /// The probability with which numbers are dropped in training.
  var dropout = 0.0

  /// The parameters of the layers and the last normalisation, as a number that cannot overflow.
  var parameterCount: Double {
    let (width, hidden) = (Double(width), Double(hidden))
    let attention = 4 * width * (width + 1)
    let perceptron = 2 * width * hidden + width + hidden
    return Double(layers) * (attention + perceptron + 4 * width) + 2 * width
  }
}

/// A layer of a transformer, its normalisations before attention and perceptron (Dosovitskiy et al., An Image is Worth
/// 16×16 Words, 2021, eq. 2 and 3): y = x + attention(norm(x)), z = y + perceptron(norm(y)), the perceptron with one
/// hidden layer and GELU.
final class EncoderLayer: Module {
  private let ln1: LayerNorm
  private let attention: MultiheadAttention
  private let dropout: Dropout
  private let ln2: LayerNorm
  private let mlp: Sequential

  init(_ shape: EncoderShape, epsilon: Double, layers: LayerFactory) throws {
    ln1 = try LayerNorm(size: shape.width, epsilon: epsilon)
    attention = try layers.attention(shape)
    dropout = try layers.dropout(shape.dropout)
    ln2 = try LayerNorm(size: shape.width, epsilon: epsilon)
    mlp = Sequential(
      try layers.linear(shape.width, shape.hidden), Activation(.gelu), try layers.dropout(shape.dropout),
      try layers.linear(shape.hidden, shape.width), try layers.dropout(shape.dropout))
    if layers.shrinksResiduals {
      // Of n terms that are added up, each has 1/n of the variance (Radford et al., 2019, §2.3).
      let share = 1 / Double(2 * shape.layers).squareRoot()
      let last = mlp.steps.compactMap { $0.module as? Linear }.last
      for weight in [attention.output.weight, last?.weight].compactMap({ $0 }) {
        try weight.value.detach().multiply(by: share)
      }
    }
  }

  var members: [ModuleMember] {
    [
      .module("ln_1", ln1), .module("self_attention", attention), .module("ln_2", ln2), .module("mlp", mlp),
    ]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try forward(input, visible: nil, in: context)
  }

  func forward(_ input: Tensor, visible: Tensor?, in context: ForwardContext) throws -> Tensor {
    let normal = try ln1(input, in: context)
    let attended = try attention.forward(normal, visible: visible, in: context)
    context.observer?(attention, normal, attended)
    let middle = try input + dropout(attended, in: context)
    return try middle + mlp(ln2(middle, in: context), in: context)
  }
}

/// The layers of a transformer with the positions before and a normalisation after them: norm(layers(x + p)), for p a
/// vector for each position, learned. By torchvision's names.
///
/// Its own per-example rule: row i of p is the gradient at what it was added to.
final class Encoder: FactoredModule {
  /// p, [1, T, D].
  let positions: Parameter
  private let dropout: Dropout
  private let layers: [EncoderLayer]
  private let sequence: Sequential
  private let ln: LayerNorm

  /// - Parameters:
  ///   - shape: how large it is.
  ///   - positionCount: T, the most positions that an example can have.
  ///   - epsilon: added to the variance by normalisations.
  ///   - factory: makes the layers; positions are normal with σ = 0.02.
  init(_ shape: EncoderShape, positionCount: Int, epsilon: Double, factory: LayerFactory) throws {
    positions = try Parameter(
      .normal([1, positionCount, shape.width], standardDeviation: 0.02, generator: factory.generator))
    dropout = try factory.dropout(shape.dropout)
    layers = try (0..<shape.layers).map { _ in try EncoderLayer(shape, epsilon: epsilon, layers: factory) }
    sequence = Sequential(layers.enumerated().map { ("encoder_layer_\($0.offset)", $0.element) })
    ln = try LayerNorm(size: shape.width, epsilon: epsilon)
  }

  var members: [ModuleMember] {
    [
      .parameter("pos_embedding", positions), .module("dropout", dropout), .module("layers", sequence),
      .module("ln", ln),
    ]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try forward(input, visible: nil, in: context)
  }

  /// - Parameters:
  ///   - input: x, [B, t, D] with t at most T.
  ///   - visible: [B, t], true at the positions that can be seen; nil for all.
  ///   - context: what the pass needs beside its input.
  func forward(_ input: Tensor, visible: Tensor?, in context: ForwardContext) throws -> Tensor {
    let (most, width) = (positions.shape[1], positions.shape[2])
    guard input.rank == 3, input.size(2) == width, input.size(1) <= most else {
      throw TensorError(
        kind: .invalid, operation: "Encoder", operands: [input.summary],
        reason: "the model was made for at most \(most) positions of \(width) numbers: shorten the examples, or make "
          + "the model for longer ones")
    }
    let count = input.size(1)
    let own = try context.value(of: positions).narrow(1, from: 0, length: count).expand(input.shape)
    let placed = try context.record(self, input: input, output: own)
    var value = try dropout(input + placed, in: context)
    for layer in layers {
      let output = try layer.forward(value, visible: visible, in: context)
      context.observer?(layer, value, output)
      value = output
    }
    return try ln(value, in: context)
  }

  /// Rows δᵢ of all positions, 0 at those beyond the example's.
  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    let shape = positions.shape
    return try records.block { _, outputGradient in
      let (batch, count) = (outputGradient.size(0), outputGradient.size(1))
      let rows = try outputGradient.reshape([batch, count * shape[2]])
      let rest = (shape[1] - count) * shape[2]
      guard rest > 0 else { return RowsBlock(try rows.contiguous()) }
      let zeros = try Tensor.zeros([batch, rest], dtype: rows.dtype, device: rows.device)
      return RowsBlock(try Tensor.concatenate([rows, zeros], dimension: 1))
    }
  }
}
