// SPDX-License-Identifier: Apache-2.0
//
// A model of your own, trained on noisy labels: how far do its examples agree, and whom does a step help?

import Coherence
import Datasets
import GradientMatrix
import NeuralNetworks
import Tensors

let digits = try DatasetLoader.load(name: "digits", split: .train, count: 2000)
let labels = try LabelNoise(kind: .permute, rate: 0.3, seed: 1).apply(to: digits.labels, classCount: 10)

let generator = try Generator(seed: 1)
let model = Sequential([
  ("flatten", Flatten()),
  ("hidden", try Linear(inputs: 784, outputs: 128, generator: generator)),
  ("relu", Activation(.relu)),
  ("output", try Linear(inputs: 128, outputs: 10, generator: generator)),
])
let parameters = try ParameterStore(model)
let training = ForwardContext(isTraining: true, usesGradientViews: true)
var batches = try BatchSampler(count: digits.count, batchSize: 100, seed: 1)

for _ in 0..<20 {
  let batch = batches.next()
  let targets = try Tensor(batch.map { labels.assigned[$0] })
  let loss = try crossEntropy(model.forward(digits.imageTensor(at: batch), in: training), targets)
  try parameters.backward(loss)
  _ = try parameters.values.updateSGD(gradient: parameters.gradient, velocity: nil, SGDUpdate(learningRate: 0.1))
}

// Every example's own gradient, without forming any of them.
let everyone = Array(0..<digits.count)
let targets = try Tensor(labels.assigned)
let gradients = try GradientMatrix(
  GradientPlan(model, store: parameters), input: digits.imageTensor(at: everyone)
) { try $0.crossEntropy(targets: targets) }

let accumulator = try CoherenceAccumulator(GradientPlan(model, store: parameters), expectedCount: digits.count)
try accumulator.add(gradients)
let result = try accumulator.result()
for layer in [result.network] + result.layers {
  print(layer.layer, "m-coherence", layer.coherence.mCoherence ?? .nan, "of at most", layer.coherence.m)
}

// ⟨gᵢ, ḡ⟩: by how much a small step along the mean gradient lowers the loss of example i.
let records = try gradients.exampleRecords(
  indices: everyone, targets: targets, meanGradient: accumulator.meanGradient()
).sorted { $0.dot > $1.dot }
func show(_ title: String, _ chosen: some Sequence<ExampleGradientRecord>) {
  print(title)
  for record in chosen {
    print("  example", record.index, labels.isCorrupt(record.index) ? "corrupt " : "pristine", record.dot)
  }
}
show("most helped", records.prefix(10))
show("least helped", records.suffix(10).reversed())
