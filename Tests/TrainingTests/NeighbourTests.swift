// SPDX-License-Identifier: Apache-2.0

import Coherence
import Datasets
import Foundation
import GradientMatrix
import NeuralNetworks
import Tensors
import TestSupport
import Testing

@testable import Runs
@testable import Training

/// Neighbours of examples, against autograd on batches of one and a full sort.
@Suite struct NeighbourTests {
  /// A model, the digits, and their gradients in double.
  private struct Problem {
    let plan: GradientPlan
    let train: Dataset
    let labels: [Int]

    /// - Parameter model: "mlp:7", or a small network of convolutions with the normalisation named.
    init(_ model: String) throws {
      let generator = try Generator(seed: 4)
      let digits = try DatasetLoader.load(name: "mnist", split: .train, directory: SmallData.folder, count: 23)
      train = digits
      labels = digits.labels.enumerated().map { $0 % 3 == 0 ? ($1 + 1) % 10 : $1 }
      let network: any Module =
        model == "mlp:7"
        ? try ModelSpecification(model).build(exampleShape: digits.exampleShape, classes: 10, generator: generator)
        : try ConvolutionNetwork(model, generator)
      plan = try GradientPlan(network, store: ParameterStore(network))
    }

    func sample(_ indices: [Int], split: String = "train") throws -> ProbeSample {
      try ProbeSample(of: train, labels: labels, candidates: indices, split: split, count: indices.count, seed: 1)
    }

    /// The gradient of an example.
    func row(_ index: Int) throws -> [Double] {
      let target = try Tensor([labels[index]])
      return try plan.exampleGradients(input: train.imageTensor(at: [index])) { try $0.crossEntropy(targets: target) }
        .to(.float64).values(as: Double.self)
    }
  }

  /// Two convolutions, the second with a normalisation behind it, and a linear layer.
  private final class ConvolutionNetwork: Module {
    let first, second: Conv2d
    let norm: any Module
    let head: Linear

    init(_ name: String, _ generator: Generator) throws {
      first = try Conv2d(
        inputs: 1, outputs: 3, geometry: ConvolutionGeometry(kernel: [3, 3], stride: [3, 3]), initializer: .pytorch,
        generator: generator)
      second = try Conv2d(
        inputs: 3, outputs: 4, geometry: ConvolutionGeometry(kernel: [2, 3], stride: [2, 2], padding: [1, 0]),
        hasBias: false, initializer: .kaiming, generator: generator)
      if name == "batch norm" {
        let norm = try BatchNorm2d(channels: 4)
        try norm.runningMean.value.copy(from: .normal([4], generator: generator))
        try norm.runningVariance.value.copy(from: .uniform([4], 0.5, 2, generator: generator))
        self.norm = norm
      } else {
        norm = try GroupNorm(groups: 2, channels: 4)
      }
      head = try Linear(inputs: 80, outputs: 10, initializer: .pytorch, generator: generator)
    }

    var members: [ModuleMember] {
      [.module("first", first), .module("second", second), .module("norm", norm), .module("head", head)]
    }

    func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
      let low = try first.forward(input, in: context).relu()
      let high = try norm.forward(second.forward(low, in: context), in: context).relu()
      return try head.forward(high.reshape([input.size(0), -1]), in: context)
    }
  }

  private static func dot(_ a: [Double], _ b: [Double], _ columns: Range<Int>? = nil) -> Double {
    (columns ?? a.indices).reduce(0) { $0 + a[$1] * b[$1] }
  }

  @Test(arguments: ["mlp:7", "batch norm", "group norm"], NeighbourOrder.allCases)
  func againstAutograd(model: String, order: NeighbourOrder) throws {
    let problem = try Problem(model)
    let (candidates, asked) = (Array(0..<23), [17, 0, 22, 5, 9])
    let rows = try candidates.map(problem.row)
    let lengths = rows.map { Self.dot($0, $0).squareRoot() }
    let layers = problem.plan.layerColumnCounts
    let ends = layers.indices.map { layers[...$0].reduce(0, +) }
    for (chunk, budget) in [(1, 1), (6, 1 << 28), (150, 3 * problem.plan.store.count)] {
      var (sample, queries) = try (problem.sample(candidates), problem.sample(asked))
      (sample.chunkSize, queries.chunkSize) = (chunk, min(chunk, 2))
      let found = try sample.neighbours(
        of: queries, problem.plan, NeighbourSettings(limit: 4, order: order), explicitBudget: budget)
      #expect(found.layers == problem.plan.layerNames && found.candidates == candidates)
      #expect(found.queries.map(\.query) == asked)
      for (neighbourhood, query) in zip(found.queries, asked) {
        func value(_ other: Int) -> Double {
          let dot = Self.dot(rows[query], rows[other])
          return order == .product ? dot : dot / (lengths[query] * lengths[other])
        }
        let ranked = candidates.filter { $0 != query }.sorted { value($0) > value($1) }
        #expect(neighbourhood.helpers.map(\.index) == ranked.prefix(4).filter { value($0) > 0 })
        #expect(neighbourhood.opponents.map(\.index) == ranked.suffix(4).reversed().filter { value($0) < 0 })
        #expect(abs(neighbourhood.squaredNorm / (lengths[query] * lengths[query]) - 1) < 1e-4)
        for neighbour in neighbourhood.helpers + neighbourhood.opponents {
          let scale = lengths[query] * lengths[neighbour.index]
          let dot = Self.dot(rows[query], rows[neighbour.index])
          #expect(abs(neighbour.similarity.dot - dot) < 1e-5 * scale)
          #expect(abs((neighbour.similarity.cosine ?? 2) - dot / scale) < 1e-5)
          for (layer, similarity) in neighbour.byLayer.enumerated() {
            let columns = ends[layer] - layers[layer]..<ends[layer]
            let expected = Self.dot(rows[query], rows[neighbour.index], columns)
            #expect(abs(similarity.dot - expected) < 1e-5 * scale, "\(found.layers[layer])")
          }
        }
      }
    }
  }

  @Test func ofAnotherSplitAndOfNone() throws {
    let problem = try Problem("mlp:7")
    let sample = try problem.sample(Array(0..<23))
    let found = try sample.neighbours(of: problem.sample([3], split: "test"), problem.plan, NeighbourSettings(limit: 1))
    // The same picture under another name is its own best helper.
    let helper = try #require(found.queries[0].helpers.first)
    #expect(helper.index == 3 && helper.similarity.cosine.map { $0 > 0.9999 } == true)
    var none = try problem.sample([3])
    none.indices = []
    #expect(try sample.neighbours(of: none, problem.plan).queries.isEmpty)
  }

  /// A run's weights at several steps, and what became of neighbourhoods between them.
  @Test func ofARun() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    // While a run is under way its two newest checkpoints are kept.
    let run = try startRun(smallConfiguration { ($0.checkpointEvery, $0.steps, $0.lr) = (10, 30, 0.1) }, at: path)
    _ = try run.train(shouldStop: { run.trainer.step == 20 })
    let trained = try TrainedModel(run: path, step: 10)
    let settings = NeighbourSettings(limit: 3, keepsValues: true)
    let early = try trained.neighbours(of: trained.sample(at: [7, 2]), settings, chunkSize: 11)
    try trained.take(SelectedWeights(of: run.directory, step: 20))
    #expect(trained.step == 20 && trained.selection == .last)
    let late = try trained.neighbours(of: trained.sample(at: [7, 2]), settings)
    let fresh = try TrainedModel(run: path, step: 20)
    let expected = try fresh.neighbours(of: fresh.sample(at: [7, 2]), settings)
    #expect(late.queries.map(\.helpers) == expected.queries.map(\.helpers))
    #expect(early.queries[0].helpers.map(\.similarity) != late.queries[0].helpers.map(\.similarity))
    let changes = try late.changes(since: early)
    #expect(changes.count == 2)
    for (change, (before, now)) in zip(changes, zip(early.queries, late.queries)) {
      #expect(change.helperRanks.count == before.helpers.count)
      let same = before.helpers.filter { old in now.helpers.contains { $0.index == old.index } }
      #expect(change.helpersKept == Double(same.count) / Double(before.helpers.count))
      for (rank, helper) in zip(change.helperRanks, before.helpers) {
        #expect((rank <= now.helpers.count) == now.helpers.contains { $0.index == helper.index })
      }
    }
    expectError(.configuration, "example 60 was requested", "examples 0 to 59") { _ = try trained.sample(at: [60]) }
    expectError(.configuration, "example -1") { _ = try trained.sample(at: [0, -1]) }
    expectError(.checkpoint, "no checkpoint of step 15", "steps 10, 20") {
      try trained.take(SelectedWeights(of: run.directory, step: 15))
    }
  }
}
