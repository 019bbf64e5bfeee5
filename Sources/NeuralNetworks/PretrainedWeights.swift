// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors

/// What to do with the last layer of a model when weights are loaded.
public enum HeadPolicy: String, Sendable, Codable, CaseIterable {
  /// It comes from the file like every other layer.
  case require
  /// It keeps its own start, for another number of classes; the file may have one or not.
  case replace
}

/// Named tensors from a file in the safetensors format, for a model to start from.
///
/// Names are torchvision's. A tensor may be of any real type; it is converted to the model's.
public struct PretrainedWeights {
  /// The file's name, for messages.
  public let source: String
  private let tensors: [String: Tensor]

  /// Reads a file. No code is ever run from it.
  ///
  /// - Throws: `ModelError` that names the file: missing, cut off, or of another format.
  public init(file path: String) throws {
    let data: Data
    do {
      // A pipe would be waited for, and a device never ends.
      var facts = stat()
      guard stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { throw CocoaError(.fileReadUnknown) }
      data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw ModelError(
        exists
          ? "the weights file \(path) cannot be read; check that it is a file and its permissions"
          : "there is no weights file \(path); check the path for a typing error")
    }
    do {
      try self.init(tensors: Safetensors.decode(data).tensors, source: path)
    } catch let error as Safetensors.FormatError {
      let pickle = data.prefix(2) == Data("PK".utf8) || data.prefix(1) == Data([0x80])
      throw ModelError(
        "the weights file \(path) is not a complete safetensors file: \(error)"
          + (pickle
            ? "; it looks like a PyTorch pickle: save its state_dict with safetensors.torch.save_file"
            : "; copy or download it again"))
    }
  }

  /// Tensors that are in memory already.
  public init(tensors: [String: Tensor], source: String) throws {
    self.tensors = tensors
    self.source = source
  }

  /// The number of classes, from the last layer of a model; nil where there is no such layer.
  public func classCount(of specification: ModelSpecification) -> Int? {
    tensors[specification.head + ".weight"]?.shape.first
  }

  /// The tensors under the names that a model has them by: those of shared parameters under the first of their names.
  ///
  /// - Throws: `ModelError` when the file has two values for one parameter.
  private func joined(for model: any Module, _ specification: ModelSpecification) throws -> [String: Tensor] {
    var tensors = tensors
    for (name, first) in model.sharedParameterNames {
      guard let other = tensors.removeValue(forKey: name) else { continue }
      guard let own = tensors[first] else {
        tensors[first] = other
        continue
      }
      guard try own.shape == other.shape && own.equal(other).all().values() == [true] else {
        throw ModelError(
          "the weights in \(source) have two values for one parameter of \(specification): \(first) and \(name) differ, "
            + "but are tied in the model; make them equal, or choose a model without tied weights")
      }
    }
    return tensors
  }

  /// Overwrites a model's parameters and buffers. Nothing is written unless everything fits. Parameters that are shared
  /// may be in the file under any of their names.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - specification: its word, which tells the last layer and what else such files hold.
  ///   - head: what to do with the last layer.
  /// - Throws: `ModelError` that lists what is missing, what belongs to no layer, and what has another shape, or names two
  ///   values for one parameter.
  public func load(into model: any Module, _ specification: ModelSpecification, head: HeadPolicy = .require) throws {
    let tensors = try joined(for: model, specification)
    let ownHead = specification.head + "."
    var targets: [(name: String, value: Tensor)] = model.namedParameters.map { ($0.name, $0.parameter.value) }
    targets += model.namedBuffers.map { ($0.name, $0.buffer.value) }
    if head == .replace { targets.removeAll { $0.name.hasPrefix(ownHead) } }
    let known = Set(targets.map(\.name))
    let ignored = specification.entry?.ignoredWeights ?? []
    var misfits = Misfits()
    misfits.extra = tensors.keys.filter { name in
      !known.contains(name) && !name.hasSuffix("num_batches_tracked") && !ignored.contains { name.hasPrefix($0) }
        && !(head == .replace && name.hasPrefix(ownHead))
    }.sorted()
    for (name, value) in targets {
      guard let saved = tensors[name] else {
        misfits.missing.append(name)
        continue
      }
      if saved.shape != value.shape {
        misfits.shapes.append((name, "\(name): \(saved.shape) in the file, \(value.shape) in the model"))
      } else if try ![.float32, .float64, .float16, .bfloat16].contains(saved.dtype) {
        misfits.shapes.append((name, "\(name): \(try saved.dtype), not real numbers"))
      }
    }
    guard misfits.isEmpty else {
      let other = misfits.isOfHead(ownHead) ? nil : Self.architecture(of: tensors)
      throw ModelError(misfits.sentence(source, specification, head: ownHead, architecture: other))
    }
    for (name, value) in targets { if let saved = tensors[name] { try value.copy(from: saved) } }
  }
}

/// What of a file and a model does not belong together.
private struct Misfits {
  var missing: [String] = []
  var extra: [String] = []
  var shapes: [(name: String, text: String)] = []

  var isEmpty: Bool { missing.isEmpty && extra.isEmpty && shapes.isEmpty }

  private func list(_ items: [String]) -> String {
    let shown = items.prefix(3).joined(separator: ", ")
    return items.count > 3 ? shown + " and \(items.count - 3) more" : shown
  }

  /// Whether only the last layer differs.
  func isOfHead(_ head: String) -> Bool { (missing + extra + shapes.map(\.name)).allSatisfy { $0.hasPrefix(head) } }

  /// Whether only the running statistics of a normalisation differ.
  private var isOfStatistics: Bool {
    shapes.isEmpty && (missing + extra).allSatisfy { $0.hasSuffix("running_mean") || $0.hasSuffix("running_var") }
  }

  /// - Parameter architecture: what the file looks like.
  func sentence(_ source: String, _ specification: ModelSpecification, head: String, architecture: String?) -> String {
    var parts: [String] = []
    if !missing.isEmpty { parts.append("it lacks \(missing.count) tensors of the model (\(list(missing)))") }
    if !extra.isEmpty { parts.append("\(extra.count) of its tensors belong to no layer (\(list(extra)))") }
    if !shapes.isEmpty { parts.append("\(shapes.count) differ in shape or type (\(list(shapes.map(\.text))))") }
    let other = architecture.flatMap { $0 == specification.description ? nil : $0 }
    let remedy =
      isOfHead(head)
      ? "only the last layer differs: with weights-head: replace (--weights-head replace) the model keeps its own, for "
        + "other classes"
      : isOfStatistics
        ? "the file's normalisation is another one: see norm"
        : other.map { "the file looks like the weights of \($0): use model \($0), or weights of \(specification)" }
          ?? "check that the file belongs to \(specification)"
    let problems = parts.joined(separator: "; ")
    return "the weights in \(source) do not fit \(specification): \(problems). Remedy: \(remedy)"
  }
}
