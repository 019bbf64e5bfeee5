import Tensors
import NeuralNetworks
import Foundation
try Runtime.setThreadCount(2)
for spec in ["mlp:2048","mlp:256,256,256"] {
 for rule in [LinearPolicy.Rule.native, .sized, .onednn] {
  let g = try Generator(seed: 1)
  let m = try ModelSpecification(spec).build(inputs: 784, classes: 10, initializer: .xavierScaled, generator: g)
  let store = try ParameterStore(m)
  let x = try Tensor.uniform([100,784], generator: g)
  let y = try Tensor((0..<100).map{ Int64($0 % 10) })
  let c = ForwardContext(isTraining: true, usesSinks: true, linearPolicy: .init(rule: rule))
  var t: [Double] = []; var parts=[0.0,0,0]
  for i in 0..<600 {
    let a = DispatchTime.now().uptimeNanoseconds
    let loss = try crossEntropy(m.forward(x, in: c), y)
    let b = DispatchTime.now().uptimeNanoseconds
    try store.backward(loss)
    let d = DispatchTime.now().uptimeNanoseconds
    _ = try store.values.updateSGD(gradient: store.gradient, velocity: nil, SGDUpdate(learningRate: 0.1))
    let e = DispatchTime.now().uptimeNanoseconds
    if i >= 50 { t.append(Double(e-a)/1e6); parts[0] += Double(b-a)/550e6; parts[1] += Double(d-b)/550e6; parts[2] += Double(e-d)/550e6 }
    if i == 599 { print(try loss.item()) }
  }
  t.sort(); print(spec, rule, "median", t[t.count/2], "min", t[0], "fwd/bwd/upd", parts)
 }
}
