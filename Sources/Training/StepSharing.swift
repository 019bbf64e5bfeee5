// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Collectives
import GradientBlocks
import GradientMatrix
import NeuralNetworks
import Tensors

/// A training step that several ranks make together. Each has a part of the mini-batch and a shard of the parameters: it
/// computes the gradients of its examples, gets what the others have for its shard, aggregates and updates that, and
/// gathers the parameters of all. That is the traffic of an all-reduce; what aggregator and optimizer remember is divided
/// among the ranks, and parameters cannot drift apart.
final class StepSharing {
  /// The ranks.
  let group: ProcessGroup
  /// Who has which parameters.
  let shards: ShardPlan
  /// This rank's parameters, for aggregator and optimizer.
  let shard: ParameterStore
  /// Who has which examples.
  let divider: BatchDivider
  private let whole: ParameterStore
  private let statistics: RunningStatistics
  /// The gradient with room for shards of equal size, [N·S].
  private var padded: Tensor?

  /// What this rank would like, told to the others with every step.
  var wish = Wish()
  /// What some rank wished in the step before.
  private(set) var agreed = Wish()

  /// What ranks have to do together if one of them wants it.
  struct Wish {
    /// To end after the step.
    var isStopWanted = false
    /// To gather what a checkpoint needs.
    var isStateWanted = false
  }

  /// - Throws: `TrainingError` when there are too few parameters.
  init(_ group: ProcessGroup, model: any Module, store: ParameterStore, divider: BatchDivider) throws {
    (self.group, self.divider, whole) = (group, divider, store)
    try Self.check(store, ranks: group.count)
    shards = ShardPlan(count: store.count, ranks: group.count)
    shard = try store.shard(shards.range(of: group.rank))
    statistics = try RunningStatistics(of: model)
  }

  /// Of fewer parameters no rank would have something to do.
  private static let minimumShard = 16

  /// Refuses more ranks than there are parameters for.
  static func check(_ store: ParameterStore, ranks: Int) throws {
    guard ranks > 1 else { return }
    let last = ShardPlan(count: store.count, ranks: ranks).range(of: ranks - 1)
    // More than one, as an array is taken for a shard's by its shape.
    guard store.count >= minimumShard * ranks, last.count > 1 else {
      throw TrainingError(
        .configuration,
        "a model of \(store.count) parameters is too small to be divided among \(ranks) ranks; start fewer")
    }
  }

  private var ranks: Range<Int> { 0..<group.count }
  private var own: Range<Int> { shards.range(of: group.rank) }

  /// Forgets what was agreed on at the end of an earlier run.
  func begin() { (wish, agreed) = (Wish(), Wish()) }

  // MARK: - Gradients

  /// Adds up the ranks' gradients, in their order, into the shard's.
  func sumGradients() throws {
    let size = shards.size
    let padded =
      try self.padded
      ?? Tensor.zeros([shards.padded], dtype: whole.values.dtype, device: whole.values.device)
    self.padded = padded
    try padded.narrow(0, from: 0, length: whole.count).copy(from: whole.gradient)
    let sum = try group.sumOfRows(group.exchange(padded.reshape([group.count, size])))
    try shard.gradient.copy(from: sum.narrow(0, from: 0, length: own.count))
  }

  /// What a rule of group means makes of a mini-batch, into the shard's gradient: a rank sends its part of the means of
  /// those groups that it has examples of.
  func aggregateGroups(
    _ aggregator: any GradientMatrixAggregator, _ plan: GradientPlan, input: Tensor, _ training: TrainingPass,
    _ division: BatchDivision, losses: @escaping (Tensor) throws -> Tensor
  ) throws -> (output: Tensor, losses: Tensor) {
    let pieces = division.pieces(of: group.rank)
    let counts = pieces.map { division.groups[$0.group].count }
    let (dtype, device) = try (whole.values.dtype, whole.values.device)
    let sums = try Tensor.zeros([pieces.count, whole.count], dtype: dtype, device: device)
    let passed = try GradientMatrix.visit(plan, input: input, training: training, losses: losses) {
      try $0.groupMeans(into: sums, groups: pieces.map(\.examples), counts: counts)
    }
    let all = ranks.map { division.pieces(of: $0) }
    let parts = try exchange(
      ranks.map { rank in
        let range = shards.range(of: rank)
        return try sums.narrow(1, from: range.lowerBound, length: range.count)
      }, received: all.map { $0.count * own.count })
    let means = try Tensor.zeros([division.groups.count, own.count], dtype: dtype, device: device)
    var begun: Set<Int> = []
    for (place, piece) in all.joined().enumerated() {
      let part = try parts.narrow(0, from: place * own.count, length: own.count)
      let mean = try means.select(0, piece.group)
      // The first is copied: then the mean of a group that one rank has is that rank's to the bit.
      if begun.insert(piece.group).inserted { try mean.copy(from: part) } else { try mean.add(part) }
    }
    let columns = GradientMatrix.Layer(name: "shard", ranges: [0..<own.count], block: RowsBlock(means))
    try aggregator.aggregate(
      matrix([columns], exampleCount: division.groups.count, passed, plan.batchNormPolicy), shard)
    return passed
  }

  /// What a rule of the examples' own gradients makes of a mini-batch, into the shard's gradient: a rank sends its
  /// examples' rows, or what they follow from, a layer at a time.
  func aggregateRows(
    _ aggregator: any GradientMatrixAggregator, _ plan: GradientPlan, input: Tensor, _ training: TrainingPass,
    _ division: BatchDivision, losses: @escaping (Tensor) throws -> Tensor
  ) throws -> (output: Tensor, losses: Tensor) {
    let count = division.count
    var kept: [GradientMatrix.Layer] = []
    let passed = try GradientMatrix.visit(plan, input: input, training: training, losses: losses) { [self] part in
      let layers = try part.layers.map { try columns(of: $0, division) }
      guard aggregator.isLayerwise else { return kept += layers }
      try aggregator.aggregate(
        matrix(layers, exampleCount: count, (part.output, part.losses), plan.batchNormPolicy), shard)
    }
    if !aggregator.isLayerwise {
      try aggregator.aggregate(matrix(kept, exampleCount: count, passed, plan.batchNormPolicy), shard)
    }
    return passed
  }

  private func matrix(
    _ layers: [GradientMatrix.Layer], exampleCount: Int, _ passed: (output: Tensor, losses: Tensor),
    _ policy: BatchNormPolicy
  ) -> GradientMatrix {
    GradientMatrix(
      shard: layers, exampleCount: exampleCount, parameterCount: own.count, passed: passed, batchNormPolicy: policy,
      sumOverShards: { [group] in try group.sum($0) })
  }

  /// The shard's columns of a layer, of the examples of all ranks.
  private func columns(of layer: GradientMatrix.Layer, _ division: BatchDivision) throws -> GradientMatrix.Layer {
    let count = division.count
    var starts: [Int] = []
    _ = layer.ranges.reduce(0) { start, range in
      starts.append(start)
      return start + range.count
    }
    func common(_ rank: Int) -> [(place: Int, range: Range<Int>)] {
      let shard = shards.range(of: rank)
      return zip(starts, layer.ranges).compactMap { start, range in
        let common = range.clamped(to: shard)
        return common.isEmpty ? nil : (start + common.lowerBound - range.lowerBound, common)
      }
    }
    let mine = common(group.rank)
    let width = mine.reduce(0) { $0 + $1.range.count }
    func result(_ block: any GradientBlock) -> GradientMatrix.Layer {
      GradientMatrix.Layer(
        name: layer.name,
        ranges: mine.map { $0.range.lowerBound - own.lowerBound..<$0.range.upperBound - own.lowerBound }, block: block)
    }
    if let block = layer.block as? any FactoredBlock {
      let factors = try block.factors()
      // To all ranks, where of explicit rows each gets its columns only.
      if factors.size(1) * group.count < layer.columnCount {
        let all = try exchange(
          ranks.map { _ in factors }, received: division.parts.map { $0.count * factors.size(1) })
        let whole = try block.block(ofFactors: all.reshape([count, factors.size(1)]))
        let pieces = try mine.map { try whole.block(ofColumns: $0.place..<$0.place + $0.range.count) }
        if pieces.isEmpty {
          return result(RowsBlock(try Tensor.zeros([count, 0], dtype: factors.dtype, device: factors.device)))
        }
        return result(pieces.count == 1 ? pieces[0] : try SummedBlock(concatenating: pieces))
      }
    }
    let rows = try layer.block.rows(0..<layer.block.exampleCount)
    let received = try exchange(
      ranks.map { rank in
        let pieces = try common(rank).map { try rows.narrow(1, from: $0.place, length: $0.range.count) }
        return try pieces.isEmpty ? rows.narrow(1, from: 0, length: 0) : Tensor.concatenate(pieces, dimension: 1)
      }, received: division.parts.map { $0.count * width })
    return result(RowsBlock(try received.reshape([count, width])))
  }

  /// Numbers of any shapes to each rank, and those that came, one after the other.
  private func exchange(_ pieces: [Tensor], received: [Int]) throws -> Tensor {
    let flat = try Tensor.concatenate(pieces.map { try $0.reshape([$0.count]) })
    let counts = pieces.map(\.count)
    let found = try group.exchange(flat.reshape([flat.count, 1]), sent: counts, received: received)
    return try found.reshape([found.count])
  }

  // MARK: - Records

  /// Before a pass: batch statistics are noted by themselves.
  func willPass() throws { try statistics.begin() }

  /// The outputs and losses of the whole mini-batch from those of the ranks, with what else the ranks tell each other in
  /// a step: their wishes, and their batch statistics, which the running ones follow in the order of the ranks.
  func gathered(
    _ passed: (output: Tensor, losses: Tensor), _ division: BatchDivision
  ) throws -> (output: Tensor, losses: Tensor) {
    let output = try passed.output.detach()
    let (count, most) = (output.size(0), division.parts.map(\.count).max() ?? 0)
    let width = output.count / count
    let noted = try statistics.noted()
    let statisticsStart = 2 + most * (width + 1)
    let size = statisticsStart + (noted?.count ?? 0)
    let message = try Tensor.zeros([size], dtype: output.dtype, device: output.device)
    try message.narrow(0, from: 0, length: 2).copy(
      from: Tensor([wish.isStopWanted ? 1 : 0, wish.isStateWanted ? 1 : 0]).to(output.dtype))
    try message.narrow(0, from: 2, length: count).copy(from: passed.losses.detach())
    try message.narrow(0, from: 2 + most, length: output.count).copy(from: output.reshape([output.count]))
    if let noted { try message.narrow(0, from: statisticsStart, length: noted.count).copy(from: noted) }
    let all = try Tensor.zeros([group.count * size], dtype: output.dtype, device: output.device)
    try group.gather(message, into: all)

    func part(_ rank: Int, _ start: Int, _ length: Int) throws -> Tensor {
      try all.narrow(0, from: rank * size + start, length: length)
    }
    let wishes = try ranks.map { try part($0, 0, 2).to(.float64).values(as: Double.self) }
    agreed = Wish(isStopWanted: wishes.contains { $0[0] > 0 }, isStateWanted: wishes.contains { $0[1] > 0 })
    if let noted {
      try statistics.follow(
        ranks.map { (try part($0, statisticsStart, noted.count), max(1, division.pieces(of: $0).count)) })
    }
    let outputs = try Tensor.concatenate(ranks.map { try part($0, 2 + most, division.parts[$0].count * width) })
    let losses = try Tensor.concatenate(ranks.map { try part($0, 2, division.parts[$0].count) })
    return (try outputs.reshape([division.count] + output.shape.dropFirst()), losses)
  }

  // MARK: - Parameters

  /// Gathers the parameters after an update.
  ///
  /// - Parameter isFinite: whether those of this shard are finite.
  /// - Returns: whether all are.
  func gatherParameters(isFinite: Bool) throws -> Bool {
    let size = shards.size + 1
    let (dtype, device) = try (whole.values.dtype, whole.values.device)
    let message = try Tensor.full([size], isFinite ? 1 : 0, dtype: dtype, device: device)
    try message.narrow(0, from: 0, length: own.count).copy(from: shard.values)
    let all = try Tensor.zeros([group.count * size], dtype: dtype, device: device)
    try group.gather(message, into: all)
    var areFinite = true
    for rank in ranks {
      let range = shards.range(of: rank)
      areFinite = try areFinite && all.narrow(0, from: rank * size + shards.size, length: 1).item() == 1
      guard rank != group.rank else { continue }
      try whole.values.narrow(0, from: range.lowerBound, length: range.count)
        .copy(from: all.narrow(0, from: rank * size, length: range.count))
    }
    return areFinite
  }

  /// Arrays of aggregator and optimizer as one process would have them: those with a number for each parameter of the
  /// shard become those of all parameters.
  func gathered(_ arrays: [(name: String, tensor: Tensor)]) throws -> [(name: String, tensor: Tensor)] {
    try arrays.map { name, tensor in
      guard tensor.shape == [shard.count] else { return (name, tensor) }
      let message = try Tensor.zeros([shards.size], dtype: tensor.dtype, device: tensor.device)
      try message.narrow(0, from: 0, length: own.count).copy(from: tensor)
      let all = try Tensor.zeros([shards.padded], dtype: tensor.dtype, device: tensor.device)
      try group.gather(message, into: all)
      return (name, try all.narrow(0, from: 0, length: whole.count))
    }
  }

  /// The opposite: what this rank keeps of such arrays.
  func divided(_ arrays: [String: Tensor]) throws -> [String: Tensor] {
    try arrays.mapValues { tensor in
      guard tensor.shape == [whole.count] else { return tensor }
      return try tensor.narrow(0, from: own.lowerBound, length: own.count).clone()
    }
  }
}
