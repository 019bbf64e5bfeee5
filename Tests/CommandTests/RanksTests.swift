// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

/// One training by several processes, as a launcher starts them.
@Suite(.serialized) struct RanksTests {
  private static func options(steps: Int, optimizer: String = "m3") -> [String] {
    SmallData.options + [
      "--steps", "\(steps)", "--batch-size", "30", "--drop-last", "--optimizer", optimizer, "--lr", "0.02",
      "--linear", "native",
      "--validation", "13", "--checkpoint-every", "20",
    ]
  }

  /// Starts all ranks; what each is told beside its place.
  private func start(
    _ count: Int, port: Int? = nil, timeout: Int = 60, _ arguments: (_ rank: Int) -> [String]
  ) throws -> [Running] {
    let port = try port ?? freePort()
    return try (0..<count).map { rank in
      try Running(
        ["train", "--rank-timeout", "\(timeout)"] + arguments(rank), environment: place(rank, of: count, port))
    }
  }

  @Test func threeProcessesWriteTheRunOfOne() throws {
    let scratch = try Scratch()
    let (alone, together) = (scratch.path("alone"), scratch.path("together"))
    let one = try Program.run(
      ["train", "--no-report", "--quiet"] + Self.options(steps: 60) + ["--out", alone], environment: Self.sameProducts)
    #expect(one.code == 0, "\(one.errors)")
    let results = try start(3) { _ in Self.options(steps: 60) + ["--out", together] }.map { try $0.wait() }
    #expect(results.map(\.code) == [0, 0, 0], "\(results.map(\.errors))")
    // The first speaks.
    #expect(results[0].output.contains("60 steps in") && results[1].output + results[2].output == "")
    #expect(results[1].errors + results[2].errors == "")
    // A median of three groups, one for each rank: the same bits.
    try expectSameEnd(alone, together)
    #expect(try RunDirectory.open(at: together).manifest().extra["ranks"] == "3")
  }

  @Test func theExamplesOfAMeasurementAreShared() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    try train(SmallData.options + ["--model", "mlp:16", "--steps", "20", "--batch-size", "30", "--out", run])
    struct Found: Decodable, Equatable {
      let m: Int
      let alpha, alphaUnbiased: Double
      let alphaUnbiasedInterval: [Double]
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    func found(_ output: String) throws -> Found { try decoder.decode(Found.self, from: Data(output.utf8)) }
    func words(_ file: String) -> [String] {
      ["measure", run, "--json", "--examples", "101", "--records", scratch.path(file)]
    }
    let alone = try Program.run(words("alone.csv"))
    let port = try freePort()
    let together = try (0..<3).map { try Running(words("together.csv"), environment: place($0, of: 3, port)) }
      .map { try $0.wait() }
    #expect(together.map(\.code) == [0, 0, 0], "\(together.map(\.errors))")
    #expect(together[1].output + together[2].output == "")
    let (one, three) = try (found(alone.output), found(together[0].output))
    #expect(one.m == 101 && three.m == 101)
    #expect(abs(one.alpha - three.alpha) < 1e-9 && abs(one.alphaUnbiased - three.alphaUnbiased) < 1e-9)
    #expect(zip(one.alphaUnbiasedInterval, three.alphaUnbiasedInterval).allSatisfy { abs($0 - $1) < 1e-8 })
    let cells = try ["alone.csv", "together.csv"].map { name in
      try String(contentsOfFile: scratch.path(name), encoding: .utf8).split(separator: "\n")
        .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    }
    #expect(cells[0].count == 102 && cells[0].map(\.count) == cells[1].map(\.count))
    for (one, other) in zip(cells[0].joined(), cells[1].joined()) where one != other {
      let (a, b) = try (#require(Double(one)), #require(Double(other)))
      #expect(abs(a - b) <= 1e-5 * max(abs(a), 0.1), "\(a), \(b)")
    }
    let other = try freePort()
    let different = try (0..<2).map {
      try Running(["measure", run, "--examples", "\(50 + $0)"], environment: place($0, of: 2, other))
    }.map { try $0.wait() }
    #expect(
      different.allSatisfy { $0.code != 0 && $0.errors.contains("the ranks differ in what is measured") },
      "\(different.map(\.errors))")
  }

  private func place(_ rank: Int, of count: Int, _ port: Int) -> [String: String] {
    ["RANK": "\(rank)", "WORLD_SIZE": "\(count)", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)"]
      .merging(Self.sameProducts) { first, _ in first }
  }

  /// Has MKL compute a row alike whatever the number of rows, which it does not do by itself on Intel's processors.
  private static let sameProducts: [String: String] = {
    let processor = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
    return processor?.contains("GenuineIntel") == true ? ["MKL_CBWR": "AVX2,STRICT"] : [:]
  }()

  @Test func aLostRankIsNamedAndTheRunGoesOnToTheSameBits() throws {
    let scratch = try Scratch()
    let (whole, run) = (scratch.path("whole"), scratch.path("run"))
    let options = Self.options(steps: 3000, optimizer: "rm3")
    for running in try start(3, { _ in options + ["--out", whole] }) { #expect(try running.wait().code == 0) }
    var words = options + ["--out", run]
    for lost in [2, 0, 1] {
      let ranks = try start(3) { _ in words }
      let before = newest(run)
      try ranks[0].until { newest(run) > before }
      ranks[lost].send(SIGKILL)
      for (rank, running) in ranks.enumerated() where rank != lost {
        let begin = Date()
        let result = try running.wait()
        #expect(result.code != 0 && !result.signalled)
        #expect(result.errors.contains("rank \(lost)"), "rank \(rank): \(result.errors)")
        #expect(Date().timeIntervalSince(begin) < 15)
      }
      words = ["--resume", run]
    }
    let results = try start(3) { _ in words }.map { try $0.wait() }
    #expect(results.map(\.code) == [0, 0, 0], "\(results.map(\.errors))")
    try expectSameEnd(whole, run)
  }

  /// The step of the newest checkpoint, -1 without one.
  private func newest(_ run: String) -> Int {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: run + "/checkpoints")) ?? []
    return names.compactMap { name in
      name.hasPrefix("step-") && name.hasSuffix(".json") ? Int(name.dropFirst(5).dropLast(5)) : nil
    }.max() ?? -1
  }

  @Test func aSignalToOneRankEndsAllWithACheckpoint() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    let ranks = try start(2) { _ in Self.options(steps: 100_000) + ["--out", run] }
    try ranks[0].until { newest(run) > 0 }
    ranks[1].send(SIGINT)
    let results = try ranks.map { try $0.wait() }
    #expect(results.map(\.code) == [130, 130], "\(results.map(\.errors))")
    #expect(results[0].errors.contains("Interrupted at step"))
    #expect(try RunDirectory.open(at: run).manifest().status == .interrupted)
  }

  @Test func mistakesAreNamed() throws {
    let scratch = try Scratch()
    let different = try start(2) {
      Self.options(steps: 20) + ["--out", scratch.path("different"), "--seed", "\($0)"]
    }.map { try $0.wait() }
    for result in different {
      #expect(result.code != 0 && result.errors.contains("rank 1 was given another seed"), "\(result.errors)")
    }
    let port = try freePort()
    let lonely = try Program.run(
      ["train", "--rank-timeout", "1"] + Self.options(steps: 20) + ["--out", scratch.path("lonely")],
      environment: ["RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "\(port)"])
    #expect(lonely.code != 0 && lonely.errors.contains("rank 1 did not come within 1 s"), "\(lonely.errors)")
    let other = try Program.run(
      ["report", scratch.path("x"), "--out", scratch.path("y")], environment: ["RANK": "1", "WORLD_SIZE": "2"])
    #expect(other.code != 0 && other.errors.contains("coherent report runs in one process"), "\(other.errors)")
    // What only one rank cannot do ends all of them, and nobody else is blamed.
    let taken = scratch.path("taken")
    try train(Self.options(steps: 20) + ["--out", taken])
    let begin = Date()
    let refused = try start(3, timeout: 50) { _ in Self.options(steps: 20) + ["--out", taken] }.map { try $0.wait() }
    #expect(refused.allSatisfy { $0.code != 0 } && refused[0].errors.contains("--force"))
    for result in refused.dropFirst() {
      #expect(result.errors.contains("rank 0") && result.errors.contains("has ended before the others"))
    }
    #expect(Date().timeIntervalSince(begin) < 40)
    let mixed = try start(2, timeout: 50) {
      $0 == 0 ? ["--resume", taken] : Self.options(steps: 20) + ["--out", taken]
    }.map { try $0.wait() }
    #expect(mixed.allSatisfy { $0.code != 0 && $0.errors.contains("the ranks differ in what they begin with") })
    let missing = try start(2, timeout: 20) {
      Self.options(steps: 20) + ["--out", scratch.path("missing")]
        + ($0 == 1 ? ["--data-dir", scratch.path("nowhere")] : [])
    }.map { try $0.wait() }
    #expect(missing.allSatisfy { $0.code != 0 })
    #expect(missing[1].errors.contains("nowhere") && missing[0].errors.contains("rank 1"), "\(missing.map(\.errors))")
  }
}
