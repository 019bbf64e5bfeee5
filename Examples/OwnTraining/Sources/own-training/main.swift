// SPDX-License-Identifier: Apache-2.0
//
// A layer, a model and data of your own, trained with M3 and AdamW. Killed and started again, it ends in the same bits.

import Aggregation
import Datasets
import GradientBlocks
import NeuralNetworks
import Runs
import Tensors
import Training

/// yₙₖₕᵥ = sₖ·xₙₖₕᵥ: a layer of your own, with the gradient of each example: ∂ℓₙ/∂sₖ = Σₕᵥ δₙₖₕᵥ·xₙₖₕᵥ.
final class ChannelScale: FactoredModule {
  let scale: Parameter
  init(channels: Int) throws { scale = try Parameter(Tensor.ones([channels, 1, 1])) }

  var members: [ModuleMember] { [.parameter("scale", scale)] }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    try context.record(self, input: input, output: input * context.value(of: scale))
  }

  func gradientBlock(_ records: [GradientRecord]) throws -> any GradientBlock {
    try records.block { input, outputGradient in RowsBlock(try (input * outputGradient).sum([2, 3])) }
  }
}

/// Stripes, upright or lying, in noise; 8×8 pixels.
func stripes(_ split: Split, count: Int, seed: UInt64) throws -> Dataset {
  var generator = SeededGenerator(seed: seed)
  let labels = (0..<count).map { $0 % 2 }
  let pixels = labels.flatMap { label -> [UInt8] in
    let phase = generator.integer(below: 4)
    return (0..<64).map { place in
      let along = label == 0 ? place / 8 : place % 8
      return UInt8((along + phase) % 4 < 2 ? 96 : 0) + UInt8(generator.integer(below: 128))
    }
  }
  return try Dataset(
    name: "stripes", split: split, exampleShape: [1, 8, 8], classNames: ["lying", "upright"],
    images: ByteStorage(pixels), labels: labels)
}

let train = try stripes(.train, count: 600, seed: 1)
let noisy = try LabelNoise(kind: .permute, rate: 0.5, seed: 1).apply(to: train.labels, classCount: 2)
let generator = try Generator(seed: 1)
let model = Sequential(
  try Conv2d(inputs: 1, outputs: 8, kernel: 3, padding: 1, generator: generator), try ChannelScale(channels: 8),
  Activation(.relu), Flatten(), try Linear(inputs: 512, outputs: 2, generator: generator))

let trainer = try Trainer(
  model: model, data: TrainingData(train: train, test: stripes(.test, count: 200, seed: 2), labels: noisy),
  aggregator: MedianOfMeans(groupCount: 3), optimizer: Adam(.adamW, weightDecay: 0.01), learningRate: 0.002,
  probes: [CoherenceProbe(m: 200)], settings: TrainingSettings(steps: 400, batchSize: 60))
let run = try TrainingRun(trainer, at: CommandLine.arguments.dropFirst().first ?? "stripes-run", checkpointEvery: 20)
print(
  try run.train(), "after", trainer.step, "steps:", trainer.milestones.last?.testAccuracy ?? .nan, "on the test set")
