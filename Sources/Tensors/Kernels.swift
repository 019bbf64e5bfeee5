// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// The library that computes a product of a linear layer.
public enum ProductBackend: String, Sendable, Codable, CaseIterable {
  /// libtorch's own choice: MKL on x86.
  case native
  /// oneDNN. Its fused ReLU gives 0 for NaN, where libtorch gives NaN.
  case onednn
  /// The tiled kernel of this package, which writes straight into a gradient buffer.
  case tiled

  var native: ct_product {
    switch self {
    case .native: CT_PRODUCT_NATIVE
    case .onednn: CT_PRODUCT_ONEDNN
    case .tiled: CT_PRODUCT_TILED
    }
  }
}

/// Which library computes each of the three products of a linear layer.
///
/// Different libraries sum in different orders, so the plan decides the last bits of a result: it is part of a run's
/// record and repeated on resume.
public struct LinearPlan: Sendable, Codable, Equatable {
  /// input·weightᵀ: native or oneDNN.
  public var forward: ProductBackend
  /// output gradientᵀ·input: any.
  public var weightGradient: ProductBackend
  /// output gradient·weight: native or oneDNN.
  public var inputGradient: ProductBackend

  /// A plan from its three choices.
  public init(forward: ProductBackend, weightGradient: ProductBackend, inputGradient: ProductBackend) {
    (self.forward, self.weightGradient, self.inputGradient) = (forward, weightGradient, inputGradient)
  }

  /// libtorch's own choice throughout.
  public static let native = LinearPlan(forward: .native, weightGradient: .native, inputGradient: .native)

  var native: ct_linear_plan {
    ct_linear_plan(
      forward: forward.native, weight_gradient: weightGradient.native, input_gradient: inputGradient.native)
  }
}

extension Tensor {
  /// activation(self·weightᵀ + bias) as one graph node.
  ///
  /// - Parameters:
  ///   - weight: [out, in]; this tensor is [..., in], the result [..., out].
  ///   - bias: [out].
  ///   - relu: whether max(·, 0) is applied, fused.
  ///   - plan: who computes the products. Operands that are not contiguous float32 on the CPU go the native way.
  ///   - weightView: where ∂weight goes; nil returns it to autograd. Likewise `biasView`.
  ///   - biasView: where the bias' gradient is written; nil for autograd's own.
  ///   - capture: keeps the factors of the parameters' block of the gradient matrix; the parameters then get no gradient.
  /// - Throws: `TensorError` when the shapes do not fit.
  public func linear(
    weight: Tensor, bias: Tensor?, relu: Bool = false, plan: LinearPlan = .native, weightView: GradientView? = nil,
    biasView: GradientView? = nil, capture: BackwardCapture? = nil
  ) throws -> Tensor {
    try withExtendedLifetime((weightView, biasView, capture)) {
      try Tensor.producing("linear", [self, weight] + (bias.map { [$0] } ?? [])) {
        ct_linear(
          $0, pointer, weight.pointer, bias?.pointer, relu ? CT_RELU : CT_IDENTITY, plan.native, weightView?.pointer,
          biasView?.pointer, capture?.pointer)
      }
    }
  }

  /// Overwrites (or adds to) this [out, in] tensor with outputGradientᵀ·input, and `bias` with the column sums of
  /// `outputGradient`: [B, out] and [B, in], contiguous float32 on the CPU.
  ///
  /// - Parameters:
  ///   - outputGradient: [B, out].
  ///   - input: [B, in].
  ///   - bias: [out]; nil for no column sums.
  ///   - product: who computes the product: the tiled kernel in one pass over both, anything else libtorch's choice.
  ///   - accumulating: whether to add to what is there.
  /// - Throws: `TensorError` when shapes, types or layouts do not fit.
  public func setWeightGradient(
    outputGradient: Tensor, input: Tensor, bias: Tensor? = nil, product: ProductBackend = .tiled,
    accumulating: Bool = false
  ) throws {
    let product = product == .tiled ? CT_PRODUCT_TILED : CT_PRODUCT_NATIVE
    try check(
      ct_weight_gradient(pointer, bias?.pointer, outputGradient.pointer, input.pointer, product, accumulating),
      "setWeightGradient", [self, outputGradient, input])
  }

  /// The squared norm of each row (all dimensions but the first), float64 on the CPU, accumulated in double.
  public func rowSquaredNorms() throws -> Tensor { try unary("rowSquaredNorms", ct_row_squared_norms) }

  /// Adds a tensor of the same size to this float64 total, in one pass; not recorded.
  public func accumulate(_ part: Tensor) throws {
    try check(ct_accumulate(pointer, part.pointer), "accumulate", [self, part])
  }

  /// −ln softmax(self)[target] for each example: logits [B, K], targets [B] int64, result [B].
  ///
  /// - Throws: `TensorError` when shapes do not fit or a target is outside 0..<K.
  public func crossEntropy(targets: Tensor) throws -> Tensor { try binary("crossEntropy", targets, ct_cross_entropy) }

  /// Per-example facts of logits [B, K] against targets [B]: the loss, the margin z_y − max_{k≠y} z_k, and the rank of
  /// the target (0 is correct; a tie or NaN counts as wrong). With one class the margin is ∞.
  ///
  /// - Throws: `TensorError` when shapes do not fit or a target is outside 0..<K.
  public func classificationRecords(targets: Tensor) throws -> (losses: [Double], margins: [Double], ranks: [Int]) {
    var losses: OpaquePointer?
    var margins: OpaquePointer?
    var ranks: OpaquePointer?
    try check(
      ct_classification_records(&losses, &margins, &ranks, pointer, targets.pointer), "classificationRecords",
      [self, targets])
    guard let losses, let margins, let ranks else {
      throw TensorError(kind: .internal, operation: "classificationRecords", reason: "no result came back")
    }
    let owned = (Tensor(owning: losses), Tensor(owning: margins), Tensor(owning: ranks))
    return try (owned.0.values(), owned.1.values(), owned.2.values())
  }

  /// scales[c]·table[indices] + offsets[c] as float32 [indices.count, features], where a row is as many planes of equal
  /// size as there are scales, and c is the plane of a value. Both operations are rounded. On another device than the
  /// host the result arrives while the host goes on.
  ///
  /// - Throws: `TensorError` when an index is outside the table, or a row is not a whole number of planes.
  public static func gatherRows(
    _ table: UnsafeRawBufferPointer, features: Int, indices: [Int], scales: [Float], offsets: [Float],
    device: Device = .cpu
  ) throws -> Tensor {
    guard scales.count == offsets.count else {
      throw TensorError(
        kind: .invalid, operation: "gatherRows", reason: "\(scales.count) scales for \(offsets.count) offsets")
    }
    let rows = features > 0 ? table.count / features : 0
    return try indices.map(Int64.init).withUnsafeBufferPointer { list in
      try producing("gatherRows") {
        ct_gather_rows(
          $0, table.baseAddress?.assumingMemoryBound(to: UInt8.self), Int64(rows), Int64(features), list.baseAddress,
          Int64(list.count), scales, offsets, Int64(scales.count), device.native)
      }
    }
  }
}

/// The constants of one SGD update.
public struct SGDUpdate: Sendable {
  /// η
  public var learningRate: Double
  /// μ
  public var momentum: Double
  /// The share of a gradient kept out of the velocity.
  public var dampening: Double
  /// λ, added to the gradient as λ·w.
  public var weightDecay: Double
  /// Whether the step looks ahead along the velocity.
  public var nesterov: Bool
  /// Whether the velocity starts as this gradient.
  public var isFirst: Bool
  /// Whether the update looks if every parameter is finite still, for which the host waits for a GPU; without, it says that
  /// they are.
  public var isChecked: Bool

  /// Every constant; the defaults are plain gradient descent.
  public init(
    learningRate: Double, momentum: Double = 0, dampening: Double = 0, weightDecay: Double = 0, nesterov: Bool = false,
    isFirst: Bool = false, isChecked: Bool = true
  ) {
    (self.learningRate, self.momentum, self.dampening) = (learningRate, momentum, dampening)
    (self.weightDecay, self.nesterov, self.isFirst) = (weightDecay, nesterov, isFirst)
    self.isChecked = isChecked
  }

  var native: ct_sgd_options {
    ct_sgd_options(
      learning_rate: learningRate, momentum: momentum, dampening: dampening, weight_decay: weightDecay,
      gradient_scale: 1, nesterov: nesterov, first_step: isFirst, unchecked: !isChecked)
  }
}

extension Tensor {
  /// One SGD update of a flat parameter buffer in one pass over memory:
  /// d = g + λw; v = μv + (1 − dampening)d; w −= η·(d, v, or d + μv with Nesterov).
  ///
  /// - Returns: whether every updated parameter is finite.
  /// - Throws: `TensorError` when the buffers are not alike and contiguous.
  public func updateSGD(gradient: Tensor, velocity: Tensor?, _ update: SGDUpdate) throws -> Bool {
    var finite = true
    try check(
      ct_sgd_step(pointer, gradient.pointer, velocity?.pointer, update.native, &finite), "updateSGD", [self, gradient])
    return finite
  }
}
