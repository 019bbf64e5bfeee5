// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import NeuralNetworks
import Runs
import Tensors

struct ModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model", abstract: "List and inspect models.",
    subcommands: [List.self, Info.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the known models.")
    @Flag(help: "Print as JSON.") var json = false

    struct Entry: Encodable {
      let name, summary: String
      let usualSide, minimumSide: Int?
    }

    func run() throws {
      let entries =
        [
          Entry(name: "linear", summary: "one linear layer", usualSide: nil, minimumSide: nil),
          Entry(
            name: "mlp:WIDTH[,WIDTH...]", summary: "fully connected layers of these widths, ReLU between them",
            usualSide: nil, minimumSide: nil),
          Entry(
            name: "transformer[:KEY=N,...]",
            summary: "decoder-only transformer for tokens, such as \(TransformerSpecification.usage); also mlp=N, "
              + "dropout=SHARE and tied=yes", usualSide: nil, minimumSide: nil),
        ]
        + ModelCatalog.all.map {
          Entry(name: $0.name, summary: $0.summary, usualSide: $0.usualSide, minimumSide: $0.minimumSide)
        }
      if json { return try Console.json(entries) }
      let width = entries.map(\.name.count).max() ?? 0
      for entry in entries {
        let sides = entry.usualSide.map { "; for \($0)×\($0) images, at least \(entry.minimumSide ?? 1)" } ?? ""
        let name = entry.name.padding(toLength: width + 3, withPad: " ", startingAt: 0)
        Console.print(Console.wrapped(entry.summary + sides, after: name, indent: width + 3))
      }
    }
  }

  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a model's layers, parameters, operations and memory.",
      discussion: """
        FLOPs count one example's forward pass: two for each multiply-add of a convolution, linear \
        layer or attention, none for others. Activation memory is measured by passes of one and of two examples of zeros.

        Example: coherent model info resnet32 --batch-size 32
        """)
    @Argument(help: "The model, such as resnet32 or mlp:2048.") var name: String
    @Option(
      help: "The shape of an example. (default: what the model was made for, 1x28x28 for mlp and linear, 3 tokens)")
    var input: ExampleShape?
    @Option(parsing: .unconditional, help: "The number of classes.") var classes = 10
    @Option(
      parsing: .unconditional, help: "The number of different tokens, for a transformer. (default: --classes + 1)")
    var vocabulary: Int?
    @Option(help: "Which normalisation follows convolutions: batch or group:N.") var norm = "batch"
    @Option(parsing: .unconditional, help: "The mini-batch size to report memory for.") var batchSize = 32
    @Flag(help: "Print as JSON.") var json = false

    func validate() throws {
      guard (1...1_000_000).contains(classes) else {
        throw ValidationError("--classes must be from 1 to 1000000, not \(classes).")
      }
      guard (1...1_000_000).contains(vocabulary ?? 1) else {
        throw ValidationError("--vocabulary must be from 1 to 1000000, not \(vocabulary ?? 0).")
      }
      guard (1...1_000_000_000).contains(batchSize) else {
        throw ValidationError("--batch-size must be from 1 to a billion, not \(batchSize).")
      }
    }

    func run() throws {
      let specification = try ModelSpecification(name)
      let isOfTokens = specification.transformer != nil
      guard isOfTokens || vocabulary == nil else {
        throw ValidationError("--vocabulary is for models of tokens, not for \(name).")
      }
      let shape =
        input?.extents
        ?? (isOfTokens ? [3] : specification.entry.map { [3, $0.usualSide, $0.usualSide] } ?? [1, 28, 28])
      try check(specification, shape)
      // Uniform draws are the fastest; the values do not matter.
      let model = try specification.build(
        exampleShape: shape, classes: classes, vocabulary: isOfTokens ? vocabulary ?? classes + 1 : nil,
        norm: NormalizationChoice(norm), initializer: .pytorch, generator: Generator(seed: 1))
      let store = try ParameterStore(model)
      let summary = try ModelSummary(of: model, exampleShape: shape)
      let memory = try ActivationMemory(of: model, store: store, exampleShape: shape)
      let report = Report(
        name: name, input: shape, classes: classes, norm: norm, batchSize: batchSize, layers: summary.layers,
        parameters: summary.parameters, flops: summary.flops, parameterBytes: 4 * summary.parameters,
        activationBytes: batchSize * memory.keptPerExample, trainingBytes: memory.trainingBytes(batchSize),
        evaluationBytes: memory.evaluationBytes(batchSize))
      if json { return try Console.json(report) }
      Console.print(report.text)
    }

    /// Refuses a model whose parameters and gradient alone would not fit, before they are made.
    private func check(_ specification: ModelSpecification, _ shape: [Int]) throws {
      // In range: three extents of at most 100 000.
      let inputs = shape.reduce(1, *)
      guard let limit = MemoryLimit.current(),
        let count = specification.parameterCount(
          inputs: inputs, classes: classes, vocabulary: vocabulary ?? classes + 1), 8 * count > limit
      else { return }
      throw ValidationError(
        "\(name) has \(count) parameters: with their gradient \(megabytes(8 * count)), but \(megabytes(limit)) of memory are "
          + "available. Choose smaller widths, or a machine that has as much.")
    }
  }

  /// Extents such as 3x32x32.
  struct ExampleShape: ExpressibleByArgument {
    let extents: [Int]

    init?(argument: String) {
      let parts = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
      guard (1...3).contains(parts.count), parts.allSatisfy({ (1...100_000).contains($0) }) else { return nil }
      extents = parts
    }
  }

  struct Report: Encodable {
    let name: String
    let input: [Int]
    let classes: Int
    let norm: String
    let batchSize: Int
    let layers: [ModelSummary.Layer]
    let parameters, flops: Int
    let parameterBytes, activationBytes, trainingBytes, evaluationBytes: Int

    var text: String {
      var rows = [["layer", "kind", "output", "parameters", "MFLOPs"]]
      rows += layers.map {
        [
          $0.name, $0.kind, $0.outputShape.map(String.init).joined(separator: "×"), String($0.parameters),
          $0.flops == 0 ? "–" : String(format: "%.2f", Double($0.flops) / 1e6),
        ]
      }
      rows.append(["all", "", "", String(parameters), String(format: "%.2f", Double(flops) / 1e6)])
      let shape = input.map(String.init).joined(separator: "×")
      let sentences = [
        "One example of \(shape): \(String(format: "%.2f", Double(flops) / 1e6)) MFLOPs forward.",
        "Parameters: \(megabytes(parameterBytes)), and as much again for their gradient.",
        "A mini-batch of \(batchSize): the graph keeps \(megabytes(activationBytes)); a forward and backward pass takes "
          + "\(megabytes(trainingBytes)) at its peak, an evaluation \(megabytes(evaluationBytes)).",
      ]
      return ([Console.table(rows), ""] + sentences.map { Console.wrapped($0) }).joined(separator: "\n")
    }

  }
}

private func megabytes(_ bytes: Int) -> String { String(format: "%.1f MB", Double(bytes) / Double(1 << 20)) }
