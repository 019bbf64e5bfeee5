// SPDX-License-Identifier: Apache-2.0

import Collectives
import Foundation
import NeuralNetworks
import RunStore
import Tensors
import Training

/// A training by several processes, seen from one of them. Rank 0 has the run directory and speaks; the others compute.
public struct Ranks {
  /// The processes.
  public let group: ProcessGroup
  private let launch: Launch

  /// Joins the processes that a launcher started with this one; nil for a process of its own.
  ///
  /// - Parameters:
  ///   - launch: what the launcher said.
  ///   - tool: this program; all ranks have to be of one version.
  ///   - timeout: how long ranks wait for each other.
  ///   - device: what they will compute on, as far as that is known: libtorch keeps what it first learned of CUDA, and an
  ///     exchange may ask. What is wrong with the word is for later, when all ranks can hear it.
  /// - Throws: `ProcessGroupError` when some do not come, or are of another version.
  public init?(
    _ launch: Launch, tool: RunManifest.Tool, timeout: Duration = ProcessGroup.usualTimeout,
    device: @autoclosure () -> String? = nil
  ) throws {
    guard launch.count > 1 else { return nil }
    if device()?.hasPrefix("cuda") == true { _ = try? Runtime.cudaDeviceCount() }
    self.launch = launch
    group = try ProcessGroup(launch, timeout: timeout)
    try group.requireSame(
      [tool.name, tool.version, tool.commit].compactMap { $0 }.joined(separator: " "), "the program")
  }

  /// Whether this rank writes the run directory and speaks.
  public var isFirst: Bool { group.rank == 0 }

  /// Options that may differ from host to host, and change no result that the data does not show.
  private static let local: Set<String> = [
    "data-dir", "labels", "corrections", "split", "weights", "threads", "workers", "prefetch",
  ]

  /// Checks that all ranks were given the same options, and shares the host's processors among its ranks.
  ///
  /// - Throws: `ProcessGroupError` that names the options that differ.
  public func agree(on configuration: inout TrainingConfiguration) throws {
    setThreads(&configuration)
    let all = try group.texts(configuration.yaml()).enumerated().map {
      try TrainingConfiguration(yaml: $1, source: "the configuration of rank \($0)")
    }
    for (rank, other) in all.enumerated() {
      let differing = try other.differences(from: all[0]).filter { !Self.local.contains($0) }
      guard differing.isEmpty else {
        throw ProcessGroupError(
          "rank \(rank) was given another \(differing.joined(separator: ", ")) than rank 0; start all ranks with the "
            + "same options")
      }
    }
  }

  private func setThreads(_ configuration: inout TrainingConfiguration) {
    if configuration.threads == nil { configuration.threads = threads }
  }

  /// This rank's share of the host's processors; nil where the environment has chosen.
  public var threads: Int? {
    let environment = ProcessInfo.processInfo.environment
    // torchrun sets one thread by itself where nobody has chosen.
    let isChosen =
      environment["OMP_NUM_THREADS"].map { $0 != "1" || environment["TORCHELASTIC_RUN_ID"] == nil } ?? false
    return isChosen ? nil : launch.threads(processors: ProcessInfo.processInfo.activeProcessorCount)
  }

  /// What the other ranks need to know of a training.
  public struct Announcement: Codable {
    fileprivate var yaml: String
    /// Who computes the products of linear layers on rank 0.
    public fileprivate(set) var linearPolicy: LinearPolicy
  }

  /// Tells the other ranks what rank 0 is about to train; nothing when the run is complete already.
  ///
  /// - Throws: `ProcessGroupError` when one of them is lost.
  public func announce(_ run: TrainingRun) throws {
    guard !run.isComplete, let yaml = try run.configuration?.yaml() else {
      _ = try group.broadcast(Data())
      return
    }
    let announcement = Announcement(yaml: yaml, linearPolicy: run.trainer.linearPolicy)
    _ = try group.broadcast(JSONEncoder().encode(announcement))
  }

  /// What rank 0 trains; nil when there is nothing left to do.
  ///
  /// - Parameter own: what this rank was told, for the places of its files and its threads; nil where the run's own hold.
  /// - Throws: `ProcessGroupError` when rank 0 is lost.
  public func announced(
    own: TrainingConfiguration?
  ) throws -> (configuration: TrainingConfiguration, linearPolicy: LinearPolicy)? {
    let bytes = try group.broadcast(Data())
    guard !bytes.isEmpty else { return nil }
    let announcement = try JSONDecoder().decode(Announcement.self, from: bytes)
    var configuration = try TrainingConfiguration(yaml: announcement.yaml, source: "the configuration of rank 0")
    if let own {
      configuration.threads = nil
      for option in TrainingConfiguration.options where Self.local.contains(option.key) {
        option.copy(from: own, to: &configuration)
      }
      setThreads(&configuration)
    }
    return (configuration, announcement.linearPolicy)
  }
}
