// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

// Two classes of points, told apart by a network of one hidden layer.
let generator = try Generator(seed: 1)
let model = Sequential([
  ("hidden", try Linear(inputs: 2, outputs: 16, generator: generator)),
  ("relu", Activation(.relu)),
  ("output", try Linear(inputs: 16, outputs: 2, generator: generator)),
])
let parameters = try ParameterStore(model)
let points = try Tensor([-2, -1, -1, -2, 1, 2, 2, 1] as [Float], shape: [4, 2])
let classes = try Tensor([0, 0, 1, 1] as [Int])
let training = ForwardContext(isTraining: true, usesGradientViews: true)

var losses: [Double] = []
for _ in 0..<100 {
  let loss = try crossEntropy(model.forward(points, in: training), classes)
  try parameters.backward(loss)
  _ = try parameters.values.updateSGD(gradient: parameters.gradient, velocity: nil, SGDUpdate(learningRate: 0.1))
  losses.append(try loss.item())
}
print("libtorch \(try Runtime.loadedVersion() ?? "?"), loss \(losses[0]) -> \(losses[99])")
precondition(losses[99] < 0.1 * losses[0], "the loss did not fall")
