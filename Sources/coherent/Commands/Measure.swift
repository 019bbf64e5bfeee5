// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Coherence
import Collectives
import Datasets
import Foundation
import NeuralNetworks
import RunStore
import Tensors
import Runs
import Training

extension Split: ExpressibleByArgument {}
extension BatchNormPolicy: ExpressibleByArgument {}

struct Measure: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure how much the examples agree: the coherence of a trained model's per-example gradients.",
    discussion: """
      Prints, for the network and for each layer, α = ‖Σg‖²/(m·Σ‖g‖²), the m-coherence m·α (1 for orthogonal gradients, \
      m for identical ones), the estimate of α without its 1/m bias with a 95 % interval, and the layer's share of Σ‖g‖².
      --records writes to a CSV file how the gradient of every example compares with the mean. When torchrun, \
      mpirun or srun starts it, the ranks share the examples, and rank 0 prints.

      Example: coherent measure run --split train --examples 10000
      """)

  @Argument(help: ArgumentHelp("The run directory whose weights are measured.", valueName: "run")) var runPath: String?
  @Option(help: ArgumentHelp("The same as <run>.", valueName: "run")) var checkpoint: String?
  @Option(help: "Which of the run's weights: last, best (on the test set) or selected (by validation).")
  var select: WeightSelection = .last
  @Option(help: "The step of a checkpoint. (default: the newest)") var step: Int?
  @Option(help: "Which examples: train or test.") var split: Split = .train
  @Option(parsing: .unconditional, help: "How many examples. (default: all)") var examples: Int?
  @Option(help: "Another data set than the run's own.") var dataset: String?
  @Option(help: "The folder with the data set's files. (default: as in the run)") var dataDir: String?
  @Option(help: "What batch normalisation does: running or batch.") var bnPolicy: BatchNormPolicy = .running
  @Option(
    parsing: .unconditional,
    help: "Examples in a pass; results do not depend on it. (default: 150, or fewer for a large model)"
  ) var chunkSize: Int?
  @Option(parsing: .unconditional, help: "Threads for the computation. (default: as in the run)") var threads: Int?
  @Option(help: "Where to compute: cpu or cuda[:INDEX]. (default: as in the run)") var device: String?
  @Flag(inversion: .prefixedNo, help: "Give confidence intervals.") var intervals = true
  @Option(help: "Write a line for each example to this CSV file; takes twice as long.") var records: String?
  @Flag(help: "Measure stiffness, confusion, noise scale and others too, on at most 400 of the examples.")
  var related = false
  @Option(help: "Seconds that ranks wait for each other before one counts as lost.") var rankTimeout = 300
  @Flag(help: "Print as JSON.") var json = false

  func validate() throws {
    if runPath == nil, checkpoint == nil {
      throw ValidationError("No run directory was named. Write coherent measure RUN.")
    }
    if let runPath, let checkpoint, runPath != checkpoint {
      throw ValidationError("Two runs were named, \(runPath) and \(checkpoint). Name one.")
    }
    if let chunkSize, chunkSize < 1 { throw ValidationError("--chunk-size must be at least 1, not \(chunkSize).") }
    guard step == nil || select == .last else {
      throw ValidationError("Give --step or --select, not both: best and selected weights have a step of their own.")
    }
    try checkName(records, "--records")
    guard rankTimeout >= 1 else { throw ValidationError("--rank-timeout must be at least 1, not \(rankTimeout).") }
  }

  func run() throws {
    Runtime.keepFreedMemory()
    let path = runPath ?? checkpoint ?? ""
    let ranks = try Ranks(
      Launch(), tool: Coherent.tool, timeout: .seconds(rankTimeout),
      device: device ?? (try? TrainingConfiguration(of: RunDirectory.open(at: path)).device))
    defer { ranks?.group.leave() }
    let isFirst = ranks?.isFirst ?? true
    let records = isFirst ? records.map { URL(fileURLWithPath: $0) } : nil
    // A measurement that could not be kept should not cost the wait for it.
    try records.map(Self.checkRecords)
    let trained = try TrainedModel(
      run: path, select, step: step, split: split, datasetName: dataset,
      dataDirectory: dataDir, threads: threads ?? ranks?.threads, device: device,
      localRank: ranks?.group.localRank ?? 0)
    try share(trained, ranks)
    let begun = DispatchTime.now().uptimeNanoseconds
    let result = try coherence(of: trained, records: records)
    let seconds = Double(DispatchTime.now().uptimeNanoseconds - begun) / 1e9
    guard isFirst else { return }
    trained.group = nil
    let more =
      related
      ? try trained.relatedMeasures(
        examples: min(RelatedMeasures.defaultSample, result.network.coherence.m), policy: bnPolicy) : nil
    let measurement = Measurement(
      result, selection: select, step: trained.step, split: split, policy: bnPolicy, seconds: seconds, related: more)
    if json { return try Console.json(measurement) }
    Console.print(measurement.text)
  }

  /// Has ranks measure together, if all are to measure the same.
  private func share(_ trained: TrainedModel, _ ranks: Ranks?) throws {
    guard let ranks else { return }
    let count = examples ?? trained.candidates.count
    // By their bits: a sum would depend on the number of threads.
    let weights = try trained.store.values.to(device: .cpu).values(as: Float.self)
      .reduce(into: UInt64(14_695_981_039_346_656_037)) { $0 = ($0 ^ UInt64($1.bitPattern)) &* 1_099_511_628_211 }
    let asked = [
      "\(select) weights of step \(trained.step) (\(String(weights, radix: 16)))",
      "\(count) of \(trained.candidates.count) \(split) examples of \(dataset ?? trained.configuration.dataset)",
      "labels \(trained.labels.reduce(into: 0) { $0 = $0 &* 31 &+ $1 })", "batch norm \(bnPolicy)",
      intervals ? "intervals" : "no intervals", self.records == nil ? "no records" : "records",
    ]
    try ranks.group.requireSame(asked.joined(separator: ", "), "what is measured")
    trained.group = ranks.group
  }

  private func coherence(of trained: TrainedModel, records: URL?) throws -> CoherenceResult {
    let groupCount = intervals ? 10 : 0
    // The ranks without the file compute their part of it.
    guard self.records != nil else {
      return try trained.coherence(examples: examples, policy: bnPolicy, groupCount: groupCount, chunkSize: chunkSize)
    }
    let found = try trained.exampleGradients(
      examples: examples, policy: bnPolicy, groupCount: groupCount, chunkSize: chunkSize)
    if let records { try writeAtomically(Data(found.examples.csv.utf8), to: records) }
    return found.coherence
  }

  private static func checkRecords(_ file: URL) throws {
    do {
      try checkWritable(file)
    } catch let error as RunStoreError {
      throw RunStoreError(error.problem, remedy: "Name a file that can be written with --records.")
    }
  }

  struct Layer: Encodable {
    let name: String
    let alpha, mCoherence, alphaUnbiased, share: Double?
    let alphaUnbiasedInterval: [Double]?

    init(_ layer: LayerCoherence) {
      let coherence = layer.coherence
      (name, alpha, mCoherence, share) = (layer.layer, coherence.alpha, coherence.mCoherence, layer.share)
      alphaUnbiased = coherence.alphaUnbiased
      alphaUnbiasedInterval = layer.unbiasedInterval.map { [$0.low, $0.high] }
    }
  }

  struct Measurement: Encodable {
    let m, step: Int
    let split, weights: String
    let alpha, mCoherence, alphaUnbiased: Double?
    let alphaUnbiasedInterval: [Double]?
    let mCoherenceFromBatches, simpleNoiseScale: Double?
    let bnPolicy: String
    let seconds: Double
    let peakRSSBytes: Int
    let layers: [Layer]
    let related: Related?

    init(
      _ result: CoherenceResult, selection: WeightSelection, step: Int, split: Split, policy: BatchNormPolicy,
      seconds: Double, related: RelatedMeasures?
    ) {
      let (network, coherence) = (Layer(result.network), result.network.coherence)
      (m, self.step, self.split, weights) = (coherence.m, step, split.rawValue, selection.rawValue)
      (alpha, mCoherence, alphaUnbiased) = (network.alpha, network.mCoherence, network.alphaUnbiased)
      alphaUnbiasedInterval = network.alphaUnbiasedInterval
      (mCoherenceFromBatches, simpleNoiseScale) = (result.fromBatches, coherence.simpleNoiseScale)
      (bnPolicy, self.seconds, peakRSSBytes) = (policy.rawValue, seconds, Runtime.peakResidentBytes)
      (layers, self.related) = (result.layers.map(Layer.init), related.map(Related.init))
    }

    var text: String {
      func number(_ value: Double?) -> String { value.map { String(format: "%.4g", $0) } ?? "–" }
      func row(
        _ name: String, _ alpha: Double?, _ r: Double?, _ unbiased: Double?, _ interval: [Double]?, _ share: Double?
      ) -> [String] {
        let ends = interval.map { String(format: "%.2g … %.2g", $0[0], $0[1]) } ?? "–"
        return [name, number(alpha), number(r), number(unbiased), ends, Console.percent(share)]
      }
      var rows = [["layer", "α", "m-coherence", "α unbiased", "95 % interval", "share"]]
      rows.append(row("all", alpha, mCoherence, alphaUnbiased, alphaUnbiasedInterval, alpha == nil ? nil : 1))
      rows += layers.map { row($0.name, $0.alpha, $0.mCoherence, $0.alphaUnbiased, $0.alphaUnbiasedInterval, $0.share) }
      var lines = [Console.table(rows), ""]
      if alpha == nil { lines.append("Every gradient is 0, so coherence is undefined.") }
      lines.append(
        "\(m) \(split) examples, \(weights) weights (step \(step)), batch norm \(bnPolicy), "
          + String(format: "%.2f s", seconds) + ", peak memory \(Console.bytes(peakRSSBytes))")
      if let related { lines += ["", related.text] }
      return lines.joined(separator: "\n")
    }
  }
}
