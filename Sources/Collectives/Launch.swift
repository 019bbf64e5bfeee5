// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a launcher told a process of its group: the variables of torchrun (or any script that sets `RANK` and
/// `WORLD_SIZE`), Open MPI's mpirun, MPICH's hydra and SLURM's srun. No library of theirs is linked.
public struct Launch: Sendable, Equatable {
  /// This process's place, from 0.
  public let rank: Int
  /// The number of processes, N.
  public let count: Int
  /// Where rank 0 listens.
  public let host: String
  /// Its port.
  public let port: Int
  /// The variable that the rank came from; nil for a process without a launcher.
  public let source: String?
  /// How many of the processes run on this host; nil where the launcher does not say.
  public let localCount: Int?
  /// This process's place among those of its host, from 0.
  public let localRank: Int

  /// A place in a group.
  public init(
    rank: Int, count: Int, host: String = "127.0.0.1", port: Int = usualPort, source: String? = nil,
    localCount: Int? = nil, localRank: Int? = nil
  ) {
    (self.rank, self.count, self.host, self.port, self.source) = (rank, count, host, port, source)
    self.localCount = localCount
    // Launchers count the ranks of a host one after the other, unless told otherwise.
    self.localRank = localRank ?? localCount.map { rank % max(1, $0) } ?? rank
  }

  /// The threads that leave every process of this host its share of the processors: at least 1.
  ///
  /// - Parameter processors: the host's.
  public func threads(processors: Int) -> Int {
    let isHere = host == "127.0.0.1" || host == "localhost" || host == "::1"
    return max(1, processors / max(1, localCount ?? (isHere ? count : 1)))
  }

  /// A process of its own.
  public static let alone = Launch(rank: 0, count: 1)
  /// torchrun's usual port.
  public static let usualPort = 29500

  /// The variables by which a process knows its place; a process that starts others of its own has to remove them.
  public static let variables = [
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
  ]

  private struct Kind {
    let rank, count: String
    /// How many of the processes run on this host, and which of them this is.
    let local, localRank: String
    /// What tells one job from another.
    let job: [String]
  }

  private static let kinds = [
    Kind(rank: "RANK", count: "WORLD_SIZE", local: "LOCAL_WORLD_SIZE", localRank: "LOCAL_RANK", job: []),
    Kind(
      rank: "OMPI_COMM_WORLD_RANK", count: "OMPI_COMM_WORLD_SIZE", local: "OMPI_COMM_WORLD_LOCAL_SIZE",
      localRank: "OMPI_COMM_WORLD_LOCAL_RANK",
      job: ["OMPI_MCA_ess_base_jobid", "OMPI_MCA_orte_hnp_uri"]),
    // hydra tells no name of the job; all processes of a host have the same parent.
    Kind(rank: "PMI_RANK", count: "PMI_SIZE", local: "MPI_LOCALNRANKS", localRank: "MPI_LOCALRANKID", job: []),
    // SLURM_NTASKS is the job's, SLURM_STEP_NUM_TASKS that of the srun at hand.
    Kind(
      rank: "SLURM_PROCID", count: "SLURM_STEP_NUM_TASKS", local: "SLURM_STEP_TASKS_PER_NODE",
      localRank: "SLURM_LOCALID",
      job: ["SLURM_JOB_ID", "SLURM_STEP_ID"]),
  ]

  /// Reads the variables; the first launcher that left any counts.
  ///
  /// - Throws: `ProcessGroupError` that names the variable that is missing or wrong.
  public init(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
    func number(_ name: String) throws -> Int {
      guard let text = environment[name] else {
        throw ProcessGroupError("\(name) is not set, but its launcher sets both")
      }
      guard let value = Int(text), value >= 0 else {
        throw ProcessGroupError("\(name) must be a whole number, not \"\(text)\"")
      }
      return value
    }
    guard let kind = Self.kinds.first(where: { environment[$0.rank] != nil && environment[$0.count] != nil }) else {
      if environment["RANK"] != nil || environment["WORLD_SIZE"] != nil {
        throw ProcessGroupError("RANK and WORLD_SIZE belong together, but only one of them is set; set both or neither")
      }
      self = .alone
      return
    }
    let (rank, count) = (try number(kind.rank), try number(kind.count))
    guard rank < count else {
      throw ProcessGroupError("\(kind.rank) is \(rank), but \(kind.count) is \(count); ranks are 0 to \(count - 1)")
    }
    // SLURM writes "2(x3),1" for hosts with 2, 2, 2 and 1.
    let local = environment[kind.local].flatMap { Int($0.prefix { $0.isNumber }) }
    let isLocal = local == count
    self.init(
      rank: rank, count: count, host: try Self.host(environment, isLocal: isLocal, kind, count: count),
      port: try Self.port(environment, kind, isLocal: isLocal, count: count), source: kind.rank, localCount: local,
      localRank: environment[kind.localRank].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil })
  }

  private static func host(
    _ environment: [String: String], isLocal: Bool, _ kind: Kind, count: Int
  ) throws -> String {
    if let host = environment["MASTER_ADDR"], !host.isEmpty { return host }
    if isLocal || count == 1 { return "127.0.0.1" }
    if let list = environment["SLURM_STEP_NODELIST"] ?? environment["SLURM_JOB_NODELIST"] { return first(of: list) }
    // The address that mpirun listens at: the ranks begin on its host.
    if let uri = environment["OMPI_MCA_orte_hnp_uri"], let address = address(in: uri) { return address }
    // Without a word about hosts, as from a script, all are here.
    if kind.rank == "RANK" { return "127.0.0.1" }
    throw ProcessGroupError(
      "the processes run on several hosts, but none says where rank 0 is; set MASTER_ADDR to its address for all of them"
    )
  }

  /// "node[03-05,9],other" → "node03".
  static func first(of list: String) -> String {
    let head = list.prefix { $0 != "," }
    guard let open = head.firstIndex(of: "[") else { return String(head) }
    let number = head[head.index(after: open)...].prefix { $0 != "-" && $0 != "]" }
    return String(head[..<open] + number)
  }

  /// "1234.0;tcp://10.0.0.1,10.1.0.1:4711" → "10.0.0.1".
  static func address(in uri: String) -> String? {
    guard let start = uri.range(of: "tcp://") else { return nil }
    let address = uri[start.upperBound...].prefix { $0 != "," && $0 != ":" }
    return address.isEmpty ? nil : String(address)
  }

  private static func port(
    _ environment: [String: String], _ kind: Kind, isLocal: Bool, count: Int
  ) throws -> Int {
    if let text = environment["MASTER_PORT"] {
      guard let port = Int(text), (1...65535).contains(port) else {
        throw ProcessGroupError("MASTER_PORT must be from 1 to 65535, not \"\(text)\"")
      }
      return port
    }
    let job = kind.job.compactMap { environment[$0] }.joined(separator: ".")
    if !job.isEmpty { return port(of: job) }
    if kind.rank == "PMI_RANK" {
      guard isLocal || count == 1 else {
        throw ProcessGroupError("the processes run on several hosts; set MASTER_PORT to a free port for all of them")
      }
      return port(of: "\(getppid())")
    }
    return usualPort
  }

  /// A port from the name of a job, from 20000 to 29999: jobs on one host rarely meet.
  static func port(of job: String) -> Int {
    20000 + Int(job.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 } % 10000)
  }
}
