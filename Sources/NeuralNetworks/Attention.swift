// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import Tensors

/// Self-attention with several heads (Vaswani et al., Attention Is All You Need, 2017, §3.2): of heads h with their parts
/// of queries Q, keys K and values V, each T × D/H,
///
///     y = concat_h(softmax(Q_h·K_hᵀ/√(D/H) + M)·V_h)·Oᵀ + o,   [Q K V] = x·Wᵀ + b
///
/// where M is −∞ at the keys that a query does not see. The projections of queries, keys and values are packed in one
/// matrix, by PyTorch's names.
///
/// W and b follow the per-example rule of a linear layer over positions, and so do O and o, which are a layer inside:
/// all that lies between has no parameters.
public final class MultiheadAttention: PartitionedModule {
  /// W, [3·D, D]: the rows of queries, keys and values, each head by head.
  public let projection: Parameter
  /// b, [3·D].
  public let projectionBias: Parameter
  /// O and o.
  public let output: Linear
  /// H.
  public let heads: Int
  /// Whether a position sees only itself and those before it.
  public let isCausal: Bool
  /// D.
  public var width: Int { projection.shape[1] }

  /// What the score of a hidden key is lowered by, in place of ∞: a softmax leaves nothing of it, and a query that sees no
  /// key at all stays finite.
  private static let lowering = 1e30

  /// A layer with b = 0 and o = 0.
  ///
  /// - Parameters:
  ///   - width: D, the size of the last dimension of input and output.
  ///   - heads: H, a divisor of D.
  ///   - isCausal: whether a position sees only itself and those before it.
  ///   - initializer: how W and O are drawn; each third of W is a matrix of its own.
  ///   - generator: the source of the draws.
  /// - Throws: `TensorError` when the heads do not divide the width, or memory runs out.
  public init(
    width: Int, heads: Int, isCausal: Bool = false, initializer: Initializer = .xavierUniform, generator: Generator
  ) throws {
    guard width >= 1, heads >= 1, width.isMultiple(of: heads) else {
      throw TensorError(
        kind: .invalid, operation: "MultiheadAttention",
        reason: "a width of \(width) does not divide into \(heads) heads: choose a width that is a multiple of heads")
    }
    let thirds = try (0..<3).map { _ in
      try initializer.weight([width, width], fanIn: width, fanOut: width, generator: generator)
    }
    projection = try Parameter(Tensor.concatenate(thirds))
    projectionBias = try Parameter(.zeros([3 * width]))
    output = try Linear(
      weight: Parameter(initializer.weight([width, width], fanIn: width, fanOut: width, generator: generator)),
      bias: Parameter(.zeros([width])))
    (self.heads, self.isCausal) = (heads, isCausal)
  }

  /// W, b, and the layer of O and o.
  public var members: [ModuleMember] {
    [
      .parameter("in_proj_weight", projection), .parameter("in_proj_bias", projectionBias),
      .module("out_proj", output),
    ]
  }

  /// [B, T, D] to the same: every key is seen, or with `isCausal` every one that is not behind its query.
  public func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try forward(input, visible: nil, in: context)
  }

  /// The same where some positions are padding.
  ///
  /// - Parameters:
  ///   - input: x, [B, T, D].
  ///   - visible: [B, T], true at the positions that can be seen as keys; nil for all. A query that sees none gets o.
  ///   - context: what the pass needs beside its input.
  /// - Throws: `TensorError` when shapes do not fit.
  public func forward(_ input: Tensor, visible: Tensor?, in context: ForwardContext) throws -> Tensor {
    guard input.rank == 3, input.size(2) == width else {
      throw TensorError(
        kind: .invalid, operation: "MultiheadAttention", operands: [input.summary],
        reason: "the input must have the shape [examples, positions, \(width)]")
    }
    let (batch, count, size) = (input.size(0), input.size(1), width / heads)
    let packed = try context.linear(input, weight: projection, bias: projectionBias, of: self)
    // [3, B, H, T, D/H].
    let parts = try packed.reshape([batch, count, 3, heads, size]).permute([2, 0, 3, 1, 4])
    let scores =
      try context.matmul(parts.select(0, 0), parts.select(0, 1).transpose()) * (1 / Double(size).squareRoot())
    let shares = try Self.shares(scores, mask: mask(of: scores, visible: visible), canBeBlind: visible != nil)
    let mixed = try context.matmul(shares, parts.select(0, 2)).permute([0, 2, 1, 3]).reshape([batch, count, width])
    return try output(mixed, in: context)
  }

  /// rowᵢ = Σₜ δᵢₜ ⊗ xᵢₜ over positions t for W, and Σₜ δᵢₜ for b, with δ the gradient at [Q K V].
  public func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.linearBlock(hasBias: true)
  }

  /// The heads: of each the rows of W and the numbers of b that make its queries, keys and values. What of O it is
  /// multiplied by is not in it.
  public var columnParts: [(name: String, columns: [Range<Int>])] {
    let size = width / heads
    return (0..<heads).map { head in
      let rows = (0..<3).map { third in
        let first = third * width + head * size
        return first..<first + size
      }
      let weights = rows.map { $0.lowerBound * width..<$0.upperBound * width }
      let biases = rows.map { 3 * width * width + $0.lowerBound..<3 * width * width + $0.upperBound }
      return ("head_\(head)", weights + biases)
    }
  }

  /// softmax(scores) over the keys that are seen, [B, H, T, T]; 0 throughout for a query that `canBeBlind` and sees none.
  private static func shares(_ scores: Tensor, mask: Tensor?, canBeBlind: Bool) throws -> Tensor {
    guard let mask else { return try scores.softmax() }
    let shares = try (scores + (mask + -1) * lowering).softmax()
    return canBeBlind ? try shares * mask : shares
  }

  /// 1 where a query sees a key and 0 elsewhere, in a shape that broadcasts to [B, H, T, T]; nil where all see all.
  private func mask(of scores: Tensor, visible: Tensor?) throws -> Tensor? {
    let (batch, count, dtype) = (scores.size(0), scores.size(3), try scores.dtype)
    var mask: Tensor?
    if isCausal, count > 1 {
      let places = try Tensor.arange(0..<count, device: scores.device)
      mask = try places.unsqueeze(0).greater(places.unsqueeze(1)).logicalNot().to(dtype)
    }
    guard let visible else { return mask }
    guard visible.shape == [batch, count] else {
      throw TensorError(
        kind: .invalid, operation: "MultiheadAttention", operands: [visible.summary],
        reason: "what is visible must have the shape of examples and positions, [\(batch), \(count)]")
    }
    let keys = try visible.to(dtype).reshape([batch, 1, 1, count])
    return try mask.map { try $0 * keys } ?? keys
  }
}
