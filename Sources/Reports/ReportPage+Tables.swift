// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

extension ReportPage {
  /// The table of runs.
  var table: String {
    let heads = [
      ("Run", ""), ("Data set", ""), ("Model", ""), ("Optimizer", ""), ("Noise level", "n"),
      ("Steps", "n"), ("Last", "n"), ("Best", "n"), ("Validation-<wbr>selected", "n"), ("Time", "n"), ("Files", ""),
    ]
    let head = heads.map { "<th scope=\"col\"\($0.1.isEmpty ? "" : " class=\"n\"")>\($0.0)</th>" }.joined()
    return """
      <section><h2>Runs</h2>
      <div class="scroll"><table><thead><tr>\(head)</tr></thead><tbody>
      \(runs.flatMap(\.each).map(row).joined(separator: "\n"))
      </tbody></table></div>
      <p class="quiet">Last, best and validation-selected are test accuracies: at the last evaluation, at the best one \
      on the test set (which uses test data, so it is not available in practice), and at the one that validation chose.</p>
      </section>
      """
  }

  private func row(for run: RunData) -> String {
    let manifest = run.manifest
    let test = run.accuracy("test").filter(\.value.isFinite)
    let summary = manifest.summary
    let last = summary?.last?.testAccuracy ?? test.last?.value
    let best = summary?.best?.testAccuracy ?? test.map(\.value).max()
    var optimizer = manifest.optimizer ?? "–"
    if let rate = manifest.learningRate { optimizer += ", lr \(rate)" }
    if let size = manifest.batchSize { optimizer += ", batch \(size)" }
    if let epsilon = manifest.privacy?.epsilon { optimizer += ", ε = \(Wording.rounded(epsilon, digits: 3))" }
    var model = Wording.html(manifest.model)
    if let count = manifest.parameterCount {
      model += "<br><span class=\"quiet\">\(Wording.integer(count)) parameters</span>"
    }
    let kind = manifest.noise.kind == RunManifest.Noise.external ? "labels from a file" : manifest.noise.kind
    var noise = Wording.html(Wording.level(run.noiseLevel) + (run.noiseLevel > 0 ? ", \(kind)" : ""))
    if let realised = manifest.noise.realisedRate, realised > 0 {
      noise += "<br><span class=\"quiet\">\(Wording.html(Wording.percent(realised))) of labels changed</span>"
    }
    let steps = (summary?.steps ?? run.lastStep).map(Wording.integer) ?? "–"
    let status = manifest.status == .completed ? "" : "<br><span class=\"quiet\">\(manifest.status.rawValue)</span>"
    let cells = [
      Wording.html(manifest.dataset.name), model, Wording.html(optimizer),
    ]
    let numbers = [
      noise, steps + status,
      accuracy(last), accuracy(best, summary?.best?.step),
      accuracy(summary?.validationSelected?.testAccuracy, summary?.validationSelected?.step),
      summary?.wallSeconds.map(Wording.duration) ?? "–",
    ]
    let name = "<th scope=\"row\">\(swatch(run))\(Wording.html(run.label))</th>"
    return "<tr>" + name + cells.map { "<td>\($0)</td>" }.joined()
      + numbers.map { "<td class=\"n\">\($0)</td>" }.joined() + "<td>\(links(for: run))</td></tr>"
  }

  private func accuracy(_ value: Double?, _ step: Int? = nil) -> String {
    guard let value else { return "–" }
    let place = step.map { "<br><span class=\"quiet\">step \(Wording.integer($0))</span>" } ?? ""
    return Wording.html(Wording.percent(value, digits: 2)) + place
  }

  private func links(for run: RunData) -> String {
    guard let folder else { return Wording.html(run.directory.name) }
    let base = Self.relativePath(from: folder, to: run.directory.url)
    let coherence = run.coherence.isEmpty ? [] : ["coherence.csv"]
    let contributions = run.contributions.isEmpty ? [] : ["contributions.csv"]
    let intervals = !run.hasIntervals ? [] : ["coherence-intervals.csv"]
    let measures = run.measures.isEmpty ? [] : ["measures.csv"]
    return (["metrics.csv"] + coherence + intervals + contributions + measures + ["examples.csv", "manifest.json"])
      .filter {
        FileManager.default.fileExists(atPath: run.directory.url.appendingPathComponent($0).path)
      }.map { name in
        let path = (base + name).addingPercentEncoding(withAllowedCharacters: .urlPathAllowed) ?? name
        return "<a href=\"\(Wording.html(path))\">\(name)</a>"
      }.joined(separator: "<br>")
  }

  /// The relative path between folders, with a slash at the end unless empty.
  static func relativePath(from folder: URL, to target: URL) -> String {
    let from = folder.standardizedFileURL.pathComponents
    let to = target.standardizedFileURL.pathComponents
    let shared = zip(from, to).prefix { $0 == $1 }.count
    let steps = Array(repeating: "..", count: from.count - shared) + to[shared...]
    return steps.isEmpty ? "" : steps.joined(separator: "/") + "/"
  }

  /// The commands that made the runs.
  var commands: String {
    let lines = runs.flatMap(\.each).filter { !$0.manifest.commandLine.isEmpty }.map { run in
      """
      <dt>\(Wording.html(run.label))</dt><dd><code>\(Wording.code(Wording.shell(run.manifest.commandLine)))</code></dd>
      """
    }
    guard !lines.isEmpty else { return "" }
    return "<section><h2>How to reproduce these runs</h2><dl>\(lines.joined(separator: "\n"))</dl></section>"
  }

  /// Where the numbers come from.
  var provenance: String {
    let manifests = runs.flatMap(\.each).map(\.manifest)
    func values(_ value: (RunManifest) -> String?) -> String? {
      let distinct = Set(manifests.compactMap(value)).sorted()
      return distinct.isEmpty ? nil : distinct.joined(separator: "; ")
    }
    let facts: [(String, String?)] = [
      ("Program", values(\.tool.title)),
      ("libtorch", values { $0.libtorch.map { "\($0.loaded) (compiled against \($0.compiled))" } }),
      ("Processor", values(\.machine.cpuModel)),
      (
        "Device and threads",
        values { manifest in
          let threads = manifest.machine.threads.map { "\($0) thread\($0 == 1 ? "" : "s")" }
          let parts = [manifest.machine.device, threads].compactMap { $0 }
          return parts.isEmpty ? nil : parts.joined(separator: ", ")
        }
      ),
      (
        "Numerics",
        values { manifest in
          let parts = manifest.numerics.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
          return parts.isEmpty ? nil : parts.joined(separator: ", ")
        }
      ),
      ("Seeds", values { "\($0.seed)" }),
      ("Peak memory", values { $0.summary?.peakRSSBytes.map(Wording.bytes) }),
      ("Started", values { $0.created.formatted(Date.ISO8601FormatStyle()) }),
      (
        "Data (SHA-256)",
        values { manifest in
          let files = manifest.dataset.files.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.prefix(12))…" }
          return files.isEmpty ? nil : files.joined(separator: ", ")
        }
      ),
    ]
    let items = facts.compactMap { name, value in value.map { "<dt>\(name)</dt><dd>\(Wording.html($0))</dd>" } }
    return "<footer><h2>Provenance</h2><dl class=\"facts\">\(items.joined())</dl></footer>"
  }
}
