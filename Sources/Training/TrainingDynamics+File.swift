// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors

extension TrainingDynamics {
  /// Everything by name, for checkpoints and files.
  func tensors() throws -> [(name: String, tensor: Tensor)] {
    [
      ("index", try Tensor(indices)), ("label", try Tensor(labels)), ("class_count", try Tensor([classCount])),
      ("visits", try Tensor(visits)), ("wrong", try Tensor(wrong)), ("forgetting", try Tensor(forgetting)),
      ("streak", try Tensor(streak)), ("first_streak", try Tensor(firstStreak)),
      ("margin_sum", try Tensor(marginSum)), ("loss_sum", try Tensor(lossSum)),
      ("probability_sum", try Tensor(probabilitySum)), ("early_error_sum", try Tensor(earlyErrorSum)),
      ("moments", try Tensor([moments])), ("norm_sum", try Tensor(normSum)),
      ("self_influence", try Tensor(selfInfluence)), ("others_push", try Tensor(othersPush)),
      ("cosine_sum", try Tensor(cosineSum)), ("class_cosine_sum", try Tensor(classCosineSum)),
      ("final_logits", try Tensor(finalLogits)), ("neighbour_agreement", try Tensor(neighbourAgreement)),
    ]
  }

  /// - Throws: `TrainingError` when an array is missing or has another length or type.
  init(_ tensors: [String: Tensor]) throws {
    func array<Element: TensorElement>(_ name: String) throws -> [Element] {
      guard let tensor = tensors[name], try tensor.dtype == Element.dtype, tensor.rank == 1 else {
        throw TrainingError(.checkpoint, "the training dynamics lack a complete array \"\(name)\"")
      }
      return try tensor.values()
    }
    func number(_ name: String) throws -> Int {
      let values: [Int] = try array(name)
      return values.count == 1 ? values[0] : -1
    }
    let (indices, classCount): ([Int], Int) = try (array("index"), max(1, number("class_count")))
    // The sums of probabilities have a number for every example and class.
    guard indices.count.multipliedReportingOverflow(by: classCount).partialValue == tensors["probability_sum"]?.count,
      !indices.count.multipliedReportingOverflow(by: classCount).overflow
    else { throw TrainingError(.checkpoint, "the training dynamics have no \(classCount) classes as they say") }
    try self.init(indices: indices, labels: array("label"), classCount: classCount)
    func take<Element: TensorElement>(
      _ name: String, _ path: WritableKeyPath<Self, [Element]>, isFinal: Bool = false
    ) throws {
      let values: [Element] = try array(name)
      let expected = self[keyPath: path].count
      let finalCount = name == "final_logits" ? count * classCount : count
      guard values.count == expected || isFinal && values.count == finalCount else {
        throw TrainingError(
          .checkpoint, "the training dynamics have \(values.count) values \"\(name)\" where \(expected) are expected")
      }
      self[keyPath: path] = values
    }
    try take("visits", \.visits)
    try take("wrong", \.wrong)
    try take("forgetting", \.forgetting)
    try take("streak", \.streak)
    try take("first_streak", \.firstStreak)
    try take("margin_sum", \.marginSum)
    try take("loss_sum", \.lossSum)
    try take("probability_sum", \.probabilitySum)
    try take("early_error_sum", \.earlyErrorSum)
    try take("norm_sum", \.normSum)
    try take("self_influence", \.selfInfluence)
    try take("others_push", \.othersPush)
    try take("cosine_sum", \.cosineSum)
    try take("class_cosine_sum", \.classCosineSum)
    try take("final_logits", \.finalLogits, isFinal: true)
    try take("neighbour_agreement", \.neighbourAgreement, isFinal: true)
    moments = try number("moments")
    let counts = [visits, wrong, forgetting, streak, firstStreak, [moments]]
    guard counts.allSatisfy({ $0.allSatisfy { (0...Int(Int32.max)).contains($0) } }) else {
      throw TrainingError(.checkpoint, "the training dynamics count what no training has counted")
    }
    guard labels.count == count, labels.allSatisfy({ 0 <= $0 && $0 < classCount }), moments >= 0 else {
      throw TrainingError(.checkpoint, "the training dynamics have labels that are none of their classes")
    }
  }

  /// The bytes of a safetensors file with one array for each sum.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public func safetensors(step: Int) throws -> Data {
    try Safetensors.encode(tensors(), metadata: ["step": String(step)])
  }

  /// The dynamics that a run has left in a file.
  ///
  /// - Throws: `TrainingError` that names the file when it is missing, damaged or holds something else.
  public init(contentsOf file: URL) throws {
    guard let data = try? readFile(file) else {
      throw TrainingError(
        .checkpoint,
        "\(file.path) is missing or cannot be read: the run recorded no training dynamics; train with --probe dynamics, or "
          + "let coherent audit train")
    }
    do {
      try self.init(Safetensors.decode(data).0)
    } catch {
      throw TrainingError(
        .checkpoint, "\(file.path) is damaged: \(error); restore it from a copy, or train again")
    }
  }
}
