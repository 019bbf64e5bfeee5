// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import NeuralNetworks
import RunStore
import Training
import Yams

extension TrainingConfiguration {
  /// Reads a configuration from a YAML file.
  ///
  /// - Throws: `TrainingError` that names the file: missing, unreadable, not UTF-8, or as `init(yaml:source:)`.
  public init(file path: String) throws {
    let data: Data
    do {
      data = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      let exists = FileManager.default.fileExists(atPath: path)
      throw TrainingError(
        .configuration,
        exists
          ? "the configuration file \(path) cannot be read; check that it is a file and its permissions"
          : "there is no configuration file \(path); check the path for a typing error")
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw TrainingError(.configuration, "\(path) is not UTF-8 text; save it as plain YAML")
    }
    try self.init(yaml: text, source: path)
  }

  /// Reads a configuration from YAML: a mapping from option names to values.
  ///
  /// - Parameters:
  ///   - yaml: the text.
  ///   - source: the file's name, for messages.
  /// - Throws: `TrainingError` that names file and key: unknown keys (with the nearest known one) and values of the
  ///   wrong kind.
  public init(yaml: String, source: String) throws {
    let node: Node?
    do {
      node = try Yams.compose(yaml: yaml)
    } catch {
      throw TrainingError(.configuration, "\(source) is not valid YAML: \(error)")
    }
    guard let node, node.isEmptyMapping == false else {
      self.init()
      return
    }
    guard let mapping = node.mapping else {
      throw TrainingError(.configuration, "\(source) must be a list of \"option: value\" lines, such as \"lr: 0.1\"")
    }
    let known = CodingKeys.allCases.map(\.rawValue)
    for (key, _) in mapping {
      let name = key.string ?? "?"
      guard known.contains(name) else {
        let hint =
          nearest(to: name, in: known).map { "did you mean \"\($0)\"?" } ?? "coherent train --help lists them all"
        throw TrainingError(.configuration, "\(source)\(Self.line(of: key)): there is no option \"\(name)\"; \(hint)")
      }
    }
    do {
      self = try YAMLDecoder().decode(TrainingConfiguration.self, from: yaml)
    } catch let error as DecodingError {
      throw Self.readable(error, mapping, source)
    } catch {
      throw TrainingError(.configuration, "\(source) cannot be read: \(error)")
    }
  }

  /// The configuration as YAML, every option that has a value, in alphabetical order.
  ///
  /// - Throws: an encoding error, which no configuration produces.
  public func yaml() throws -> String {
    guard var node = try Yams.compose(yaml: YAMLEncoder().encode(self)) else { return "" }
    // The encoder keeps 15 digits of some numbers; a run that is resumed needs them all.
    for (key, value) in [
      (CodingKeys.lr, lr), (.momentum, momentum), (.weightDecay, weightDecay), (.noise, noise), (.epochs, epochs),
      (.stopAccuracy, stopAccuracy), (.testFraction, testFraction),
    ] {
      if let value { node[key.rawValue] = Node("\(value)", Tag(.float)) }
    }
    return try Yams.serialize(node: node, sortKeys: true)
  }

  private static func line(of node: Node?) -> String { node?.mark.map { ", line \($0.line)" } ?? "" }

  /// A decoding error as a sentence with the file, the line, the key and what was expected.
  private static func readable(_ error: DecodingError, _ mapping: Node.Mapping, _ source: String) -> TrainingError {
    switch error {
    case .typeMismatch(_, let context), .dataCorrupted(let context), .valueNotFound(_, let context),
      .keyNotFound(_, let context):
      guard let name = context.codingPath.first?.stringValue, let key = CodingKeys(rawValue: name) else {
        return TrainingError(.configuration, "\(source) cannot be read: \(context.debugDescription)")
      }
      if key == .tags, let tag = context.codingPath.dropFirst().first?.stringValue {
        let place = line(of: mapping[name]?.mapping?[Node(tag)] ?? mapping[name])
        return TrainingError(.configuration, "\(source)\(place): tag \"\(tag)\" must be a word")
      }
      let value = mapping[name]?.string.map { "\"\($0)\"" } ?? "a list"
      return TrainingError(
        .configuration, "\(source)\(line(of: mapping[name])): \(name) must be \(expectation(of: key)), not \(value)")
    @unknown default:
      return TrainingError(.configuration, "\(source) cannot be read: \(error)")
    }
  }

  private static func expectation(of key: CodingKeys) -> String {
    switch key {
    case .noise, .lr, .momentum, .weightDecay, .epochs, .stopAccuracy, .testFraction: "a number"
    case .noisyTestProbes, .nesterov, .allowMomentum, .allowMissing, .skipBad, .dropLast: "true or false"
    case .probe: "a list of words such as [coherence@log]"
    case .freeze: "a list of patterns such as [layer1, '*.bias']"
    case .tags: "a map of words such as {study: noise}"
    case .normalize: "one of " + PixelNormalization.allCases.map(\.rawValue).joined(separator: ", ")
    case .noiseKind: "one of " + NoiseKind.allCases.map(\.rawValue).joined(separator: ", ")
    case .weightsHead: "one of " + HeadPolicy.allCases.map(\.rawValue).joined(separator: ", ")
    case .evalSchedule: "one of " + EvaluationPolicy.allCases.map(\.rawValue).joined(separator: ", ")
    case .select: "one of " + WeightSelection.allCases.map(\.rawValue).joined(separator: ", ")
    case .initializer: "one of " + Initializer.allCases.map(\.rawValue).joined(separator: ", ")
    case .dataset, .dataDir, .labels, .split, .augment, .model, .norm, .weights, .optimizer, .schedule, .device,
      .linear, .keep:
      "a word"
    case .seed: "a whole number of at least 0"
    case .imageSize, .resize, .workers, .prefetch, .warmup: "a whole number"
    case .subset, .testSubset, .validation, .batchSize, .steps, .threads, .evalEvery, .checkpointEvery: "a whole number"
    }
  }
}

extension Node {
  fileprivate var isEmptyMapping: Bool { mapping?.isEmpty ?? (string?.isEmpty ?? false) }
}
