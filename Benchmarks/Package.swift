// swift-tools-version: 6.2

import PackageDescription

// A package of its own, so that users of the libraries never resolve what only benchmarks need.
let package = Package(
  name: "Benchmarks",
  dependencies: [
    .package(name: "CoherentGradients", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    .executableTarget(
      name: "coherent-benchmarks",
      dependencies: [
        .product(name: "Tensors", package: "CoherentGradients"),
        .product(name: "Collectives", package: "CoherentGradients"),
        .product(name: "NeuralNetworks", package: "CoherentGradients"),
        .product(name: "Datasets", package: "CoherentGradients"),
        .product(name: "GradientMatrix", package: "CoherentGradients"),
        .product(name: "Aggregation", package: "CoherentGradients"),
        .product(name: "Training", package: "CoherentGradients"),
        .product(name: "Runs", package: "CoherentGradients"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error)])
  ]
)
