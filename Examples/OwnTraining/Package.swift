// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// A package of its own that depends on this one by path. `scripts/test-example` builds it, kills it and resumes it.
let package = Package(
  name: "own-training",
  dependencies: [.package(name: "CoherentGradients", path: "../..")],
  targets: [
    .executableTarget(
      name: "own-training",
      dependencies: ["Tensors", "GradientBlocks", "NeuralNetworks", "Datasets", "Aggregation", "Training", "Runs"].map {
        .product(name: $0, package: "CoherentGradients")
      })
  ]
)
