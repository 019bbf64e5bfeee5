// SPDX-License-Identifier: Apache-2.0

import Aggregation
import Collectives
import Datasets
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// Several ranks against one process.
@Suite(.serialized) struct RanksTests {
  /// What a training ends in, as numbers that threads may hand over.
  private struct End: Sendable {
    var weights: [Float]
    var metrics: [MetricRecord]
    var state: [String: [Float]]
    var losses: [Double]
  }

  private static func end(
    _ trainer: Trainer, steps: Int? = nil
  ) throws -> End {
    var (metrics, losses): ([MetricRecord], [Double]) = ([], [])
    trainer.isStateWanted = { $0 == steps }
    _ = try trainer.run(shouldStop: { trainer.step == steps.map { $0 - (trainer.group == nil ? 0 : 1) } }) { event in
      if case .evaluated(let records) = event { metrics += records }
      if case .stepped(let record) = event { losses.append(record.loss) }
    }
    let weights = try Tensor.concatenate(
      trainer.weights().map { try $0.tensor.to(.float32).reshape([$0.tensor.count]) })
    let state = try trainer.hasState ? trainer.state().arrays : []
    return try End(
      weights: weights.values(), metrics: metrics,
      state: Dictionary(
        uniqueKeysWithValues: state.map { ($0.name, try $0.tensor.to(.float32).reshape([$0.tensor.count]).values()) }),
      losses: losses)
  }

  private static func end(_ configuration: TrainingConfiguration, _ group: ProcessGroup? = nil) throws -> End {
    try end(ConfiguredTraining(configuration, group: group).trainer)
  }

  /// The largest difference.
  private func distance(_ a: [Float], _ b: [Float]) -> Float {
    a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
  }

  /// An optimizer's word, and after a blank what else is remembered.
  private static func settings(_ words: String) -> TrainingConfiguration {
    let optimizer = String(words.prefix { $0 != " " })
    return smallConfiguration {
      if words.hasSuffix(" elr") { $0.loss = "elr:3,0.7" }
      if words.hasSuffix(" ema") { $0.ema = 0.9 }
      ($0.model, $0.optimizer, $0.steps, $0.batchSize, $0.subset) = ("mlp:12,9", optimizer, 9, 23, 60)
      ($0.validation, $0.weightDecay) = (7, 0.01)
      $0.lr = optimizer.hasPrefix("adam") ? 0.01 : 0.1
    }
  }

  private static let optimizers = [
    "sgd", "adam", "adamw", "rm3", "ra3", "m3:successive", "m3", "mom:k=5", "geomed:k=5", "winsorized:c=10",
    "winsorized:s=2", "trimmed:s=1", "and-mask:t=0.2", "and-mask:t=0.2:rescaled", "sand-mask:t=0.1:k=0.001", "gaf:t=1",
    "gaf:t=1:k=4", "agra", "m3+adam", "rm3+adamw",
    "m3 elr", "sgd ema",
  ]

  /// Mini-batches of 23, 23 and 7 divide among no number of ranks.
  @Test(arguments: optimizers) func weightsAreThoseOfOneProcess(_ optimizer: String) throws {
    let configuration = Self.settings(optimizer)
    let alone = try Self.end(configuration)
    #expect(alone.losses.count == 9 && alone.losses.allSatisfy { $0.isFinite })
    // Where a gradient is near 0, Adam makes much of its rounding.
    let tolerance: Float = optimizer.contains("adam") ? 1e-4 : 5e-6
    for count in 2...4 {
      let found = try asRanks(count) { try Self.end(configuration, $0) }
      for end in found {
        #expect(end.weights == found[0].weights, "\(optimizer), \(count) ranks: they drift apart")
        #expect(end.metrics == found[0].metrics)
      }
      #expect(found[0].state.keys.sorted() == alone.state.keys.sorted())
      for (name, values) in alone.state {
        #expect(distance(values, found[0].state[name] ?? []) < 4 * tolerance, "\(optimizer), \(count) ranks, \(name)")
      }
      #expect(distance(alone.weights, found[0].weights) < tolerance, "\(optimizer), \(count) ranks")
      // Weights that are so far apart are right about examples by losses that are as much further.
      let apart = zip(alone.losses, found[0].losses).map { abs($0 - $1) }.max() ?? 0
      #expect(apart < max(1e-5, 10 * Double(tolerance)), "\(optimizer), \(count) ranks, losses")
    }
  }

  /// A sum of no size may have either sign, so few coordinates may differ, by the size of a vote.
  @Test(arguments: ["sign-sum", "sum-sign"]) func signRulesDifferInFewCoordinates(_ optimizer: String) throws {
    let configuration = Self.settings(optimizer)
    let alone = try Self.end(configuration)
    let found = try asRanks(3) { try Self.end(configuration, $0) }
    let differing = zip(alone.weights, found[0].weights).filter { abs($0 - $1) > 1e-6 }
    #expect(differing.count < alone.weights.count / 100, "\(differing.count) of \(alone.weights.count)")
    #expect(found.allSatisfy { $0.weights == found[0].weights })
  }

  /// Whether a product of some rows has the bits of these rows in a product of more: not so by MKL on Intel's processors,
  /// unless it was told so (MKL_CBWR).
  private func rowsAreComputedAlike() throws -> Bool {
    try [(784, 12), (12, 9), (9, 12), (9, 10), (10, 9)].allSatisfy { inner, outer in
      let (rows, weight) = try (randomTensor([24, inner], seed: 1), randomTensor([outer, inner], seed: 2))
      let whole: [Float] = try rows.matmul(weight.transpose()).values()
      let part: [Float] = try rows.narrow(0, from: 8, length: 8).matmul(weight.transpose()).values()
      return Array(whole[8 * outer..<16 * outer]) == part
    }
  }

  /// Every rank has a group of its own, and a median adds nothing up. (Products by oneDNN, and those of a single row, have
  /// bits that depend on the number of rows.)
  @Test func threeRanksOfM3GiveTheBitsOfOneProcess() throws {
    var configuration = Self.settings("m3")
    (configuration.batchSize, configuration.dropLast, configuration.linear) = (24, true, "native")
    let fixed = configuration
    let alone = try Self.end(fixed)
    for end in try asRanks(3, { try Self.end(fixed, $0) }) {
      let apart = distance(end.weights, alone.weights)
      #expect(try rowsAreComputedAlike() ? end.weights == alone.weights : apart < 5e-6, "\(apart) apart")
    }
  }

  @Test func clippingMomentumAndFrozenLayers() throws {
    var configuration = Self.settings("sgd")
    (configuration.clipNorm, configuration.momentum, configuration.nesterov) = (0.5, 0.9, true)
    let names = try ConfiguredTraining(smallConfiguration { $0.model = "mlp:12,9" }).trainer.store.entries.map(\.name)
    configuration.freeze = [names[0], "*.bias"]
    let fixed = configuration
    let alone = try Self.end(fixed)
    for end in try asRanks(3, { try Self.end(fixed, $0) }) {
      #expect(distance(alone.weights, end.weights) < 5e-6)
      // The first layer keeps its bits.
      #expect(Array(end.weights.prefix(784 * 12)) == Array(alone.weights.prefix(784 * 12)))
    }
  }

  /// Bytes that rank 0 sends in a step, over those of SGD.
  @Test(arguments: [2, 3, 4]) func trafficIsThatOfAnAllReduce(_ count: Int) throws {
    func bytes(_ optimizer: String) throws -> Double {
      let configuration = smallConfiguration {
        ($0.model, $0.optimizer, $0.batchSize, $0.subset) = ("mlp:64,32", optimizer, 12, 60)
      }
      let sent = try asRanks(count) { group -> Int in
        let trainer = try ConfiguredTraining(configuration, group: group).trainer
        let before = group.bytesSent
        for _ in 0..<5 { _ = try trainer.update() }
        return group.bytesSent - before
      }
      return Double(sent[0]) / 5
    }
    let parameters = 784 * 64 + 64 + 64 * 32 + 32 + 32 * 10 + 10
    let sgd = try bytes("sgd")
    // Sums of gradients and parameters, each once, and a few hundred numbers for records.
    let expected = 2.0 * 4 * Double(parameters) * Double(count - 1) / Double(count)
    #expect(abs(sgd / expected - 1) < 0.03, "\(sgd) bytes, \(expected) expected")
    #expect(try bytes("rm3") == sgd)
    let m3 = try bytes("m3") / sgd
    // Of two ranks each has examples of two groups; of three, of one.
    #expect(abs(m3 - [2: 1.5, 3: 1, 4: 1][count, default: 0]) < 0.03, "\(m3)")
    // 12 examples of the first layer are 12·848 numbers, or 12·50 240 as rows.
    let winsorized = try bytes("winsorized:s=2") / sgd
    #expect(winsorized < 1.6, "\(winsorized)")
  }

  /// What each rank sends.
  private func bytesOfAStep(_ configuration: TrainingConfiguration, ranks count: Int) throws -> [Int] {
    try asRanks(count) { group in
      let trainer = try ConfiguredTraining(configuration, group: group).trainer
      let before = group.bytesSent
      _ = try trainer.update()
      return group.bytesSent - before
    }
  }

  /// What `--plan` says is what is sent.
  @Test(arguments: ["sgd", "m3", "mom:k=5", "winsorized:s=2", "m3:successive"], [2, 3, 4])
  func theTrafficOfAPlan(_ optimizer: String, _ count: Int) throws {
    for model in ["mlp:64,32", "mlp:5"] {
      let configuration = smallConfiguration {
        ($0.model, $0.optimizer, $0.batchSize, $0.subset) = (model, optimizer, 12, 60)
      }
      let sent = try bytesOfAStep(configuration, ranks: count)
      let trainer = try ConfiguredTraining(configuration).trainer
      let planned = try trainer.trainingStep.traffic(
        ranks: [1, count, 400_000], batchCount: 12, input: trainer.data.train.imageTensor(at: Array(0..<4)), outputs: 10
      )
      #expect(planned.possible.map(\.ranks) == [1, count])
      #expect(planned.possible.first?.bytes == 0 && planned.possible.first?.examples == 12)
      #expect(planned.possible.last?.bytes == sent.max(), "\(model): \(sent)")
      #expect(planned.obstacle?.contains("too small to be divided") == true)
    }
  }

  /// Sums over columns are a few numbers more.
  @Test(arguments: ["agra", "geomed:k=3", "sand-mask:t=0.1:k=0.001", "gaf:t=1", "and-mask:t=0.2:rescaled"])
  func sumsOverColumnsAreExchangesToo(_ optimizer: String) throws {
    let configuration = smallConfiguration {
      ($0.model, $0.optimizer, $0.batchSize, $0.subset) = ("mlp:64,32", optimizer, 12, 60)
    }
    let sent = try bytesOfAStep(configuration, ranks: 2)
    let trainer = try ConfiguredTraining(configuration).trainer
    let planned = try trainer.trainingStep.traffic(
      ranks: [2], batchCount: 12, input: trainer.data.train.imageTensor(at: Array(0..<4)), outputs: 10
    ).possible[0]
    #expect(abs(Double(planned.bytes) / Double(sent.max() ?? 0) - 1) < 0.03, "\(planned.bytes), \(sent)")
    let isLayerwise = optimizer.hasPrefix("sand") || optimizer.hasPrefix("and")
    #expect(planned.exchanges == (optimizer.hasPrefix("geomed") ? 4 : isLayerwise ? 8 : 6))
  }

  /// Tokens at several positions, tables and tied weights over ranks.
  @Test(arguments: ["sgd", "m3", "winsorized:s=1", "agra", "m3+adamw"], [2, 3])
  func transformersOverRanks(_ optimizer: String, _ count: Int) throws {
    for tied in ["no", "yes"] {
      let configuration = smallConfiguration {
        ($0.dataset, $0.dataDir, $0.subset, $0.testSubset) = ("modular:7", nil, nil, nil)
        ($0.model, $0.noise) = ("transformer:layers=1,width=8,heads=2,tied=\(tied)", 0)
        ($0.optimizer, $0.batchSize, $0.steps, $0.dropLast) = (optimizer, 9, 6, true)
      }
      let alone = try Self.end(configuration)
      let ends = try asRanks(count) { try Self.end(configuration, $0) }
      for end in ends {
        #expect(end.weights == ends[0].weights)
        #expect(zip(end.losses, alone.losses).allSatisfy { abs($0 - $1) < 1e-4 } && end.losses.count == 6)
        // The gradient of the keys' bias is rounding alone, which Adam makes steps of; no output depends on that bias.
        #expect(optimizer.hasSuffix("adamw") || distance(end.weights, alone.weights) < 1e-4)
      }
    }
  }

  @Test func aPlanForBatchNormSaysWhatItNeeds() throws {
    let trainer = try Self.convolutional(Mean(), groups: 3)
    let planned = try trainer.trainingStep.traffic(
      ranks: [1, 3, 4], batchCount: 12, input: trainer.data.train.imageTensor(at: Array(0..<4)), outputs: 10)
    #expect(planned.possible.map(\.examples) == [12, 4])
    #expect(planned.obstacle?.contains("set it to 4 or more") == true)
  }

  // MARK: - Batch norm, dropout, convolutions

  /// A small network with every layer that ranks have to treat apart.
  private static func convolutional(
    _ aggregator: any Aggregator, groups: Int?, _ group: ProcessGroup? = nil
  ) throws -> Trainer {
    let generator = try Generator(seed: 5)
    let model = try Sequential(
      Conv2d(inputs: 1, outputs: 6, kernel: 5, stride: 3, generator: generator), BatchNorm2d(channels: 6),
      Activation(.relu),
      Conv2d(inputs: 6, outputs: 5, kernel: 3, stride: 2, generator: generator), BatchNorm2d(channels: 5),
      Activation(.relu),
      Flatten(), Dropout(probability: 0.25), Linear(inputs: 45, outputs: 10, generator: generator))
    return try Trainer(
      model: model, data: TrainingData(smallConfiguration()), aggregator: aggregator, optimizer: SGD(momentum: 0),
      learningRate: LearningRate(0.1),
      settings: TrainingSettings(
        steps: 8, batchSize: 24, dropsLast: true, augmentation: Augmentation("crop"), batchNormGroups: groups),
      group: group)
  }

  private static let rules: [(name: String, groups: Int?, make: @Sendable () throws -> any Aggregator)] = [
    ("sgd", 4, { Mean() }), ("rm3", 4, { GradientHistory(.rollingMedian) }), ("m3", nil, { try MedianOfMeans() }),
    ("mom:k=5", 5, { try MedianOfMeans(groupCount: 5) }),
    ("winsorized", 6, { try ClippedMean(.count(2), kind: .winsorized) }),
  ]

  @Test(arguments: rules.indices) func batchStatisticsAreThoseOfGroups(_ place: Int) throws {
    let rule = Self.rules[place]
    let alone = try Self.end(Self.convolutional(rule.make(), groups: rule.groups))
    #expect(alone.weights.allSatisfy { $0.isFinite })
    for count in 2...3 {
      let found = try asRanks(count) { try Self.end(Self.convolutional(rule.make(), groups: rule.groups, $0)) }
      for end in found {
        #expect(distance(alone.weights, end.weights) < 2e-5, "\(rule.name), \(count) ranks")
        #expect(end.weights == found[0].weights)
      }
    }
  }

  @Test func groupsOfStatisticsAreNoMatterOfRanksAlone() throws {
    let (whole, four) = try (
      Self.end(Self.convolutional(Mean(), groups: nil)), Self.end(Self.convolutional(Mean(), groups: 4))
    )
    #expect(distance(whole.weights, four.weights) > 1e-4)
    // The means of four groups of six are the layer's own on each.
    let one = try Self.end(Self.convolutional(Mean(), groups: 1))
    #expect(one.weights == whole.weights)
  }

  @Test func whatCannotBeSharedIsRefused() throws {
    func refusal(_ count: Int, _ make: @escaping @Sendable (ProcessGroup) throws -> Trainer) throws -> String {
      let found = try asRanks(count) { group in message { _ = try make(group) } }
      #expect(found.allSatisfy { $0 == found[0] })
      return found[0]
    }
    #expect(try refusal(2) { try Self.convolutional(Mean(), groups: nil, $0) }.contains("set bn-groups to 2 or more"))
    #expect(try refusal(3) { try Self.convolutional(Mean(), groups: 2, $0) }.contains("3 ranks need a group each"))
    #expect(
      try refusal(4) { try Self.convolutional(MedianOfMeans(), groups: nil, $0) }.contains("3 ranks can share a step"))
    #expect(
      message { _ = try Self.convolutional(MedianOfMeans(), groups: 4) }.contains("over its own 3 groups"))
    let few = smallConfiguration { $0.batchSize = 3 }
    #expect(
      try refusal(4) { try ConfiguredTraining(few, group: $0).trainer }.contains("ranks needs at least 4 examples"))
    expectError(.configuration, "bn-groups must be at least 1") {
      _ = try ConfiguredTraining(smallConfiguration { $0.bnGroups = 0 })
    }
  }

  // MARK: - Checkpoints

  @Test(arguments: ["rm3", "adam", "geomed:k=5"]) func resumesToTheSameBits(_ optimizer: String) throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    var configuration = Self.settings(optimizer)
    (configuration.steps, configuration.checkpointEvery) = (12, 4)
    let fixed = configuration
    let whole = try asRanks(3) { try Self.end(fixed, $0) }
    let first = try asRanks(3) { group -> Int in
      guard group.rank == 0 else {
        let trainer = try ConfiguredTraining(fixed, group: group).trainer
        _ = try trainer.run()
        return trainer.step
      }
      let run = try TrainingRun(
        fixed, at: path, commandLine: ["test"], tool: .init(version: "test"), group: group)
      #expect(try run.train(shouldStop: { run.trainer.step == 6 }) == .interrupted)
      return run.trainer.step
    }
    #expect(first == [7, 7, 7], "the ranks end together, after the step in which one of them wanted to")
    let second = try asRanks(3) { group -> [Float] in
      let trainer: Trainer
      if group.rank == 0 {
        let run = try TrainingRun(
          resuming: path, commandLine: ["test"], tool: .init(version: "test"), group: group)
        #expect(run.warnings.isEmpty)
        trainer = run.trainer
        #expect(try run.train() == .completed)
      } else {
        trainer = try ConfiguredTraining(fixed, group: group).trainer
        _ = try trainer.run()
      }
      return try Tensor.concatenate(trainer.weights().map { try $0.tensor.reshape([$0.tensor.count]) }).values()
    }
    for weights in second { #expect(weights == whole[0].weights) }
    // One process goes on from the ranks' checkpoint, to rounding.
    let alone = try TrainingRun(resuming: path, to: .steps(14), commandLine: ["test"], tool: .init(version: "test"))
    #expect(alone.warnings.contains { $0.contains("trained by 3 ranks and continues with one process") })
    #expect(try alone.train() == .completed)
    #expect(try resumeRun(path).warnings.isEmpty)
  }

  @Test func otherDataIsNamed() throws {
    let found = try asRanks(2) { group in
      let configuration = smallConfiguration { $0.seed = group.rank == 0 ? 1 : 2 }
      return message { _ = try ConfiguredTraining(configuration, group: group).trainer.run() }
    }
    #expect(found.allSatisfy { $0.contains("the ranks differ in the data") })
  }
}
