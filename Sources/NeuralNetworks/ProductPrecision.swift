// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The numbers that products of matrices and convolutions are computed with, forwards and in the backward pass. Everything
/// else is float32 in any case: the weights that are updated, and what is made of recorded factors, such as per-example
/// gradients and the aggregates that are formed from them.
public enum ProductPrecision: String, Sendable, Codable, CaseIterable {
  /// 24 significant bits.
  case float32
  /// 8 significant bits for operands and results, float32 for the sums in between.
  case bfloat16 = "bf16"

  /// Why a processor should not be asked for it; nil where it has the instructions.
  ///
  /// - Parameters:
  ///   - device: where products are computed.
  ///   - processor: the processor of the host.
  public func problem(on device: Device, processor: Processor = .current) -> String? {
    let instructions = ["avx512_bf16", "amx_bf16", "bf16"]
    guard self == .bfloat16, device == .cpu, !processor.vectorExtensions.contains(where: instructions.contains) else {
      return nil
    }
    return "the processor (\(processor.model)) has no instructions for bfloat16 (avx512_bf16, amx_bf16, or bf16 of ARM)"
  }
}

extension ForwardContext {
  /// Whether products of a tensor are computed in bfloat16.
  func isReduced(_ input: Tensor) throws -> Bool {
    try linearPolicy.precision == .bfloat16 && input.dtype == .float32
  }

  /// A product of rounded operands as float32, recorded as an application of `layer`: the gradients of its weights are those
  /// of the operands that were multiplied.
  ///
  /// - Parameters:
  ///   - layer: the layer.
  ///   - name: which record it is, for a layer that leaves several in one application.
  ///   - input: what the layer is applied to.
  ///   - weight: W.
  ///   - product: the product of both, rounded.
  func reduced(
    _ layer: any Module, named name: String = "", _ input: Tensor, _ weight: Parameter,
    _ product: (_ input: Tensor, _ weight: Tensor) throws -> Tensor
  ) throws -> Tensor {
    let rounded = try input.to(.bfloat16)
    let output = try product(rounded, value(of: weight).to(.bfloat16)).to(.float32)
    return try recorder == nil ? output : record(layer, named: name, input: rounded.to(.float32), output: output)
  }

  /// The product of two batches of matrices, rounded where products are.
  func matmul(_ left: Tensor, _ right: Tensor) throws -> Tensor {
    try isReduced(left) ? left.to(.bfloat16).matmul(right.to(.bfloat16)).to(.float32) : left.matmul(right)
  }
}
