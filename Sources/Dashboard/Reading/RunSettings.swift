// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// What a run was set to: the lines of its `config.yaml`, and what the manifest adds, as text by key.
struct RunSettings: Sendable {
  /// Keys and values, in the order of the file.
  let values: [(key: String, value: String)]

  /// Reads the settings of a run.
  ///
  /// - Parameters:
  ///   - folder: the run directory; a run without a configuration has what its manifest says.
  ///   - manifest: the run's manifest.
  init(_ folder: URL, _ manifest: RunManifest?) {
    let text = (try? RunDirectory.open(at: folder.path).config()) ?? ""
    var values = Self.lines(of: text)
    if let manifest {
      var known: [(String, String?)] = [
        ("dataset", manifest.dataset.name), ("model", manifest.model), ("optimizer", manifest.optimizer),
        ("lr", manifest.learningRate.map { "\($0)" }), ("batch-size", manifest.batchSize.map { "\($0)" }),
        ("noise", "\(manifest.noise.rate)"), ("noise-kind", manifest.noise.kind), ("seed", "\(manifest.seed)"),
        ("steps", manifest.plannedSteps.map { "\($0)" }),
      ].filter { pair in !values.contains { $0.key == pair.0 } }
      known += [
        ("version", manifest.tool.title), ("libtorch", manifest.libtorch?.loaded),
        ("processor", manifest.machine.cpuModel), ("examples", manifest.dataset.trainExamples.map { "\($0)" }),
        ("parameters", manifest.parameterCount.map { "\($0)" }),
      ]
      values += known.compactMap { key, value in value.map { (key, $0) } }
    }
    self.values = values
  }

  /// The keys of a configuration with their values as text: those of inner maps behind a dot, those of lists with commas.
  static func lines(of yaml: String) -> [(key: String, value: String)] {
    var values: [(key: String, value: String)] = []
    var outer = ""
    for line in yaml.split(separator: "\n") {
      let trimmed = line.trimmingCharacters(in: .whitespaces)
      guard !trimmed.isEmpty, !trimmed.hasPrefix("#") else { continue }
      if trimmed.hasPrefix("- ") || trimmed == "-" {
        guard let last = values.indices.last else { continue }
        let item = trimmed.dropFirst(2)
        values[last].value += values[last].value.isEmpty ? String(item) : ", " + item
        continue
      }
      guard let colon = trimmed.firstIndex(of: ":") else { continue }
      let key = String(trimmed[..<colon])
      let value = trimmed[trimmed.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      let isInner = line.first == " "
      if !isInner { outer = key }
      values.append((isInner ? outer + "." + key : key, value))
    }
    // The head of an inner map has no value of its own.
    return values.filter { pair in !pair.value.isEmpty || !values.contains { $0.key.hasPrefix(pair.key + ".") } }
  }

  /// The keys in which settings differ, in the order of their first appearance, with the values of each; a dash where one
  /// has none.
  static func differences(_ settings: [RunSettings]) -> [(key: String, values: [String])] {
    var keys: [String] = []
    var seen: Set<String> = []
    for key in settings.flatMap({ $0.values.map(\.key) }) where seen.insert(key).inserted { keys.append(key) }
    let maps = settings.map { Dictionary($0.values.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last }) }
    return keys.compactMap { key in
      let values = maps.map { $0[key] ?? "–" }
      return Set(values).count > 1 ? (key, values) : nil
    }
  }
}
