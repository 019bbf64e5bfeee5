// SPDX-License-Identifier: Apache-2.0

import Tensors

/// How batch normalisation behaves while per-example gradients are taken. Statistics over the batch couple examples,
/// so "the gradient of one example" needs one of these, and every result names it.
public enum BatchNormPolicy: String, Sendable, Codable, CaseIterable {
  /// Frozen at the running statistics, as in evaluation.
  case running
  /// The batch's own statistics, taken as constants.
  case batch
}

/// Records, during one forward pass, what each layer with parameters was applied to; after the backward pass it also
/// knows the gradient at each output. A layer's block of the gradient matrix follows from the two.
public final class GradientTape {
  /// One application of a layer.
  public struct Entry {
    /// The layer.
    public let layer: any Module
    /// Which of the layer's records it is, for a layer that leaves several in one application; empty otherwise.
    public let name: String
    /// Its factors.
    public let slot: FactorSlot
    /// Whether the slot receives the rows of the block themselves, [B, C], as the output gradient.
    public let isExplicit: Bool
  }

  /// The applications in the order of the forward pass.
  public private(set) var entries: [Entry] = []
  /// What batch normalisation did.
  public let batchNormPolicy: BatchNormPolicy

  /// Called with every application of a layer that leaves factors in its slot, before they are there.
  public var onRecord: ((_ layer: any Module, _ slot: FactorSlot) throws -> Void)?

  /// An empty tape.
  public init(batchNormPolicy: BatchNormPolicy = .running) { self.batchNormPolicy = batchNormPolicy }

  /// A slot for an application of a layer, to be filled by the layer's own operation.
  public func slot(for layer: any Module) throws -> FactorSlot {
    try makeSlot(for: layer, named: "", isExplicit: false)
  }

  /// A slot for an application of a layer whose own operation makes the rows of its block.
  public func rowSlot(for layer: any Module) throws -> FactorSlot {
    try makeSlot(for: layer, named: "", isExplicit: true)
  }

  fileprivate func makeSlot(for layer: any Module, named name: String, isExplicit: Bool) throws -> FactorSlot {
    let slot = try FactorSlot()
    entries.append(Entry(layer: layer, name: name, slot: slot, isExplicit: isExplicit))
    return slot
  }
}

extension ForwardContext {
  /// Records an application of a layer: what it was applied to and what came out. Layers call this on their output,
  /// before any activation; without a tape it returns the output as it is.
  ///
  /// - Parameter name: which record it is, for a layer that leaves several in one application.
  public func record(_ layer: any Module, named name: String = "", input: Tensor, output: Tensor) throws -> Tensor {
    guard let tape else { return output }
    let slot = try tape.makeSlot(for: layer, named: name, isExplicit: false)
    try tape.onRecord?(layer, slot)
    return try output.tappedOutput(slot, input: input)
  }
}
