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
    self.init()
    let options = Dictionary(Self.options.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    for (key, value) in mapping {
      let name = key.string ?? "?"
      guard let option = options[name] else {
        let hint =
          nearest(to: name, in: Self.options.map(\.key)).map { "did you mean \"\($0)\"?" }
          ?? "coherent train --help lists them all"
        let line = key.mark.map { ", line \($0.line)" } ?? ""
        throw TrainingError(.configuration, "\(source)\(line): there is no option \"\(name)\"; \(hint)")
      }
      try option.read(value, into: &self, source: source)
    }
  }

  /// The configuration as YAML, every option that has a value, in alphabetical order.
  ///
  /// - Throws: an encoding error, which no configuration produces.
  public func yaml() throws -> String {
    let entries = try Self.options.compactMap { option in try option.node(of: self).map { (Node(option.key), $0) } }
    return try Yams.serialize(node: Node(entries), sortKeys: true)
  }

  /// The keys of the options in which two configurations differ, in the order of the options.
  ///
  /// - Throws: an encoding error, which no configuration produces.
  public func differences(from other: TrainingConfiguration) throws -> [String] {
    try Self.options.filter { try $0.node(of: self) != $0.node(of: other) }.map(\.key)
  }
}

extension Node { fileprivate var isEmptyMapping: Bool { mapping?.isEmpty ?? (string?.isEmpty ?? false) } }
