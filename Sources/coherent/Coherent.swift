// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import CBuildInfo
import Collectives
import RunStore

/// The command line: it parses, calls the libraries and prints. What it does lives in the other targets.
@main
struct Coherent: AsyncParsableCommand {
  static let version = "0.1.0"

  /// The program as a run's manifest names it.
  static var tool: RunManifest.Tool {
    let commit = String(cString: coherent_commit())
    return .init(version: version, commit: commit.isEmpty ? nil : commit)
  }

  /// As another rank any other command would do the same once more, and write the same files.
  ///
  /// - Throws: `ValidationError` when a launcher says that there are several ranks of a command that runs in one process.
  static func requireOneProcess() throws {
    let words = CommandLine.arguments.dropFirst()
    guard let launch = try? Launch(), launch.count > 1, let command = words.first, subcommandNames.contains(command),
      !["train", "measure"].contains(command),
      !(command == "study" && ["run", "cell"].contains(words.dropFirst().first))
    else { return }
    throw ValidationError(
      "coherent \(command) runs in one process, but \(launch.source ?? "a launcher") says that this is rank "
        + "\(launch.rank) of \(launch.count). Start it without torchrun, mpirun or srun; only train, measure and "
        + "study run have ranks.")
  }

  private static var subcommandNames: [String] { configuration.subcommands.map { $0._commandName } }

  static let configuration = CommandConfiguration(
    commandName: "coherent",
    abstract: "Measures, exploits and explains coherent gradients.",
    discussion: """
      Gradient descent averages per-example gradients. Directions that many examples share grow strong and generalise; \
      directions that few share stay weak and memorise. Start with `coherent demo`, then `coherent train --help`.
      """, version: version,
    subcommands: [
      Demo.self, Train.self, AuditCommand.self, Measure.self, Evaluate.self, Predict.self, Neighbours.self,
      ReportCommand.self, Serve.self, StudyCommand.self, DataCommand.self, ModelCommand.self, Doctor.self,
    ])
}
