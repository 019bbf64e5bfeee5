// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Collectives

/// What launchers say.
@Suite struct LaunchTests {
  @Test func withoutALauncherAProcessIsAlone() throws {
    #expect(try Launch(environment: ["PATH": "/bin", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"]) == .alone)
  }

  @Test func torchrunAndScripts() throws {
    let launch = try Launch(environment: [
      "RANK": "2", "WORLD_SIZE": "3", "MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "4",
    ])
    #expect(launch == Launch(rank: 2, count: 3, host: "10.0.0.7", port: 4, source: "RANK"))
    let bare = try Launch(environment: ["RANK": "0", "WORLD_SIZE": "2"])
    #expect(bare.host == "127.0.0.1" && bare.port == Launch.usualPort)
  }

  @Test func openMPI() throws {
    var environment = [
      "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
      "OMPI_MCA_orte_hnp_uri": "1234.0;tcp://10.77.0.1,10.1.0.1:4711", "OMPI_MCA_ess_base_jobid": "1234",
    ]
    let launch = try Launch(environment: environment)
    #expect(launch.rank == 1 && launch.count == 2 && launch.host == "10.77.0.1")
    #expect((20000..<30000).contains(launch.port))
    environment["OMPI_COMM_WORLD_LOCAL_SIZE"] = "2"
    #expect(try Launch(environment: environment).host == "127.0.0.1")
    environment["OMPI_MCA_ess_base_jobid"] = "1235"
    #expect(try Launch(environment: environment).port != launch.port, "another job")
  }

  @Test func hydraAndSLURM() throws {
    let hydra = try Launch(environment: ["PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALNRANKS": "2"])
    #expect(hydra.host == "127.0.0.1" && hydra.count == 2)
    let slurm = try Launch(environment: [
      "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "16", "SLURM_STEP_NODELIST": "gpu[07-08,11],b1",
      "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0",
    ])
    #expect(slurm.count == 4 && slurm.host == "gpu07" && slurm.port == Launch.port(of: "77.0"))
    #expect(Launch.first(of: "login1,login2") == "login1")
  }

  /// Which of a host's GPUs a process takes.
  @Test func placesOnAHost() throws {
    func place(_ environment: [String: String]) throws -> Int { try Launch(environment: environment).localRank }
    let torchrun = ["RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "a", "MASTER_PORT": "4"]
    #expect(try place(torchrun) == 1 && place(torchrun.merging(["LOCAL_RANK": "3"]) { $1 }) == 3)
    #expect(try place(torchrun.merging(["LOCAL_RANK": "-3"]) { $1 }) == 1)
    #expect(try place(["RANK": "1", "WORLD_SIZE": "2"]) == 1)
    let openMPI = ["OMPI_COMM_WORLD_RANK": "4", "OMPI_COMM_WORLD_SIZE": "6", "OMPI_COMM_WORLD_LOCAL_SIZE": "6"]
    #expect(try place(openMPI.merging(["OMPI_COMM_WORLD_LOCAL_RANK": "2", "MASTER_PORT": "4"]) { $1 }) == 2)
    let hydra = ["PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"]
    #expect(try place(hydra) == 1)
    let slurm = ["SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "0", "MASTER_ADDR": "a"]
    #expect(try place(slurm.merging(["MASTER_PORT": "4"]) { $1 }) == 0)
    #expect(Launch.alone.localRank == 0)
  }

  @Test func mistakesAreNamed() {
    func expect(_ environment: [String: String], _ words: String) {
      let error = #expect(throws: ProcessGroupError.self) { _ = try Launch(environment: environment) }
      #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
    expect(["RANK": "0"], "RANK and WORLD_SIZE belong together")
    expect(["RANK": "3", "WORLD_SIZE": "3"], "ranks are 0 to 2")
    expect(["RANK": "-1", "WORLD_SIZE": "3"], "RANK must be a whole number")
    expect(["RANK": "x", "WORLD_SIZE": "3"], "RANK must be a whole number")
    expect(["RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "70000"], "MASTER_PORT must be from 1 to 65535")
    expect(["PMI_RANK": "0", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "2"], "set MASTER_ADDR")
  }

  @Test func shardsCoverEverythingInOrder() {
    for (count, ranks) in [(10, 3), (3, 3), (2, 4), (0, 2), (1_600_001, 7)] {
      let plan = ShardPlan(count: count, ranks: ranks)
      #expect((0..<ranks).flatMap { Array(plan.range(of: $0)) } == Array(0..<count))
      #expect(plan.padded >= count && plan.padded == ranks * plan.size)
    }
  }
}
