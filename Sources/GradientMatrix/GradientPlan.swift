// SPDX-License-Identifier: Apache-2.0

import GradientBlocks
import NeuralNetworks
import Tensors

/// A model made ready for per-example gradients: every parametrised layer has a rule, and its columns have a place.
public final class GradientPlan {
  /// The model.
  public let model: any Module
  /// Its parameters in one flat buffer.
  public let store: ParameterStore
  /// What batch normalisation does while gradients are taken.
  public let batchNormPolicy: BatchNormPolicy
  /// Who computes the products of linear layers.
  public let linearPolicy: LinearPolicy

  /// Layers that share parameters are taken together: their modules, and the parameters with their places.
  private struct Group {
    let name: String
    let members: [any Module]
    let memberNames: [String]
    let entries: [ParameterStore.Entry]
    let isUnknown: Bool
  }
  private let groups: [Group]
  /// Whether some layers have no rule and go through autograd one example at a time.
  public var usesOneByOne: Bool { groups.contains(where: \.isUnknown) }
  /// Whether a layer has parts that may be measured by themselves, such as heads.
  public var hasColumnParts: Bool {
    groups.contains { $0.members.count == 1 && $0.members[0] is any PartitionedModule }
  }
  /// The names of the layers, in the order of their columns.
  public var layerNames: [String] { groups.map(\.name) }
  /// Where the layers' columns lie in the flat buffer, in the same order.
  public var layerRanges: [[Range<Int>]] { groups.map { ParameterStore.joined($0.entries.map(\.range)) } }
  /// The numbers of columns of the layers, in the same order.
  public var layerColumnCounts: [Int] { groups.map { $0.entries.reduce(0) { $0 + $1.range.count } } }

  /// Checks the model.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - store: the model's parameters.
  ///   - batchNormPolicy: what batch normalisation does.
  ///   - linearPolicy: who computes the products of linear layers.
  ///   - unknownLayers: what to do with a parametrised layer that has no rule.
  /// - Throws: `GradientMatrixError` that names every layer without a rule when those are refused.
  public init(
    _ model: any Module, store: ParameterStore, batchNormPolicy: BatchNormPolicy = .running,
    linearPolicy: LinearPolicy = .native, unknownLayers: UnknownLayers = .refuse
  ) throws {
    (self.model, self.store, self.batchNormPolicy, self.linearPolicy) = (model, store, batchNormPolicy, linearPolicy)
    let owners = Self.owners(in: model)
    let unknown = owners.filter { !($0.module is any FactoredModule) }
    if case .refuse = unknownLayers, !unknown.isEmpty {
      let names = unknown.map { Self.title($0.name, $0.module) }
      throw GradientMatrixError(
        "there is no per-example rule for \(names.joined(separator: ", ")); make the layer a FactoredModule, or "
          + "request the slow method, one example at a time")
    }
    if !unknown.isEmpty, batchNormPolicy == .batch {
      throw GradientMatrixError("a single example has no batch statistics: use the running policy for batch norm")
    }
    groups = Self.grouped(owners, entries: store.entries)
  }

  private struct Owner {
    let name: String
    let module: any Module
    let parameters: [Parameter]
  }

  private static func title(_ name: String, _ module: any Module) -> String {
    "\(name.isEmpty ? "the model itself" : name) (\(type(of: module)))"
  }

  /// The modules with parameters of their own, each once.
  private static func owners(in model: any Module) -> [Owner] {
    var seen = Set<ObjectIdentifier>()
    return model.namedModules.compactMap { name, module in
      let own = module.members.compactMap { if case .parameter(_, let parameter) = $0 { parameter } else { nil } }
      guard !own.isEmpty, seen.insert(ObjectIdentifier(module)).inserted else { return nil }
      return Owner(name: name, module: module, parameters: own)
    }
  }

  private static func grouped(_ owners: [Owner], entries: [ParameterStore.Entry]) -> [Group] {
    let places = Dictionary(
      entries.map { (ObjectIdentifier($0.parameter), $0) }, uniquingKeysWith: { first, _ in first })
    var remaining = owners[...]
    var groups: [Group] = []
    while let first = remaining.popFirst() {
      var members = [first]
      var parameters = Set(first.parameters.map(ObjectIdentifier.init))
      // Sharing is transitive, so go on until nobody joins.
      while let index = remaining.firstIndex(where: { owner in
        owner.parameters.contains { parameters.contains(ObjectIdentifier($0)) }
      }) {
        let next = remaining.remove(at: index)
        members.append(next)
        parameters.formUnion(next.parameters.map(ObjectIdentifier.init))
      }
      // Parameters of the model itself go by their own names, where there are others.
      let isRoot = first.name.isEmpty && owners.count > 1
      groups.append(
        Group(
          name: isRoot ? entries.first { parameters.contains(ObjectIdentifier($0.parameter)) }?.name ?? "" : first.name,
          members: members.map(\.module), memberNames: members.map(\.name),
          entries: parameters.compactMap { places[$0] }.sorted { $0.range.lowerBound < $1.range.lowerBound },
          isUnknown: members.contains { !($0.module is any FactoredModule) }))
    }
    return groups.sorted { ($0.entries.first?.range.lowerBound ?? 0) < ($1.entries.first?.range.lowerBound ?? 0) }
  }

  /// Runs `body` with the parameters of layers without a rule outside the graph: their gradients come another way.
  func withConstantUnknowns<Result>(_ body: () throws -> Result) throws -> Result {
    let unknown = groups.filter(\.isUnknown).flatMap(\.entries).map(\.parameter.value)
    for value in unknown { try value.setRequiresGradient(false) }
    defer { for value in unknown { try? value.setRequiresGradient(true) } }
    return try body()
  }

  /// The blocks from what a recorder has recorded.
  func layers(
    from recorder: BackwardRecorder, input: Tensor, losses: (Tensor) throws -> Tensor, except done: Set<String> = []
  ) throws -> [GradientMatrix.Layer] {
    var records: [ObjectIdentifier: [GradientRecord]] = [:]
    for entry in recorder.entries {
      if let factors = try entry.capture.factors() {
        records[ObjectIdentifier(entry.layer), default: []].append(
          GradientRecord(
            name: entry.name, backend: linearPolicy.weightGradient,
            entry.isExplicit
              ? .rows(factors.outputGradient) : .factors(input: factors.input, outputGradient: factors.outputGradient)))
      }
    }
    let rest = groups.filter { !done.contains($0.name) }
    try checkUsed(rest, applied: Set(records.keys), recorded: Self.layers(of: recorder))
    let slow = try oneByOneRows(input: input, losses: losses)
    return try rest.map { group in
      let block = try slow[group.name].map { RowsBlock($0) } ?? block(of: group, records, exampleCount: input.size(0))
      return try layer(of: group, block, exampleCount: input.size(0))
    }
  }

  private static func layers(of recorder: BackwardRecorder) -> Set<ObjectIdentifier> {
    Set(recorder.entries.map { ObjectIdentifier($0.layer) })
  }

  /// A layer that left no factors would have gradients of 0, which go unnoticed.
  private func checkUsed(_ groups: [Group], applied: Set<ObjectIdentifier>, recorded: Set<ObjectIdentifier>) throws {
    guard !store.allowsUnusedParameters else { return }
    for group in groups where !group.isUnknown {
      for (name, module) in zip(group.memberNames, group.members) {
        let id = ObjectIdentifier(module)
        guard !applied.contains(id) else { continue }
        let why =
          recorded.contains(id)
          ? "the losses do not depend on its output: compute them from it"
          : "it recorded nothing in this forward pass: apply it, and have its forward return "
            + "context.record(self, input: input, output: output)"
        throw GradientMatrixError(
          "layer \(Self.title(name, module)) has parameters but left no gradients, as \(why); if the model is not meant "
            + "to use it, set allowsUnusedParameters of the parameter store")
      }
    }
  }

  /// Runs a forward pass in which every layer that records itself has to read its parameters: one that computes with a
  /// tensor from before the store was made would be measured at weights that it no longer has.
  func reading<Result>(_ recorder: BackwardRecorder, _ forward: () throws -> Result) throws -> Result {
    for entry in store.entries { entry.parameter.wasRead = false }
    let result = try forward()
    let unread = store.entries.filter { !$0.parameter.wasRead }
    guard !unread.isEmpty else { return result }
    let recorded = Self.layers(of: recorder)
    for group in groups where !group.isUnknown {
      for (name, module) in zip(group.memberNames, group.members) where recorded.contains(ObjectIdentifier(module)) {
        for case .parameter(let own, let parameter) in module.members {
          guard unread.contains(where: { $0.parameter === parameter }) else { continue }
          throw GradientMatrixError(
            "layer \(Self.title(name, module)) computed its output without reading its parameter \(own), so it keeps a "
              + "tensor from before the parameter store was made; read it in every forward pass with "
              + "context.value(of:)")
        }
      }
    }
    return result
  }

  private func layer(of group: Group, _ block: any GradientBlock, exampleCount: Int) throws -> GradientMatrix.Layer {
    let ranges = ParameterStore.joined(group.entries.map(\.range))
    let columnCount = ranges.reduce(0) { $0 + $1.count }
    guard block.exampleCount == exampleCount, block.columnCount == columnCount else {
      throw GradientMatrixError(
        "the gradients of layer \(group.name) came as \(block.exampleCount)×\(block.columnCount) where "
          + "\(exampleCount) examples by \(columnCount) parameters were expected: the first dimension of every "
          + "layer's input must count the examples")
    }
    // The columns of layers that share parameters are not a single layer's.
    let parts = group.members.count == 1 ? (group.members[0] as? any PartitionedModule)?.columnParts ?? [] : []
    return GradientMatrix.Layer(
      name: group.name, ranges: ranges, block: block,
      columnParts: parts.map { ("\(group.name).\($0.name)", $0.columns) })
  }

  private func group(of layer: any Module) -> Group? {
    groups.first { $0.members.count == 1 && $0.members[0] === layer && !$0.isUnknown }
  }

  /// Whether a layer has a rule and shares no parameters with others.
  func isAlone(_ layer: any Module) -> Bool { group(of: layer) != nil }

  /// A layer that is alone, from what it recorded.
  func layer(of module: any Module, _ records: [GradientRecord], exampleCount: Int) throws -> GradientMatrix.Layer {
    guard let group = group(of: module) else {
      throw GradientMatrixError("\(type(of: module)) is not a separate layer of this plan")
    }
    return try layer(of: group, Self.block(for: module, records), exampleCount: exampleCount)
  }

  private static func block(for layer: any Module, _ records: [GradientRecord]) throws -> any GradientBlock {
    guard let factored = layer as? any FactoredModule else {
      throw GradientMatrixError("there is no per-example rule for a layer of type \(type(of: layer))")
    }
    return try factored.gradientBlock(records)
  }

  private func block(
    of group: Group, _ records: [ObjectIdentifier: [GradientRecord]], exampleCount: Int
  ) throws -> any GradientBlock {
    let columnCount = group.entries.reduce(0) { $0 + $1.range.count }
    let used = group.members.filter { records[ObjectIdentifier($0)] != nil }
    guard !used.isEmpty else {
      let dtype = try store.values.dtype
      let device = store.values.device
      return RowsBlock(exampleCount: exampleCount, columnCount: columnCount) {
        try Tensor.zeros([$0.count, columnCount], dtype: dtype, device: device)
      }
    }
    let blocks = try used.map { try Self.block(for: $0, records[ObjectIdentifier($0)] ?? []) }
    if group.members.count == 1 { return blocks[0] }
    // Columns of the whole are the group's parameters in the order of the flat buffer.
    var starts: [ObjectIdentifier: Range<Int>] = [:]
    var start = 0
    for entry in group.entries {
      starts[ObjectIdentifier(entry.parameter)] = start..<start + entry.range.count
      start += entry.range.count
    }
    let parts = zip(used, blocks).map { module, block in
      SummedBlock.Part(
        block: block,
        columns: module.members.compactMap {
          if case .parameter(_, let parameter) = $0 { starts[ObjectIdentifier(parameter)] } else { nil }
        })
    }
    return try SummedBlock(exampleCount: exampleCount, columnCount: columnCount, parts: parts)
  }

  /// Rows of the layers without a rule, by group name.
  private func oneByOneRows(input: Tensor, losses: (Tensor) throws -> Tensor) throws -> [String: Tensor] {
    let unknown = groups.filter(\.isUnknown)
    guard !unknown.isEmpty else { return [:] }
    let parameters = unknown.flatMap(\.entries).map(\.parameter)
    let rows = try exampleGradients(parameters, input: input, losses: losses)
    var result: [String: Tensor] = [:]
    var start = 0
    for group in unknown {
      let count = group.entries.reduce(0) { $0 + $1.range.count }
      result[group.name] = try rows.narrow(1, from: start, length: count)
      start += count
    }
    return result
  }
}

extension GradientPlan {
  /// Per-example gradients the plain way: one forward and backward pass of the whole model for every example, as
  /// [B, columns] with the parameters in the given order. The oracle for every rule, and the last resort for layers
  /// without one.
  ///
  func exampleGradients(_ parameters: [Parameter], input: Tensor, losses: (Tensor) throws -> Tensor) throws -> Tensor {
    let context = ForwardContext(
      isTraining: false, linearPolicy: LinearPolicy(rule: .native, precision: linearPolicy.precision))
    let batch = input.size(0)
    var reached = Set<ObjectIdentifier>()
    let result = try withGradients {
      // The losses of the whole batch, but with example i's output only: the others are constants.
      let constant = try withoutGradients { try model.forward(input, in: context) }
      let rows = try (0..<batch).map { index in
        let own = try model.forward(input.narrow(0, from: index, length: 1), in: context)
        let before = try constant.narrow(0, from: 0, length: index)
        let after = try constant.narrow(0, from: index + 1, length: batch - index - 1)
        let loss = try context.completed(
          losses(Tensor.concatenate([before, own, after])).narrow(0, from: index, length: 1)
        ).sum()
        let gradients = try loss.gradients(withRespectTo: parameters.map(\.value))
        for (parameter, gradient) in zip(parameters, gradients) where gradient != nil {
          reached.insert(ObjectIdentifier(parameter))
        }
        return try Tensor.concatenate(
          zip(parameters, gradients).map { parameter, gradient in
            try (gradient ?? Tensor.zeros(parameter.shape, dtype: parameter.value.dtype, device: input.device))
              .reshape([-1])
          })
      }
      return try Tensor.concatenate(rows.map { try $0.unsqueeze(0) })
    }
    let missed = store.entries.first { entry in
      parameters.contains { $0 === entry.parameter } && !reached.contains(ObjectIdentifier(entry.parameter))
    }
    if let missed, !store.allowsUnusedParameters {
      throw GradientMatrixError(
        "the losses do not depend on parameter \(missed.name): read it in every forward pass with context.value(of:), as "
          + "a tensor kept from before the parameter store was made is another one; if the model is not meant to use it, "
          + "set allowsUnusedParameters of the store")
    }
    return result
  }

  /// All per-example gradients through autograd on batches of one: [B, P]. Slow; for tests and for doubt.
  public func exampleGradients(input: Tensor, losses: (Tensor) throws -> Tensor) throws -> Tensor {
    try exampleGradients(store.entries.map(\.parameter), input: input, losses: losses)
  }
}
