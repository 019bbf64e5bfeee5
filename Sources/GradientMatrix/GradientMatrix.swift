// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import NeuralNetworks
import Tensors

/// Why per-example gradients cannot be had: a sentence with the remedy.
public struct GradientMatrixError: Error, CustomStringConvertible, Sendable, Equatable {
  /// What was wrong, and what to do.
  public let description: String
  /// An error with its sentence.
  public init(_ description: String) { self.description = description }
}

/// What to do with a parametrised layer that has no rule.
public enum UnknownLayers: Sendable {
  /// Throw, and name it.
  case refuse
  /// Take its gradients one example at a time through autograd: slow, one forward and backward pass an example.
  case oneByOne
}

/// What the forward pass of a training step needs beyond that of a measurement.
public struct TrainingPass {
  /// The source of dropout masks.
  public var generator: Generator?
  /// Groups of consecutive examples with batch statistics of their own; none for those of the whole batch.
  public var groups: [Range<Int>]
  /// What of the mini-batch the input is, where other processes have the rest.
  public var part: BatchPart?

  /// A pass from its parts.
  public init(generator: Generator? = nil, groups: [Range<Int>] = [], part: BatchPart? = nil) {
    (self.generator, self.groups, self.part) = (generator, groups, part)
  }
}

/// The per-example gradients of one batch as an implicit B×P matrix: row i is the gradient of example i's own loss (not
/// divided by B), columns are the parameters in the order of the store's flat buffer.
///
/// Made from one forward and one backward pass that computes no weight gradients; each layer keeps its input and the
/// gradient at its output, and every question is answered from those.
public struct GradientMatrix {
  /// A layer's columns.
  public struct Layer {
    /// The layer's dotted name.
    public let name: String
    /// Where its columns lie in the flat buffer: usually one range; several when parameters are shared between layers.
    public let ranges: [Range<Int>]
    /// The block.
    public let block: any GradientBlock
    /// Parts of it that may be looked at by themselves, such as heads, by dotted name, with their columns in the block.
    public let columnParts: [(name: String, columns: [Range<Int>])]

    /// A layer from its name, places and block.
    public init(
      name: String, ranges: [Range<Int>], block: any GradientBlock,
      columnParts: [(name: String, columns: [Range<Int>])] = []
    ) {
      (self.name, self.ranges, self.block, self.columnParts) = (name, ranges, block, columnParts)
    }

    /// ‖gᵢ‖² over some columns of the block, [B].
    ///
    /// - Throws: `GradientMatrixError` when the block does not come apart into columns.
    public func rowSquaredNorms(ofColumns columns: [Range<Int>]) throws -> [Double] {
      guard let factored = block as? any FactoredBlock else {
        throw GradientMatrixError(
          "the gradients of layer \(name) do not come apart into columns: make its block a FactoredBlock")
      }
      let norms = try columns.map { try factored.block(ofColumns: $0).rowSquaredNorms().values(as: Double.self) }
      return GradientMatrix.added(norms, count: block.exampleCount)
    }

    /// Where some columns of the block lie in the flat buffer.
    public func places(of columns: [Range<Int>]) -> [Range<Int>] {
      columns.flatMap { columns -> [Range<Int>] in
        var start = 0
        return ranges.compactMap { range in
          defer { start += range.count }
          let own = columns.clamped(to: start..<start + range.count)
          let shift = range.lowerBound - start
          return own.isEmpty ? nil : own.lowerBound + shift..<own.upperBound + shift
        }
      }
    }

    /// The number of its columns.
    public var columnCount: Int { ranges.reduce(0) { $0 + $1.count } }

    /// This layer's parts of a vector over all parameters, one for each range; they share its memory.
    public func parts(of vector: Tensor) throws -> [Tensor] {
      try ranges.map { try vector.narrow(0, from: $0.lowerBound, length: $0.count) }
    }

    /// This layer's part of a vector over all parameters, as one.
    public func part(of vector: Tensor) throws -> Tensor {
      let parts = try parts(of: vector)
      return parts.count == 1 ? parts[0] : try Tensor.concatenate(parts)
    }
  }

  /// The layers in the order of the flat buffer.
  public let layers: [Layer]
  /// The number of examples, B.
  public let exampleCount: Int
  /// P.
  public let parameterCount: Int
  /// Each example's own loss, [B].
  public let losses: Tensor
  /// The model's output.
  public let output: Tensor
  /// What batch normalisation did.
  public let batchNormPolicy: BatchNormPolicy
  /// Makes sums over this matrix's columns those over all parameters. A matrix has all of them unless several processes
  /// share them (see `init(shard:)`); then all call this, in the same order.
  public let sumOverShards: ([Double]) throws -> [Double]

  /// Takes the per-example gradients of a batch.
  ///
  /// - Parameters:
  ///   - plan: the model and how it is looked at.
  ///   - input: the batch; its first dimension counts examples.
  ///   - training: for the step of a training run, in which dropout drops and batch normalisation uses the batch's
  ///     statistics; nil for a measurement.
  ///   - losses: each example's own loss [B] from the model's output.
  /// - Throws: `GradientMatrixError` when the batch is empty, there is not one loss for each example, or a layer's block does
  ///   not have one row for each, or a layer with parameters left none in this pass (see
  ///   `ParameterStore.allowsUnusedParameters`); `TensorError` when shapes do not fit.
  public init(
    _ plan: GradientPlan, input: Tensor, training: TrainingPass? = nil, losses: (Tensor) throws -> Tensor
  ) throws {
    _ = try Self.checked(input)
    let recorder = BackwardRecorder(batchNormPolicy: plan.batchNormPolicy)
    let passed = try Self.pass(plan, recorder, input: input, training: training, losses: losses)
    try self.init(
      plan, passed, layers: plan.layers(from: recorder, input: input, losses: losses), exampleCount: input.size(0))
  }

  private typealias Passed = (output: Tensor, losses: Tensor)

  private init(_ plan: GradientPlan, _ passed: Passed, layers: [Layer], exampleCount: Int) throws {
    self.layers = layers
    self.exampleCount = exampleCount
    parameterCount = plan.store.count
    (output, losses) = passed
    batchNormPolicy = plan.batchNormPolicy
    sumOverShards = { $0 }
  }

  /// The columns that one of several processes has, of the gradients of all examples.
  ///
  /// - Parameters:
  ///   - layers: the process's columns, with their places in its shard; a layer of which it has none has no ranges.
  ///   - exampleCount: the number of rows.
  ///   - parameterCount: the number of parameters of the shard.
  ///   - passed: what the process's own pass gave.
  ///   - batchNormPolicy: what batch normalisation did.
  ///   - sumOverShards: adds up numbers over the processes.
  public init(
    shard layers: [Layer], exampleCount: Int, parameterCount: Int, passed: (output: Tensor, losses: Tensor),
    batchNormPolicy: BatchNormPolicy, sumOverShards: @escaping ([Double]) throws -> [Double]
  ) {
    self.layers = layers
    (self.exampleCount, self.parameterCount) = (exampleCount, parameterCount)
    (output, losses) = passed
    self.batchNormPolicy = batchNormPolicy
    self.sumOverShards = sumOverShards
  }

  /// The same a few layers at a time, for what is asked of each layer by itself: `body` gets matrices that together have
  /// every layer once. Convolutions come during the backward pass, while input and output gradient are still in the
  /// processor's caches, and are not kept.
  ///
  /// - Parameters: as of `init`; `body` may keep nothing of a matrix.
  /// - Returns: the model's output, and each example's own loss, [B].
  /// - Throws: as `init`, and what `body` throws.
  public static func visit(
    _ plan: GradientPlan, input: Tensor, training: TrainingPass? = nil, losses: @escaping (Tensor) throws -> Tensor,
    _ body: @escaping (GradientMatrix) throws -> Void
  ) throws -> (output: Tensor, losses: Tensor) {
    let count = try Self.checked(input)
    let recorder = BackwardRecorder(batchNormPolicy: plan.batchNormPolicy)
    var passed: Passed?
    var early: [ObjectIdentifier: BackwardCapture] = [:]
    var done: Set<String> = []
    recorder.onRecord = { layer, capture in
      let id = ObjectIdentifier(layer)
      if let first = early[id] {
        // Its block takes all applications together.
        return try first.visit(nil)
      }
      guard (layer as? any FactoredModule)?.isUsedDuringBackward == true, plan.isAlone(layer) else { return }
      early[id] = capture
      try capture.visit { input, delta in
        guard let passed else { throw GradientMatrixError("gradients arrived before the loss") }
        let part = try plan.layer(
          of: layer,
          [GradientRecord(backend: plan.linearPolicy.weightGradient, .factors(input: input, outputGradient: delta))],
          exampleCount: count)
        done.insert(part.name)
        try body(GradientMatrix(plan, passed, layers: [part], exampleCount: count))
      }
    }
    defer { recorder.onRecord = nil }
    do {
      let end = try pass(plan, recorder, input: input, training: training, losses: losses) { passed = $0 }
      let rest = try plan.layers(from: recorder, input: input, losses: losses, except: done)
      try body(GradientMatrix(plan, end, layers: rest, exampleCount: count))
      return end
    } catch { throw early.values.lazy.compactMap(\.visitError).first ?? error }
  }

  private static func checked(_ input: Tensor) throws -> Int {
    guard input.rank >= 1, input.size(0) > 0 else {
      throw GradientMatrixError(
        "a batch without examples has no gradients: give an input whose first dimension counts at least one")
    }
    return input.size(0)
  }

  /// One forward and one backward pass; `between` them, output and losses are known.
  private static func pass(
    _ plan: GradientPlan, _ recorder: BackwardRecorder, input: Tensor, training: TrainingPass?,
    losses: (Tensor) throws -> Tensor, between: (Passed) -> Void = { _ in }
  ) throws -> Passed {
    let context = ForwardContext(
      isTraining: training != nil, linearPolicy: plan.linearPolicy, generator: training?.generator, recorder: recorder,
      groups: training?.groups ?? [], part: training?.part)
    return try withGradients {
      try plan.withConstantUnknowns {
        let output = try plan.reading(recorder) { try plan.model.forward(input, in: context) }
        let perExample = try context.completed(losses(output))
        guard perExample.shape == [input.size(0)] else {
          throw GradientMatrixError(
            "the loss function gave shape \(perExample.shape) for \(input.size(0)) examples; it must give one loss each"
          )
        }
        let passed = (output: try output.detach(), losses: try perExample.detach())
        between(passed)
        if perExample.requiresGradient {
          try perExample.backward(
            weights: Tensor.ones(perExample.shape, dtype: perExample.dtype, device: perExample.device))
        } else if !plan.usesOneByOne {
          throw GradientMatrixError(
            "the losses do not depend on any parameter of the model: compute them from the output that is passed in, "
              + "without detaching it")
        }
        return passed
      }
    }
  }

  /// ‖gᵢ‖², float64 [B]; for each layer, and their sum.
  public func rowSquaredNorms() throws -> (total: [Double], byLayer: [[Double]]) {
    let byLayer = try layers.map { try $0.block.rowSquaredNorms().values(as: Double.self) }
    return (Self.added(byLayer, count: exampleCount), byLayer)
  }

  static func added(_ byLayer: [[Double]], count: Int) -> [Double] {
    byLayer.reduce(into: Array(repeating: 0, count: count)) { total, layer in
      for index in total.indices { total[index] += layer[index] }
    }
  }

  /// Gᵀu into (or added to) a flat buffer [P]; the column sum when `weights` [B] is nil.
  public func columnSum(into target: Tensor, weights: Tensor? = nil, accumulating: Bool = false) throws {
    try delivering(to: target, accumulating: accumulating) {
      try $0.columnSum(into: $1, weights: weights, accumulating: $2)
    }
  }

  /// Row norms by layer and the column sum, in one pass where a layer's two share work.
  public func rowSquaredNorms(addingColumnSumTo target: Tensor, accumulating: Bool) throws -> [[Double]] {
    try layers.map { layer in
      try layer.delivering(to: target, accumulating: accumulating) {
        try layer.block.rowSquaredNorms(addingColumnSumTo: $0, accumulating: $1).values(as: Double.self)
      }
    }
  }

  /// Σᵢ Gᵢⱼ² for every parameter j, into (or added to) a flat buffer [P].
  public func columnSquareSum(into target: Tensor, accumulating: Bool = false) throws {
    try delivering(to: target, accumulating: accumulating) { try $0.columnSquareSum(into: $1, accumulating: $2) }
  }

  /// Runs `body` on every layer's block and its part of a flat buffer.
  func delivering(
    to target: Tensor, accumulating: Bool = false, _ body: (any GradientBlock, Tensor, Bool) throws -> Void
  ) throws {
    for layer in layers where !layer.ranges.isEmpty {
      try layer.delivering(to: target, accumulating: accumulating) { try body(layer.block, $0, $1) }
    }
  }

  /// G·v for a vector over all parameters [P]: by layer, [B] each. Their sum over layers is the product.
  public func product(_ vector: Tensor) throws -> [[Double]] {
    // A process may have no columns of a layer.
    try layers.map { layer in
      try layer.ranges.isEmpty
        ? [Double](repeating: 0, count: exampleCount)
        : layer.block.product(layer.part(of: vector)).values(as: Double.self)
    }
  }

  /// G·v summed over layers, [B].
  public func totalProduct(_ vector: Tensor) throws -> [Double] {
    try product(vector).reduce(into: [Double](repeating: 0, count: exampleCount)) { sums, layer in
      for place in sums.indices { sums[place] += layer[place] }
    }
  }

  /// G·vₘ for some vectors over all parameters [P], and ‖gᵢ‖², summed over layers, [B] each; one formation of each row
  /// where a layer's products share work.
  public func rowProducts(_ vectors: [Tensor]) throws -> (products: [[Double]], squaredNorms: [Double]) {
    let columns = vectors.count + 1
    var sums = [[Double]](repeating: [Double](repeating: 0, count: exampleCount), count: columns)
    // A process may have no columns of a layer.
    for layer in layers where !layer.ranges.isEmpty {
      let parts = try vectors.map { try layer.part(of: $0).reshape([1, layer.block.columnCount]) }
      let found =
        try parts.isEmpty
        ? layer.block.rowSquaredNorms().values(as: Double.self)
        : layer.block.rowProducts(Tensor.concatenate(parts)).values(as: Double.self)
      for (place, value) in found.enumerated() { sums[place % columns][place / columns] += value }
    }
    let norms = sums.removeLast()
    return (sums, norms)
  }

  /// G·Gᵀ, [B, B], by layer. Their sum is the Gram matrix.
  public func gram() throws -> [Tensor] { try layers.map { try $0.block.gram() } }

  /// Some rows made explicit in the order of the flat buffer: [range.count, P].
  public func rows(_ range: Range<Int>) throws -> Tensor {
    guard range.lowerBound >= 0, range.upperBound <= exampleCount else {
      throw GradientMatrixError("rows \(range) were requested from a batch of \(exampleCount)")
    }
    let result = try Tensor.zeros([range.count, parameterCount], dtype: losses.dtype, device: losses.device)
    for layer in layers {
      let rows = try layer.block.rows(range)
      var start = 0
      for columns in layer.ranges {
        try result.narrow(1, from: columns.lowerBound, length: columns.count)
          .copy(from: rows.narrow(1, from: start, length: columns.count))
        start += columns.count
      }
    }
    return result
  }
}

extension GradientMatrix.Layer {
  /// Runs `body` on this layer's part of a flat buffer, through a buffer of its own when that is in several pieces.
  func delivering<Result>(
    to target: Tensor, accumulating: Bool, _ body: (Tensor, Bool) throws -> Result
  ) throws -> Result {
    if ranges.count == 1 {
      return try body(target.narrow(0, from: ranges[0].lowerBound, length: ranges[0].count), accumulating)
    }
    let own = try Tensor.zeros([columnCount], dtype: target.dtype, device: target.device)
    let result = try body(own, false)
    var start = 0
    for range in ranges {
      let place = try target.narrow(0, from: range.lowerBound, length: range.count)
      let piece = try own.narrow(0, from: start, length: range.count)
      if accumulating { try place.add(piece) } else { try place.copy(from: piece) }
      start += range.count
    }
    return result
  }
}
