// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors
import Runs
import Training

/// What computed a cell that is no training run, and how long it took: `measured/NAME.json`, beside the numbers.
struct ComputationRecord: Codable, Sendable, Equatable {
  let tool: RunManifest.Tool
  let libtorch: RunManifest.Libtorch
  let machine: RunManifest.Machine
  let wallSeconds: Double

  /// The record of a computation in this process.
  init(tool: RunManifest.Tool, wallSeconds: Double) throws {
    (self.tool, self.wallSeconds) = (tool, wallSeconds)
    (libtorch, machine) = (try .current(), .current(device: "cpu", threads: Runtime.threadCount))
  }

  func write(to file: URL) throws { try writeAtomically(prettyJSON(self) + Data("\n".utf8), to: file) }

  /// The record in a file; nil where there is none that can be read.
  static func read(_ file: URL) -> ComputationRecord? {
    (try? readFile(file)).flatMap { try? JSONDecoder().decode(Self.self, from: $0) }
  }
}
