// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

@Suite struct ErrorTests {
  private let a = Result { try Tensor.zeros([2, 3]) }
  private let b = Result { try Tensor.zeros([4, 5]) }
  private let pair = ["float32 [2, 3]", "float32 [4, 5]"]

  @Test func shapesThatDoNotFit() throws {
    let (a, b) = try (a.get(), b.get())
    expectTensorError(.invalid, "+", operands: pair) { try a + b }
    expectTensorError(.invalid, "-", operands: pair) { try a - b }
    expectTensorError(.invalid, "*", operands: pair) { try a * b }
    expectTensorError(.invalid, "/", operands: pair) { try a / b }
    expectTensorError(.invalid, "minimum", operands: pair) { try a.minimum(b) }
    expectTensorError(.invalid, "equal", operands: pair) { try a.equal(b) }
    expectTensorError(.invalid, "matmul", operands: pair) { try a.matmul(b) }
    expectTensorError(.invalid, "add", operands: pair) { try a.add(b) }
    expectTensorError(.invalid, "copy", operands: pair, containing: "[4, 5]") { try a.copy(from: b) }
    expectTensorError(.invalid, "dot", operands: pair) { try a.dot(b) }
    expectTensorError(.invalid, "reshape", operands: ["float32 [2, 3]"], containing: "7") { try a.reshape([7]) }
    expectTensorError(.invalid, "reshape") { try a.reshape([-1, -1]) }
    expectTensorError(.invalid, "reshape") { try a.reshape([-2, -3]) }
    expectTensorError(.invalid, "expand") { try a.expand([2, 4]) }
    expectTensorError(.invalid, "permute") { try a.permute([0]) }
    expectTensorError(.invalid, "permute") { try a.permute([0, 0]) }
    expectTensorError(.invalid, "concatenate", operands: pair) { try Tensor.concatenate([a, b]) }
    expectTensorError(.invalid, "concatenate", operands: []) { try Tensor.concatenate([]) }
    expectTensorError(.invalid, "Tensor.init", containing: "24 bytes") { try Tensor([1, 2], shape: [3]) }
    expectTensorError(.invalid, "item", operands: ["float32 [2, 3]"]) { try a.item() }
    expectTensorError(.invalid, "select") { try Tensor.select(a, where: Tensor([true, false]), else: b) }
  }

  @Test func indicesOutOfRange() throws {
    let a = try a.get()
    expectTensorError(.index, "select", operands: ["float32 [2, 3]"]) { try a.select(0, 2) }
    expectTensorError(.index, "select") { try a.select(5, 0) }
    expectTensorError(.index, "sum") { try a.sum([2]) }
    expectTensorError(.index, "softmax") { try a.softmax(7) }
    expectTensorError(.index, "transpose") { try a.transpose(0, 9) }
    expectTensorError(.index, "transpose") { try Tensor([1]).transpose() }
    expectTensorError(.index, "unsqueeze") { try a.unsqueeze(4) }
    expectTensorError(.index, "unsqueeze") { try a.unsqueeze(.max) }
    expectTensorError(.index, "select") { try a.select(0, .min) }
    expectTensorError(.index, "indexSelect", operands: ["float32 [2, 3]", "int64 [1]"]) {
      try a.indexSelect(0, Tensor([2]))
    }
    for (start, length) in [(1, 2), (0, -1), (9, 0), (.max, 1), (0, .max), (.min, 0)] {
      #expect(throws: TensorError.self) { try a.narrow(0, from: start, length: length) }
    }
    #expect(throws: TensorError.self) { try a.gather(1, Tensor([3], shape: [1, 1])) }
    #expect(throws: TensorError.self) { try a.top(4) }
    #expect(throws: TensorError.self) { try a.top(-1) }
    #expect(throws: TensorError.self) { try Tensor.zeros([0]).largest(0) }
    #expect(throws: TensorError.self) { try Tensor.zeros([0]).argmax(0) }
  }

  @Test func typesThatDoNotFit() throws {
    #expect(throws: TensorError.self) { try Tensor([1, 2]).mean() }
    #expect(throws: TensorError.self) { try Tensor([true]).negated() }
    #expect(throws: TensorError.self) { try Tensor([1, 2]).setRequiresGradient(true) }
    #expect(throws: TensorError.self) { try Tensor.zeros([2, 2]).matmul(Tensor([1, 2, 3, 4], shape: [2, 2])) }
    #expect(throws: TensorError.self) { try Tensor.zeros([2]).indexSelect(0, Tensor([0.5])) }
    #expect(throws: TensorError.self) { try Tensor.full([1], 1e300, dtype: .uint8) }
    expectTensorError(.type, "crossEntropy", containing: "int64") {
      try Tensor.zeros([2, 3]).crossEntropy(targets: Tensor([0.0, 1]))
    }
    expectTensorError(.type, "crossEntropy", containing: "floating") {
      try Tensor([1, 2], shape: [1, 2]).crossEntropy(targets: Tensor([0]))
    }
  }

  @Test(arguments: [
    [-1], [2, -3], [.min], [1 << 62], [.max], [.max, .max], [1 << 32, 1 << 32], [1 << 40, 1 << 20], [-1, 0],
    [1 << 31, 1 << 31, 1 << 31], [1 << 50],
  ]) func absurdShapes(_ shape: [Int]) throws {
    try withLeakCheck {
      #expect(throws: TensorError.self) { try Tensor.zeros(shape) }
      #expect(throws: TensorError.self) { try Tensor.empty(shape, dtype: .float64) }
      #expect(throws: TensorError.self) { try Tensor([1], shape: shape) }
      let generator = try Generator(seed: 1)
      #expect(throws: TensorError.self) { try Tensor.normal(shape, generator: generator) }
      #expect(throws: TensorError.self) { try Tensor.uniform(shape, generator: generator) }
      #expect(throws: TensorError.self) { try Tensor.bernoulli(shape, probability: 0.5, generator: generator) }
      if shape != [-1] { #expect(throws: TensorError.self) { try Tensor([1, 2]).reshape(shape) } }
    }
  }

  @Test func memoryThatIsNotThere() {
    expectTensorError(.outOfMemory, "empty", containing: "memory") { try Tensor.empty([1 << 50]) }
    expectTensorError(.outOfMemory, "contiguous", operands: ["float32 [1125899906842624]"], containing: "memory") {
      try Tensor(1).expand([1 << 50]).contiguous()
    }
  }

  @Test func errorsAreFreed() throws {
    let x = try Tensor.zeros([2, 3])
    withLeakCheck {
      for _ in 0..<100 {
        #expect(throws: TensorError.self) { try x + Tensor.zeros([4]) }
        #expect(throws: TensorError.self) { try Tensor.empty([1 << 50]) }
      }
    }
  }

  @Test func absurdViewsCanBeMadeButNotCopied() throws {
    let huge = try Tensor([1.0]).expand([1 << 61])
    #expect(huge.count == 1 << 61)
    #expect(throws: TensorError.self) { try huge.values(as: Double.self) }
    #expect(throws: TensorError.self) { try huge.values(as: Float.self) }
    #expect(throws: TensorError.self) { try huge.clone() }
    #expect(throws: TensorError.self) { try huge + 1 }
    #expect(throws: TensorError.self) { try huge.contiguous() }
    #expect(throws: TensorError.self) { try Safetensors.encode([("huge", huge)]) }
    expectTensorError(.invalid, "copyBytes") {
      var bytes = [UInt8](repeating: 0, count: 8)
      try bytes.withUnsafeMutableBytes { try huge.copyBytes(into: $0) }
    }
    #expect(throws: TensorError.self) { try Tensor.arange(0..<Int.max) }
    #expect(throws: TensorError.self) { try Tensor.arange(Int.min..<Int.max) }
  }

  @Test func gatheringRows() throws {
    let table: [UInt8] = [0, 1, 2, 3, 4, 5, 255, 7, 8]
    try table.withUnsafeBytes { bytes in
      let rows = try Tensor.gatherRows(bytes, features: 3, indices: [2, 0, 2], scales: [1 / 255], offsets: [0])
      try expectClose(
        rows, [255, 7, 8, 0, 1, 2, 255, 7, 8].map { $0 / 255 }, shape: [3, 3], dtype: .float32, rtol: 1e-6)
      #expect(try Tensor.gatherRows(bytes, features: 3, indices: [], scales: [1], offsets: [0]).shape == [0, 3])
      // A last row that is not whole does not count.
      expectTensorError(.index, "gatherRows", operands: [], containing: "example 2") {
        try Tensor.gatherRows(bytes, features: 4, indices: [2], scales: [1], offsets: [0])
      }
      for index in [3, -1, Int.max, Int.min] {
        expectTensorError(.index, "gatherRows", containing: "\(index)") {
          try Tensor.gatherRows(bytes, features: 3, indices: [0, index], scales: [1], offsets: [0])
        }
      }
      expectTensorError(.invalid, "gatherRows") {
        try Tensor.gatherRows(bytes, features: 0, indices: [0], scales: [1], offsets: [0])
      }
      expectTensorError(.invalid, "gatherRows") {
        try Tensor.gatherRows(bytes, features: -3, indices: [0], scales: [1], offsets: [0])
      }
    }
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    expectTensorError(.index, "gatherRows") {
      try Tensor.gatherRows(none, features: 3, indices: [0], scales: [1], offsets: [0])
    }
  }

  @Test func threadCounts() throws {
    let before = Runtime.threadCount
    for count in [0, -1, 1025, .max, .min] {
      expectTensorError(.invalid, "setThreadCount", containing: "1 to 1024") { try Runtime.setThreadCount(count) }
    }
    #expect(Runtime.threadCount == before)
    try Runtime.setThreadCount(1)
    #expect(Runtime.threadCount == 1)
    try Runtime.setThreadCount(before)
  }

  @Test func devicesThatAreMissing() throws {
    guard try Runtime.cudaDeviceCount() == 0 else { return }
    expectTensorError(.invalid, "zeros", containing: "CUDA") {
      do { return try Tensor.zeros([1], device: .cuda(0)) } catch let error as TensorError {
        throw TensorError(kind: error.kind, operation: "zeros", reason: error.reason)
      }
    }
    expectTensorError(.invalid, "to", operands: ["float32 []"]) { try Tensor(1).to(device: .cuda(-7)) }
    expectTensorError(.invalid, "Generator") { try Generator(seed: 1, device: .cuda(0)) }
  }

  @Test func whyThereIsNoCUDAIsSaid() throws {
    guard try Runtime.cudaDeviceCount() == 0 else {
      #expect(try Runtime.cudaProblem() == nil)
      return
    }
    let problem = try #require(try Runtime.cudaProblem())
    // The library is missing, does not load, has no device, or a test before this one made libtorch decide.
    let known = ["no libtorch_cuda.so in", "cannot be loaded: ", "but has no device: ", "before libtorch_cuda"]
    #expect(known.contains { problem.contains($0) }, "\(problem)")
    expectTensorError(.invalid, "Generator", containing: problem) { try Generator(seed: 1, device: .cuda(0)) }
  }

  @Test func theRuntimeDescribesItself() throws {
    #expect(Runtime.compiledVersion.hasPrefix("2.11"))
    #expect(try Runtime.loadedVersion()?.hasPrefix("2.11") ?? true)
    #expect(try Runtime.libraryPath().hasSuffix("lib"))
    #expect(try !Runtime.cpuCapability().isEmpty && !Runtime.loadedDescription().isEmpty)
    #expect(Runtime.peakResidentBytes > 1 << 20)
    try Runtime.synchronize(.cpu)
    #expect(Processor.current.coreCount >= 1)
  }

  @Test func anErrorIsASentence() {
    let error = TensorError(kind: .invalid, operation: "+", operands: pair, reason: "they differ")
    #expect(error.description == "+ on float32 [2, 3] and float32 [4, 5]: they differ")
    #expect(TensorError(kind: .index, operation: "x", reason: "r").description == "x: r")
  }
}
