// swift-tools-version: 6.2

import Foundation
import PackageDescription

// libtorch comes from `.deps/` (filled by `make setup`), or from the folder that LIBTORCH names: the `torch` folder
// of a Python install or an unpacked libtorch archive, each with `include/` and `lib/`. Checked out for another package
// (ROOT/.build/checkouts/NAME), this one takes the `.deps/` of that package, where scripts/setup.py then puts it.
// What exists is not asked here: SwiftPM would keep the answer from before the set-up.
let folders = Context.packageDirectory.split(separator: "/", omittingEmptySubsequences: false)
let isCheckout = folders.count > 3 && Array(folders.dropLast().suffix(2)) == [".build", "checkouts"]
let root = isCheckout ? folders.dropLast(3).joined(separator: "/") : Context.packageDirectory
let dependencies = root + "/.deps"
let libtorch = Context.environment["LIBTORCH"] ?? dependencies + "/torch"

// Whether the program is to run elsewhere: `make dist`. It brings all of Swift along, looks for its other libraries
// beside itself, and does without FoundationNetworking, which would need libcurl.
let isPacked = Context.environment["COHERENT_PACKED"] == "1"

// Only torch_cpu and c10 are linked: libtorch.so would pull in every CUDA library. The CUDA runtime and profiler
// folders are on the run path because the PyPI build of torch_cpu itself needs them.
let runPaths =
  isPacked
  ? ["$ORIGIN/../lib", "$ORIGIN/../torch/lib", "$ORIGIN/../../torch/lib"]
  : [libtorch + "/lib", dependencies + "/nvidia/cu13/lib"]

let shimFlags: [CXXSetting] = [
  .unsafeFlags([
    // Says what to do where libtorch is missing, before the first header that is not there.
    "-include", Context.packageDirectory + "/Sources/CLibTorch/libtorch_check.h",
    // What c10d's headers want of gloo's, which libtorch leaves out.
    "-isystem", Context.packageDirectory + "/Sources/CLibTorch/gloo-declarations",
    "-isystem", libtorch + "/include",
    "-isystem", libtorch + "/include/torch/csrc/api/include",
    // Kernels at full speed in debug builds too: the tests run whole trainings.
    "-O3", "-Wall", "-Wextra", "-Werror",
  ])
]

let libtorchLinking: [LinkerSetting] = [
  .unsafeFlags(["-L" + libtorch + "/lib"] + runPaths.flatMap { ["-Xlinker", "-rpath", "-Xlinker", $0] }),
  .linkedLibrary("torch_cpu"),
  .linkedLibrary("c10"),
]

let strict: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
]

let packing: [SwiftSetting] = isPacked ? [.define("PACKED")] : []

// `make build` sets it. Git is not asked here: SwiftPM would keep the first answer for later commits too.
let commit = (Context.environment["COHERENT_COMMIT"] ?? "").filter {
  $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-")
}

let package = Package(
  name: "CoherentGradients",
  products: [
    .library(name: "Tensors", targets: ["Tensors"]),
    .library(name: "Collectives", targets: ["Collectives"]),
    .library(name: "GradientBlocks", targets: ["GradientBlocks"]),
    .library(name: "NeuralNetworks", targets: ["NeuralNetworks"]),
    .library(name: "Datasets", targets: ["Datasets"]),
    .library(name: "GradientMatrix", targets: ["GradientMatrix"]),
    .library(name: "Coherence", targets: ["Coherence"]),
    .library(name: "Aggregation", targets: ["Aggregation"]),
    .library(name: "RunStore", targets: ["RunStore"]),
    .library(name: "Training", targets: ["Training"]),
    .library(name: "Runs", targets: ["Runs"]),
    .library(name: "Charts", targets: ["Charts"]),
    .library(name: "Reports", targets: ["Reports"]),
    .library(name: "Audit", targets: ["Audit"]),
    .library(name: "Studies", targets: ["Studies"]),
    .library(name: "Dashboard", targets: ["Dashboard"]),
    .library(name: "ThreadPolicy", targets: ["CThreadPolicy"]),
    .executable(name: "coherent", targets: ["coherent"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    // The dashboard's web server. Without its traits: no readers of configuration files, no TLS, no HTTP/2 are compiled.
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .systemLibrary(
      name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"]), .brew(["jpeg-turbo"])]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
    .target(
      name: "CImageCodecs", dependencies: ["CJPEG", "CPNG"], exclude: ["README.md"],
      // At full speed in debug builds too, as the kernels.
      cSettings: [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror"])],
      linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png")]),
    .target(
      name: "CLibTorch", exclude: ["README.md", "gloo-declarations", "cuda/kernels.cu"], cxxSettings: shimFlags,
      linkerSettings: libtorchLinking),
    .target(name: "Tensors", dependencies: ["CLibTorch"], swiftSettings: strict),
    .target(name: "Collectives", dependencies: ["Tensors"], swiftSettings: strict),
    .target(name: "GradientBlocks", dependencies: ["Tensors"], swiftSettings: strict),
    .target(
      name: "NeuralNetworks", dependencies: ["Tensors", "GradientBlocks"], swiftSettings: strict
    ),
    .target(
      name: "Datasets",
      dependencies: ["Tensors", "CImageCodecs", "CZlib", .product(name: "Crypto", package: "swift-crypto")],
      exclude: isPacked ? ["Fetch/Download.swift"] : [],
      swiftSettings: strict + packing),
    .target(
      name: "GradientMatrix", dependencies: ["GradientBlocks", "NeuralNetworks"], swiftSettings: strict),
    .target(name: "Coherence", dependencies: ["GradientMatrix"], swiftSettings: strict),
    .target(name: "Aggregation", dependencies: ["GradientMatrix"], swiftSettings: strict),
    .target(name: "RunStore", swiftSettings: strict),
    .target(
      name: "Training",
      dependencies: [
        "Collectives", "NeuralNetworks", "Datasets", "GradientBlocks", "GradientMatrix", "Coherence", "Aggregation",
        "RunStore",
      ],
      swiftSettings: strict),
    .target(
      name: "Runs", dependencies: ["Collectives", "Training", "RunStore", "CZlib", "Yams"], swiftSettings: strict),
    // In the program itself, so that it stays one file that runs wherever it lies.
    .target(
      name: "Charts", resources: [.embedInCode("Resources/page.css"), .embedInCode("Resources/page.js")],
      swiftSettings: strict + packing),
    .target(
      name: "Reports", dependencies: ["RunStore", "Charts"],
      resources: [
        .embedInCode("Resources/audit.css"), .embedInCode("Resources/audit.js"),
        .embedInCode("Resources/audit-chooser.js"), .embedInCode("Resources/audit-decisions.js"),
        .embedInCode("Resources/audit-pictures.js"), .embedInCode("Resources/audit-threshold.js"),
      ],
      swiftSettings: strict),
    .target(
      name: "Audit",
      dependencies: ["Tensors", "Coherence", "Datasets", "RunStore", "Training", "Runs", "Charts", "Reports"],
      swiftSettings: strict),
    .target(
      name: "Studies",
      dependencies: [
        "Tensors", "Collectives", "NeuralNetworks", "Datasets", "GradientMatrix", "Coherence", "Aggregation",
        "RunStore", "Training", "Runs", "Charts", "Reports", "Audit", "Yams",
      ],
      swiftSettings: strict),
    .target(
      name: "Dashboard",
      dependencies: [
        "RunStore", "Charts", "Reports", .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"), .product(name: "Logging", package: "swift-log"),
      ],
      resources: [.embedInCode("Resources/dashboard.css"), .embedInCode("Resources/dashboard.js")],
      swiftSettings: strict),
    .target(name: "CThreadPolicy", exclude: ["README.md"]),
    .target(
      name: "CBuildInfo", exclude: ["README.md"],
      cSettings: [.define("COHERENT_COMMIT", to: "\"\(commit)\"")]),
    .executableTarget(
      name: "coherent",
      dependencies: [
        "CBuildInfo", "CThreadPolicy", "Tensors", "Collectives", "NeuralNetworks", "Datasets", "Coherence", "RunStore",
        "Training", "Runs", "Charts", "Reports", "Audit", "Studies", "Dashboard",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      exclude: ["README.md"],
      swiftSettings: strict),
    .executableTarget(
      name: "own-model-example",
      dependencies: ["CThreadPolicy", "Tensors", "NeuralNetworks", "Datasets", "GradientMatrix", "Coherence"],
      path: "Examples/OwnModel",
      swiftSettings: strict),
    .target(
      name: "TestSupport",
      dependencies: ["Tensors", "Collectives", "NeuralNetworks", "Datasets"],
      path: "Tests/TestSupport",
      exclude: ["README.md"],
      swiftSettings: strict),
    .testTarget(
      name: "CollectivesTests", dependencies: ["Collectives", "CNCCLOnHost", "Tensors", "TestSupport"],
      swiftSettings: strict),
    // What is used of NCCL, between threads.
    .target(
      name: "CNCCLOnHost", path: "Tests/CNCCLOnHost", exclude: ["README.md"],
      cxxSettings: [
        .headerSearchPath("../../Sources/CLibTorch/include"), .unsafeFlags(["-Wall", "-Wextra", "-Werror"]),
      ]),
    // The kernels for GPUs, for a processor.
    .target(
      name: "CKernelsOnHost", path: "Tests/CKernelsOnHost", exclude: ["README.md"],
      cxxSettings: [.unsafeFlags(["-O1", "-Wall", "-Wextra", "-Werror"])]),
    .testTarget(
      name: "TensorsTests", dependencies: ["Tensors", "CKernelsOnHost", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "NeuralNetworksTests",
      dependencies: ["NeuralNetworks", "TestSupport"],
      resources: [.copy("Fixtures")],
      swiftSettings: strict),
    .testTarget(
      name: "GradientMatrixTests", dependencies: ["GradientBlocks", "GradientMatrix", "TestSupport"],
      swiftSettings: strict),
    .testTarget(name: "CoherenceTests", dependencies: ["Coherence", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "AggregationTests", dependencies: ["Aggregation", "GradientBlocks", "Runs", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "DatasetsTests",
      dependencies: [
        "Datasets", "CImageCodecs", "TestSupport", .product(name: "Crypto", package: "swift-crypto"),
      ],
      swiftSettings: strict),
    .testTarget(name: "RunStoreTests", dependencies: ["RunStore", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "Training", "Runs", "Collectives", "Tensors", "NeuralNetworks", "Datasets", "RunStore", "TestSupport",
      ],
      swiftSettings: strict),
    .testTarget(name: "ChartsTests", dependencies: ["Charts", "TestSupport"], swiftSettings: strict),
    .testTarget(name: "ReportsTests", dependencies: ["Charts", "Reports", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "AuditTests", dependencies: ["Audit", "Datasets", "Training"], swiftSettings: strict),
    .testTarget(
      name: "DashboardTests", dependencies: ["Dashboard", "RunStore", "Charts", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "StudiesTests",
      dependencies: ["Studies", "Charts", "Reports", "RunStore", "Training", "Runs", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "CommandTests",
      dependencies: [
        "coherent", "own-model-example", "Datasets", "Charts", "Reports", "RunStore", "Studies", "Tensors", "Training",
        "Runs", "TestSupport", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      exclude: ["Snapshots"],
      resources: [.copy("Fixtures")],
      swiftSettings: strict),
  ],
  cxxLanguageStandard: .cxx20
)
