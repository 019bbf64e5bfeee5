// SPDX-License-Identifier: Apache-2.0

import Tensors

/// All parameters of a module in one flat buffer, and their gradients in another.
///
/// Optimizers and aggregators are then single passes over memory, and a checkpoint is a few arrays. Parameters lie in
/// the order of `namedParameters`, each row-major, without gaps.
public final class ParameterStore {
  /// One parameter's place in the flat buffers.
  public struct Entry {
    /// The dotted name.
    public let name: String
    /// The parameter, whose value is a view of `values`.
    public let parameter: Parameter
    /// Its elements in the flat buffers.
    public let range: Range<Int>
  }

  /// Every parameter's place, in order.
  public let entries: [Entry]
  /// All parameters, [P].
  public let values: Tensor
  /// Where the backward pass puts the gradient.
  private var buffer: GradientBuffer
  /// All gradients, [P]; undefined before the first `backward`, so that measuring alone never makes them resident.
  public var gradient: Tensor { buffer.values }
  /// Whether a parameter that the loss does not depend on has the gradient 0. Without this it is an error that names the
  /// parameter, as most often its layer was meant to be trained: it keeps a tensor from before the store was made, say.
  public var allowsUnusedParameters = false
  /// Whether an update looks if the parameters are finite still, for which the host waits for a GPU. Whoever turns it off
  /// looks later.
  public var checksUpdates = true

  /// Moves a module's parameters into flat buffers on a device. Their values are kept.
  ///
  /// - Parameters:
  ///   - module: the model.
  ///   - device: where the buffers live.
  ///   - converted: the element type that parameters and real-valued buffers are converted to, such as float64 for a
  ///     reference computation; nil keeps theirs.
  /// - Throws: `TensorError` when memory runs out, or the parameters differ in element type.
  public init(_ module: any Module, device: Device = .cpu, dtype converted: DType? = nil) throws {
    let named = module.namedParameters
    let dtype = try converted ?? named.first?.parameter.value.dtype ?? .float32
    // All are looked at before one is moved.
    for (name, parameter) in named where try converted == nil && parameter.value.dtype != dtype {
      throw TensorError(
        kind: .type, operation: "ParameterStore", operands: [parameter.value.summary],
        reason: "parameter \(name) is not \(dtype) like the others")
    }
    let total = named.reduce(0) { $0 + $1.parameter.count }
    let values = try Tensor.empty([total], dtype: dtype, device: device)
    self.values = values
    var entries: [Entry] = []
    var start = 0
    for (name, parameter) in named {
      let count = parameter.count
      let shape = parameter.shape
      let view = try withoutGradients {
        let view = try values.narrow(0, from: start, length: count).reshape(shape)
        try view.copy(from: parameter.value)
        return try view.detach()
      }
      try view.setRequiresGradient(true)
      parameter.value = view
      entries.append(Entry(name: name, parameter: parameter, range: start..<start + count))
      start += count
    }
    self.entries = entries
    buffer = try GradientBuffer(values: .empty([total], dtype: dtype, device: device), entries: entries)
    buffer.takeGradients(of: entries)
    for (_, buffer) in module.namedBuffers {
      let isReal = try ![.int64, .int32, .uint8, .bool].contains(buffer.value.dtype)
      buffer.value = try buffer.value.to(isReal ? converted : nil, device: device)
    }
  }

  private init(_ values: Tensor, frozenRanges: [Range<Int>]) throws {
    self.values = values
    entries = []
    buffer = try GradientBuffer(
      values: .empty([values.count], dtype: values.dtype, device: values.device), entries: [])
    self.frozenRanges = frozenRanges
  }

  /// The store of those parameters that one of several processes updates: `values` is a part of this store's, `gradient`
  /// a buffer of its own. It has no entries, so nothing runs backward into it.
  ///
  /// - Throws: `TensorError` when the range is not one of the parameters'.
  public func shard(_ range: Range<Int>) throws -> ParameterStore {
    try ParameterStore(
      values.narrow(0, from: range.lowerBound, length: range.count),
      frozenRanges: frozenRanges.compactMap {
        let common = $0.clamped(to: range)
        return common.isEmpty ? nil : common.lowerBound - range.lowerBound..<common.upperBound - range.lowerBound
      })
  }

  /// Elements that optimizers leave as they are: those of frozen parameters, ascending; see `freeze`.
  public internal(set) var frozenRanges: [Range<Int>] = []

  /// The number of parameters P.
  public var count: Int { values.count }

  /// A further buffer for gradients, of no defined content.
  public func makeGradientBuffer() throws -> GradientBuffer {
    try GradientBuffer(values: .empty([count], dtype: values.dtype, device: values.device), entries: entries)
  }

  /// Makes another buffer the place of the gradient, and returns the present one: a history of gradients needs no copies.
  ///
  /// - Throws: `TensorError` when the buffer is of another model.
  public func exchangeGradient(with other: GradientBuffer) throws -> GradientBuffer {
    guard other.gradientViews.count == entries.count, other.values.shape == [count] else {
      throw TensorError(
        kind: .invalid, operation: "exchangeGradient", operands: [other.values.summary],
        reason: "the buffer was made for another model")
    }
    defer {
      buffer = other
      other.takeGradients(of: entries)
    }
    return buffer
  }

  /// Runs the backward pass of a scalar loss; `gradient` then holds ∂loss/∂parameter for every parameter.
  ///
  /// The forward pass must have run in a context with `usesGradientViews`, and the layers must have read their parameters with
  /// `ForwardContext.value(of:)`. Parameters that take no gradients get 0, as do those that the loss does not depend on
  /// when `allowsUnusedParameters`.
  ///
  /// - Parameters:
  ///   - loss: a scalar, or of any shape with `weights`.
  ///   - weights: of the loss's shape; the gradient is then that of Σ weightᵢ·lossᵢ.
  /// - Throws: `TensorError` when the loss is no scalar, not part of a graph, or reaches no parameter by its gradientView; when no
  ///   gradient arrived for a parameter, which it names, unless `allowsUnusedParameters`.
  public func backward(_ loss: Tensor, weights: Tensor? = nil) throws {
    for entry in entries { entry.parameter.gradientView?.arm() }
    try loss.backward(weights: weights)
    guard entries.isEmpty || entries.contains(where: { $0.parameter.gradientView?.isWritten == true }) else {
      throw TensorError(
        kind: .invalid, operation: "ParameterStore.backward", operands: [loss.summary],
        reason: "no gradient arrived: run the forward pass in a context with usesGradientViews")
    }
    try checkUsed(loss)
    for entry in entries {
      if let gradientView = entry.parameter.gradientView, !gradientView.isWritten {
        try gradientView.destination.fill(0)
      }
    }
  }

  /// A gradient of 0 for what was meant to be trained would go unnoticed.
  private func checkUsed(_ loss: Tensor) throws {
    guard !allowsUnusedParameters else { return }
    let unused = entries.filter { entry in
      entry.parameter.gradientView.map { !$0.isWritten } ?? false && entry.parameter.value.requiresGradient
    }
    guard !unused.isEmpty else { return }
    let more = unused.count > 3 ? " and \(unused.count - 3) more" : ""
    throw TensorError(
      kind: .invalid, operation: "ParameterStore.backward", operands: [loss.summary],
      reason: "no gradient arrived for \(unused.prefix(3).map(\.name).joined(separator: ", "))\(more): read the "
        + "parameter in every forward pass with context.value(of:), as a tensor kept from before the store was made is not "
        + "trained; if the loss is not meant to depend on it, set allowsUnusedParameters of the store")
  }
}

/// A flat buffer that the gradient can be written to.
public final class GradientBuffer {
  /// [P].
  public let values: Tensor
  fileprivate let gradientViews: [GradientView]

  fileprivate init(values: Tensor, entries: [ParameterStore.Entry]) throws {
    self.values = values
    gradientViews = try entries.map {
      try GradientView(
        destination: values.narrow(0, from: $0.range.lowerBound, length: $0.range.count)
          .reshape($0.parameter.shape))
    }
  }

  fileprivate func takeGradients(of entries: [ParameterStore.Entry]) {
    for (entry, gradientView) in zip(entries, gradientViews) { entry.parameter.gradientView = gradientView }
  }
}
