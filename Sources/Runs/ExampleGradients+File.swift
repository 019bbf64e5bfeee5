// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors
import Training

extension ExampleGradients {
  /// The records of a file that a run has left, such as one of `RunDirectory.exampleGradientFiles()`.
  ///
  /// - Throws: `TrainingError` that names the file when it cannot be read, is damaged or holds something else.
  public init(contentsOf file: URL) throws {
    func failure(_ what: String) -> TrainingError {
      TrainingError(.checkpoint, "the records \(file.path) \(what); restore them from a copy, or run again")
    }
    guard let data = try? readFile(file) else { throw failure("are missing or cannot be read") }
    let (tensors, metadata): ([String: Tensor], [String: String])
    do {
      (tensors, metadata) = try Safetensors.decode(data)
    } catch {
      throw failure("are damaged: \(error)")
    }
    func array<Element: TensorElement>(_ name: String) throws -> [Element] {
      guard let tensor = tensors[name], try tensor.dtype == Element.dtype, tensor.rank == 1,
        tensor.count == tensors["index"]?.count
      else { throw failure("lack a complete array \"\(name)\"") }
      return try tensor.values()
    }
    guard let split = metadata["split"], let square = metadata["mean_squared_norm"].flatMap(Double.init) else {
      throw failure("do not state their split and mean_squared_norm")
    }
    try self.init(
      split: split, indices: array("index"), labels: array("label"), isCorrupt: array("is_corrupt"),
      meanSquaredNorm: square, dots: array("dot"), squaredNorms: array("squared_norm"), losses: array("loss"),
      margins: array("margin"), isCorrect: array("correct"), files: nil)
  }
}
