// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// Runs `body` without recording operations for gradients.
///
/// Grad mode belongs to the thread, so the body is synchronous: an `await` inside could resume elsewhere.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
  let before = ct_set_gradient_mode(false)
  defer { _ = ct_set_gradient_mode(before) }
  return try body()
}

/// Runs `body` with operations recorded for gradients, inside a `withoutGradients` too.
public func withGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
  let before = ct_set_gradient_mode(true)
  defer { _ = ct_set_gradient_mode(before) }
  return try body()
}

extension Tensor {
  /// ∂(Σ weightᵢ·selfᵢ)/∂input for each input, of the input's shape; nil where this tensor does not depend on it.
  ///
  /// - Parameters:
  ///   - inputs: tensors that require gradients and took part in computing this one.
  ///   - weights: of this tensor's shape; may be left out for a scalar.
  ///   - retainGraph: whether the graph stays for another call.
  ///   - createGraph: whether the gradients themselves are recorded, for second derivatives.
  /// - Throws: `TensorError` when this tensor is not part of a graph, or is no scalar and `weights` is missing.
  public func gradients(
    withRespectTo inputs: [Tensor], weights: Tensor? = nil, retainGraph: Bool = false, createGraph: Bool = false
  ) throws -> [Tensor?] {
    guard !inputs.isEmpty else { return [] }
    var results = [OpaquePointer?](repeating: nil, count: inputs.count)
    let pointers = inputs.map(\.pointer)
    try withExtendedLifetime(inputs) {
      try results.withUnsafeMutableBufferPointer { out in
        guard let base = out.baseAddress else { return }
        try pointers.withUnsafeBufferPointer { list in
          try check(
            ct_gradients(
              base, pointer, weights?.pointer, list.baseAddress, Int64(list.count), retainGraph, createGraph),
            "gradients", [self] + (weights.map { [$0] } ?? []) + inputs)
        }
      }
    }
    return results.map { $0.map(Tensor.init(owning:)) }
  }

  /// Runs the backward pass of a scalar so that gradients reach their gradientViews.
  ///
  /// - Throws: `TensorError` when this tensor is no scalar without `weights`, or not part of a graph.
  public func backward(weights: Tensor? = nil) throws {
    try check(ct_backward(pointer, weights?.pointer), "backward", [self] + (weights.map { [$0] } ?? []))
  }
}

/// The place where a parameter's gradient is written by the backward pass: a view of a flat gradient buffer.
///
/// The first write after `arm()` overwrites, later ones add; so shared parameters work, and nobody clears the buffer.
public final class GradientView {
  let pointer: OpaquePointer
  /// The elements that receive the gradient.
  public let destination: Tensor

  /// - Throws: `TensorError` unless the destination is contiguous and outside any graph.
  public init(destination: Tensor) throws {
    pointer = try Tensor.handle("no view came back", "GradientView", [destination]) {
      ct_sink_create($0, destination.pointer)
    }
    self.destination = destination
  }

  deinit { ct_sink_free(pointer) }

  /// Makes the next write overwrite.
  public func arm() { ct_sink_arm(pointer) }

  /// Whether a gradient has arrived since the last arming.
  public var isWritten: Bool { ct_sink_is_written(pointer) }
}

extension Tensor {
  /// This parameter for use in a forward pass; its gradient goes to the gradientView.
  public func writingGradient(_ gradientView: GradientView) throws -> Tensor {
    try Tensor.producing("writingGradient", [self]) { ct_tap($0, pointer, gradientView.pointer) }
  }
}

/// What one application of a layer leaves behind for its block of the gradient matrix: its input, and after the
/// backward pass the gradient at its output (before the activation, where that is fused).
public final class BackwardCapture {
  let pointer: OpaquePointer

  /// An empty capture.
  public init() throws { pointer = try Tensor.handle("no capture came back", "BackwardCapture") { ct_slot_create($0) } }

  deinit { ct_slot_free(pointer) }

  /// Input and output gradient; nil before the backward pass, or when the loss does not depend on the layer.
  public func factors() throws -> (input: Tensor, outputGradient: Tensor)? {
    var input: OpaquePointer?
    var delta: OpaquePointer?
    try check(ct_slot_factors(&input, &delta, pointer), "BackwardCapture.factors")
    guard let input, let delta else { return nil }
    return (Tensor(owning: input), Tensor(owning: delta))
  }

  /// What a visitor of factors is, and what it threw.
  private final class Visitor {
    let body: (Tensor, Tensor) throws -> Void
    var error: (any Error)?
    init(_ body: @escaping (Tensor, Tensor) throws -> Void) { self.body = body }
  }
  private var visitor: Visitor?

  /// What the visitor threw, which ended the backward pass.
  public var visitError: (any Error)? { visitor?.error }

  /// Hands input and output gradient to `body` during the backward pass, as soon as they are there and while they are
  /// still in the processor's caches; the capture keeps neither. Nil takes the visitor back. For captures of `capturingBackward`.
  ///
  /// What `body` throws ends the backward pass with a `TensorError`; the error itself is then in `visitError`.
  public func visit(_ body: ((Tensor, Tensor) throws -> Void)?) throws {
    visitor = body.map { Visitor($0) }
    guard let visitor else { return try check(ct_slot_visit(pointer, nil, nil, nil), "BackwardCapture.visit") }
    let status = ct_slot_visit(
      pointer,
      { context, input, delta in
        let (input, delta) = (Tensor(owning: input), Tensor(owning: delta))
        guard let context else { return false }
        let visitor = Unmanaged<Visitor>.fromOpaque(context).takeUnretainedValue()
        do {
          try visitor.body(input, delta)
          return true
        } catch {
          visitor.error = error
          return false
        }
      },
      Unmanaged.passRetained(visitor).toOpaque(),
      { context in
        if let context { Unmanaged<Visitor>.fromOpaque(context).release() }
      })
    try check(status, "BackwardCapture.visit")
  }
}

extension Tensor {
  /// This output of a layer; its gradient is kept in the capture beside `input`, and passed on.
  public func capturingBackward(_ capture: BackwardCapture, input: Tensor) throws -> Tensor {
    try withExtendedLifetime(capture) {
      try Tensor.producing("capturingBackward", [self, input]) {
        ct_tap_output($0, pointer, input.pointer, capture.pointer)
      }
    }
  }
}
