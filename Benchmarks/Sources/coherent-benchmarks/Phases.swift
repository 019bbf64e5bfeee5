// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks
import Tensors
import Runs
import Training

/// Where the time of a step goes: microseconds of each phase, medians. For people who tune, not for the table.
func printPhases(of trainer: Trainer, steps: Int = 2000) throws {
  let policy = trainer.linearPolicy
  let context = ForwardContext(isTraining: true, usesGradientViews: true, linearPolicy: policy)
  let data = trainer.data
  let batch = trainer.settings.batchSize
  var phases: [String: [Double]] = [:]
  var mark = DispatchTime.now().uptimeNanoseconds
  func lap(_ name: String) {
    let now = DispatchTime.now().uptimeNanoseconds
    phases[name, default: []].append(Double(now - mark) / 1e3)
    mark = now
  }
  for step in 0..<steps {
    let indices = (0..<batch).map { (step * batch + $0 * 31) % data.train.count }
    mark = DispatchTime.now().uptimeNanoseconds
    let images = try data.train.imageTensor(at: indices)
    let targets = try Tensor(indices.map { data.labels.assigned[$0] })
    lap("1 gather")
    let logits = try trainer.model.forward(images, in: context)
    lap("2 forward")
    let losses = try logits.crossEntropy(targets: targets)
    lap("3 loss")
    try trainer.store.backward(losses, weights: Tensor.full([batch], 1 / Double(batch)))
    lap("4 backward")
    _ = try trainer.optimizer.step(trainer.store, learningRate: 0.01)
    lap("5 update")
  }
  for (name, values) in phases.sorted(by: { $0.key < $1.key }) {
    print("\(name): \(values.sorted()[values.count / 2])")
  }
}
