// SPDX-License-Identifier: Apache-2.0

import Tensors

extension Module {
  /// As `forward`, and the context's observer hears of it. Modules apply the modules inside them this way.
  public func callAsFunction(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    let output = try forward(input, in: context)
    context.observer?(self, input, output)
    return output
  }
}

extension AffineNormalization {
  /// As `forward(_:adding:relu:in:)`, and the context's observer hears of it.
  public func callAsFunction(
    _ input: Tensor, adding residual: Tensor? = nil, relu: Bool, in context: ForwardContext
  ) throws -> Tensor {
    let output = try forward(input, adding: residual, relu: relu, in: context)
    context.observer?(self, input, output)
    return output
  }
}
