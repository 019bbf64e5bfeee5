// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// A package of its own that depends on this one by branch. `scripts/test-consumer` builds and runs it.
let package = Package(
  name: "consumer",
  dependencies: [
    .package(url: "https://example.org/coherent-gradients", branch: "main")
  ],
  targets: [
    .executableTarget(
      name: "consumer",
      dependencies: [
        .product(name: "Tensors", package: "coherent-gradients"),
        .product(name: "NeuralNetworks", package: "coherent-gradients"),
      ])
  ]
)
