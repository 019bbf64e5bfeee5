// SPDX-License-Identifier: Apache-2.0

import Foundation

extension RunDirectory {
  /// What to do where a folder is no run directory: often it holds some, or is inside of one.
  static func remedy(forMissingManifestAt url: URL, path: String) -> String {
    let manager = FileManager.default
    func isRun(_ folder: URL) -> Bool {
      manager.fileExists(atPath: folder.appendingPathComponent(RunFile.manifest).path)
    }
    if isRun(url.deletingLastPathComponent()) {
      return "Name the run directory itself: \(url.deletingLastPathComponent().path)."
    }
    for inner in ["", "runs"] {
      let folder = inner.isEmpty ? url : url.appendingPathComponent(inner)
      let names = ((try? manager.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
      let runs = names.filter { isRun(folder.appendingPathComponent($0)) }
      guard !runs.isEmpty else { continue }
      let prefix = path.hasSuffix("/") ? path : path + "/"
      let shown = runs.prefix(3).map { prefix + (inner.isEmpty ? "" : inner + "/") + $0 }.joined(separator: ", ")
      return runs.count > 3
        ? "It holds \(runs.count) runs; name those you mean, such as \(shown)." : "Name the runs in it: \(shown)."
    }
    return "Name the folder that was given to coherent train with --out."
  }
}
