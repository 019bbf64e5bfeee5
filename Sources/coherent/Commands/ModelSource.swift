// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Datasets
import Foundation
import RunStore
import Runs
import Training

/// What `evaluate` and `predict` look with: the weights of a run, or a model of the zoo and a file of weights.
struct ModelSource: ParsableArguments {
  @Option(help: "Which of the run's weights: last, best (on the test set) or selected (by validation).")
  var select: WeightSelection = .last
  @Option(help: "The step of a checkpoint. (default: the newest)") var step: Int?
  @Option(help: "In place of a run: a model that coherent model list shows, such as resnet18.") var model: String?
  @Option(help: "The safetensors file with the weights of --model.") var weights: String?
  @Option(help: "Which normalisation follows convolutions in --model: batch or group:N. (default: batch)")
  var norm: String?
  @Option(help: "Height and width of the images. (default: as in the run, or what the model was made for)")
  var imageSize: Int?
  @Option(help: "The shorter side of a picture before it is cropped. (default: image size · 256/224)") var resize: Int?
  @Flag(help: "Leave out pictures that cannot be decoded, and name them.") var skipBad = false
  @Option(parsing: .unconditional, help: "Threads for the computation. (default: as in the run, or the cores)")
  var threads: Int?
  @Option(help: "Where to compute: cpu or cuda[:INDEX]. (default: as in the run, or cpu)") var device: String?

  func validate() throws {
    guard (model == nil) == (weights == nil) else {
      throw ValidationError("--model and --weights belong together: give both, or a run.")
    }
    guard norm == nil || model != nil else {
      throw ValidationError("--norm is for --model: a run knows its normalisation.")
    }
    guard step == nil || select == .last else {
      throw ValidationError("Give --step or --select, not both: best and selected weights have a step of their own.")
    }
    guard model == nil || (select == .last && step == nil) else {
      throw ValidationError("--select and --step choose among the weights of a run; --weights is one file.")
    }
  }

  /// The configuration of a model of the zoo.
  func configuration(dataset: String, dataDir: String?) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    (configuration.model, configuration.weights, configuration.norm) = (model ?? "", weights, norm ?? "batch")
    (configuration.dataset, configuration.dataDir) = (dataset, dataDir)
    return adapted(configuration)
  }

  /// A configuration with what was asked for in place of its own.
  func adapted(_ configuration: TrainingConfiguration) -> TrainingConfiguration {
    var configuration = configuration
    if let imageSize { configuration.imageSize = imageSize }
    if let resize { configuration.resize = resize }
    if skipBad { configuration.skipBad = true }
    if let threads { configuration.threads = threads }
    if let device { configuration.device = device }
    return configuration
  }

  /// What the weights are, in words.
  func name(of trained: TrainedModel) -> String {
    model.map { "\($0) with \(weights ?? "")" } ?? "\(select.rawValue) weights (step \(trained.step))"
  }
}

/// Files of what a model says of every example.
struct PredictionFiles: ParsableArguments {
  @Option(help: "Write the logits to this .npy file, float32 [examples, classes], in the order of the data.")
  var logits: String?
  @Option(help: "Write the probabilities to this .npy file, likewise.") var probabilities: String?

  /// Refuses files that cannot be written before anything is computed.
  func check() throws {
    for (option, path) in [("--logits", logits), ("--probabilities", probabilities)] {
      guard let path else { continue }
      guard path.hasSuffix(".npy") else {
        throw ValidationError("\(option) writes NumPy arrays; \(path) does not end in .npy.")
      }
      try checkWritable(URL(fileURLWithPath: path))
    }
  }

  func write(_ predictions: Predictions) throws {
    let shape = [predictions.count, predictions.classCount]
    for (path, values) in [(logits, { predictions.logits }), (probabilities, { predictions.probabilities() })] {
      guard let path else { continue }
      try writeAtomically(NumPyArray.encoded(values(), shape: shape), to: URL(fileURLWithPath: path))
    }
  }
}
