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
public final class BackwardRecorder {
  /// One application of a layer.
  public struct Entry {
    /// The layer.
    public let layer: any Module
    /// Which of the layer's records it is, for a layer that leaves several in one application; empty otherwise.
    public let name: String
    /// Its factors.
    public let capture: BackwardCapture
    /// Whether the capture receives the rows of the block themselves, [B, C], as the output gradient.
    public let isExplicit: Bool
  }

  /// The applications in the order of the forward pass.
  public private(set) var entries: [Entry] = []
  /// What batch normalisation did.
  public let batchNormPolicy: BatchNormPolicy

  /// Called with every application of a layer that leaves factors in its capture, before they are there.
  public var onRecord: ((_ layer: any Module, _ capture: BackwardCapture) throws -> Void)?

  /// An empty recorder.
  public init(batchNormPolicy: BatchNormPolicy = .running) { self.batchNormPolicy = batchNormPolicy }

  /// A capture for an application of a layer, to be filled by the layer's own operation.
  public func capture(for layer: any Module) throws -> BackwardCapture {
    try makeCapture(for: layer, named: "", isExplicit: false)
  }

  /// A capture for an application of a layer whose own operation makes the rows of its block.
  public func rowCapture(for layer: any Module) throws -> BackwardCapture {
    try makeCapture(for: layer, named: "", isExplicit: true)
  }

  fileprivate func makeCapture(for layer: any Module, named name: String, isExplicit: Bool) throws -> BackwardCapture {
    let capture = try BackwardCapture()
    entries.append(Entry(layer: layer, name: name, capture: capture, isExplicit: isExplicit))
    return capture
  }
}

extension ForwardContext {
  /// Records an application of a layer: what it was applied to and what came out. Layers call this on their output,
  /// before any activation; without a recorder it returns the output as it is.
  ///
  /// - Parameters:
  ///   - layer: the layer.
  ///   - name: which record it is, for a layer that leaves several in one application.
  ///   - input: what it was applied to.
  ///   - output: what came out.
  public func record(_ layer: any Module, named name: String = "", input: Tensor, output: Tensor) throws -> Tensor {
    guard let recorder else { return output }
    let capture = try recorder.makeCapture(for: layer, named: name, isExplicit: false)
    try recorder.onRecord?(layer, capture)
    return try output.capturingBackward(capture, input: input)
  }
}
