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
      data = try readFile(URL(fileURLWithPath: path))
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
    guard let node = try StrictYAML.compose(yaml, source: source), node.isEmptyMapping == false else {
      self.init()
      return
    }
    guard let mapping = node.mapping else {
      throw TrainingError(.configuration, "\(source) must be a list of \"option: value\" lines, such as \"lr: 0.1\"")
    }
    self.init()
    for (key, value) in mapping {
      let line = key.mark.map { ", line \($0.line)" } ?? ""
      try Self.option(key.string ?? "?", at: source + line).read(value, into: &self, source: source)
    }
  }

  private static let optionsByKey = Dictionary(options.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })

  private static func option(_ name: String, at place: String) throws -> TrainingOption {
    if let option = optionsByKey[name] { return option }
    let hint =
      nearest(to: name, in: options.map(\.key)).map { "did you mean \"\($0)\"?" }
      ?? "coherent train --help lists them all"
    throw TrainingError(.configuration, "\(place): there is no option \"\(name.prefix(200))\"; \(hint)")
  }

  /// This configuration with options given as text, as on the command line.
  ///
  /// - Parameters:
  ///   - set: the texts by the options' names.
  ///   - source: what gave them, for messages, such as "--set".
  /// - Throws: `TrainingError` that names an unknown option or a wrong value.
  package func overridden(by set: [String: String], source: String) throws -> TrainingConfiguration {
    guard var mapping = try Yams.compose(yaml: yaml())?.mapping else { return self }
    // A null leaves the default. A run is so many steps or so many epochs long.
    for key in set["epochs"] == nil ? Array(set.keys) : set.keys + ["steps"] { mapping[Node(key)] = nil }
    var result = try TrainingConfiguration(yaml: Yams.serialize(node: .mapping(mapping)), source: source)
    for (key, text) in set.sorted(by: { $0.key < $1.key }) {
      let option = try Self.option(key, at: source)
      let node = try StrictYAML.compose(text, source: "\(source) \(key)") ?? Node("")
      try option.read(node, into: &result, source: source, hasLines: false)
    }
    return result
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
