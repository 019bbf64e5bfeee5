// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Collectives
import Foundation
import Studies
import Runs
import Training

extension StudyCommand {
  struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run a study: its grid of training runs, the verdicts on its claims, its figures and its page.",
      discussion: """
        Complete cells are skipped and unfinished cells resume, so the same command can be repeated after any \
        interruption. Each cell is a process of its own with its own processors; a cell that fails is named, and the \
        others continue. Started by torchrun, mpirun or srun on hosts that share the folder, the ranks share the cells.

        Example: coherent study run ws/easy-hard --profile small --data-dir data --out studies/easy-hard
        """)

    @Argument(help: "The study, such as cg/winsorized; coherent study list shows them.") var id: String
    @Option(help: "How large: smoke (seconds, built-in data), small (minutes to two hours) or paper.")
    var profile = StudyProfile.small
    @Option(help: "The folder with the data: MNIST, CIFAR-10, or class folders of images.") var dataDir: String?
    @Option(help: "The folder for the results. (default: studies/ID-PROFILE)") var out: String?
    @Option(help: "Cells to run at a time. (default: as many as processors and memory allow)") var jobs: Int?
    @Option(help: "Threads of each cell; the last bits of the results depend on it.") var threads = 1
    @Option(help: "Seeds in place of the study's own, such as 1,2,3.") var seeds: String?
    @Option(
      help: ArgumentHelp(
        "Run only cells whose names contain one of these words, and what they need. Repeat the command without it to run "
          + "the rest.", valueName: "words"))
    var only: String?
    @Option(help: "At most this many steps of each training run, to try the start of a large study.") var steps: Int?
    @Option(name: .customLong("set"), help: "An option of coherent train for all cells, such as model=resnet20.")
    var overrides: [String] = []
    @Flag(help: "Only estimate the cost and show the cells.") var plan = false
    @Flag(help: "Run even if a cell, or this many jobs, is estimated not to fit in memory.") var ignoreMemoryEstimate =
      false
    @Flag(name: .shortAndLong, help: "Show no progress.") var quiet = false
    @Flag(help: "Print the score card as JSON.") var json = false

    func validate() throws {
      guard (jobs ?? 1) >= 1, (jobs ?? 1) <= 1024 else { throw ValidationError("--jobs must be from 1 to 1024.") }
      guard threads >= 1, threads <= 1024 else { throw ValidationError("--threads must be from 1 to 1024.") }
      guard (steps ?? 1) >= 1 else { throw ValidationError("--steps must be at least 1.") }
      try checkName(out, "--out")
      try checkName(dataDir, "--data-dir")
      _ = try seeds.map(Self.seedList)
      _ = try Self.pairs(overrides)
    }

    func run() throws {
      let study = try StudyCatalog.study(id)
      let settings = try self.settings(of: study)
      let folder = StudyFolder(out ?? "studies/\(study.id.replacingOccurrences(of: "/", with: "-"))-\(profile)")
      let cells = try study.cells(settings, in: folder)
      let chosen = try chosen(of: cells)
      if plan {
        let estimates = try estimate(chosen, known: [:])
        return Console.print(Self.table(chosen, estimates) + "\n" + total(estimates, jobs: jobs ?? defaultJobs))
      }
      let launch = try Launch()
      // The first rank measures what cells cost before the others are let in.
      let ranks = try Ranks(launch, tool: Coherent.tool, timeout: .seconds(3600))
      var shared = settings
      shared.dataDir = nil
      try ranks?.group.requireSame("\(shared), only \(only ?? "")", "the study's options")
      if let ranks, !ranks.isFirst { return try help(ranks, launch, chosen, settings, folder) }
      let grid = try StudyGrid(cells, settings: settings, in: folder)
      let estimates = try grid.estimates { cells, known in try self.estimate(cells, known: known) }
      let costs = estimates.filter { cost in chosen.contains { $0.name == cost.key } }
      let jobs = try grid.jobs(
        wanted: jobs, processors: jobs(of: launch), estimates: costs, ignoresMemory: ignoreMemoryEstimate)
      // The folder is made. From here on nobody waits for anybody.
      try ranks?.group.barrier()
      ranks?.group.leave()
      if !quiet { Console.note("\(study.id), \(settings.scale): " + total(costs, jobs: jobs)) }
      let runner = GridRunner(
        chosen, settings: settings, in: folder, jobs: jobs, program: Self.program, estimates: estimates,
        ignoresMemory: ignoreMemoryEstimate, isShared: ranks != nil)
      Interruption.listen()
      let progress = GridConsole(isQuiet: quiet, count: chosen.count)
      let isDone = try runner.run(shouldStop: { Interruption.isRequested }, observe: progress.observe)
      progress.finish()
      let results = try StudyResults(folder)
      try results.write(to: folder)
      guard isDone else {
        Console.note("Interrupted. Repeat the same command to continue.")
        throw ExitCode(130)
      }
      try conclude(results, folder)
    }

    /// Runs what cells are free, until all have results; the first rank concludes.
    private func help(
      _ ranks: Ranks, _ launch: Launch, _ cells: [Cell], _ settings: StudySettings, _ folder: StudyFolder
    ) throws {
      try ranks.group.barrier()
      ranks.group.leave()
      let estimates = StudyGrid.knownEstimates(in: folder)
      guard !estimates.isEmpty else {
        throw ValidationError(
          "\(folder.url.path) is not the folder of rank 0: all ranks need one that their hosts share (--out).")
      }
      let jobs = try StudyGrid.jobs(
        wanted: jobs, processors: jobs(of: launch), largest: cells.compactMap { estimates[$0.name]?.memory }.max() ?? 0,
        limit: ignoreMemoryEstimate ? nil : MemoryLimit.current())
      let runner = GridRunner(
        cells, settings: settings, in: folder, jobs: jobs, program: Self.program, estimates: estimates,
        ignoresMemory: ignoreMemoryEstimate, isShared: true)
      Interruption.listen()
      let isDone = try runner.run(shouldStop: { Interruption.isRequested }, observe: { _ in })
      if !isDone { throw ExitCode(130) }
    }

    private func conclude(_ results: StudyResults, _ folder: StudyFolder) throws {
      var page: URL?
      do {
        page = try StudyReport(folder, results).write()
      } catch {
        Console.note("No report was written: \(error)")
      }
      if json {
        try Console.json(results)
      } else {
        Console.print(results.text)
        if let page { Console.print("\nReport: \(page.path)") }
      }
      if !results.failures.isEmpty {
        results.failures.forEach(Console.note)
        Console.note(
          "Some cells failed; see their logs in \(folder.url.path)/logs. Repeat the same command to try them again.")
        throw ExitCode(1)
      }
    }

    private func settings(of study: Study) throws -> StudySettings {
      var settings = StudySettings(study: study.id, profile: profile)
      settings.dataDir = dataDir.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
      settings.seeds = try seeds.map(Self.seedList)
      (settings.threads, settings.steps, settings.set) = (threads, steps, try Self.pairs(overrides))
      return settings
    }

    /// As many cells as processors have room for.
    private var defaultJobs: Int { max(1, ProcessInfo.processInfo.activeProcessorCount / threads) }

    /// The same for a rank, of which a host has several.
    private func jobs(of launch: Launch) -> Int {
      max(1, launch.threads(processors: ProcessInfo.processInfo.activeProcessorCount) / threads)
    }

    /// The cells that are to run now, with those that they need.
    private func chosen(of cells: [Cell]) throws -> [Cell] {
      guard let only else { return cells }
      let words = only.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
      var names = Set(cells.map(\.name).filter { name in words.contains { name.contains($0) } })
      guard !names.isEmpty else {
        throw ValidationError("No cell's name contains \"\(only)\" (--only); --plan shows the names.")
      }
      while true {
        let needed = Set(cells.filter { names.contains($0.name) }.flatMap(\.needs)).subtracting(names)
        if needed.isEmpty { return cells.filter { names.contains($0.name) } }
        names.formUnion(needed)
      }
    }

    private func estimate(_ cells: [Cell], known: [String: CellEstimate]) throws -> [String: CellEstimate] {
      let limit = ignoreMemoryEstimate ? nil : MemoryLimit.current()
      var (estimator, found) = (CellEstimator(memoryLimit: limit), known)
      for cell in cells where found[cell.name] == nil {
        if Console.isTerminal, !quiet {
          Console.write("\r\u{1B}[K" + Console.fitted(["Estimating the cost of \(cell.name)"]))
        }
        found[cell.name] = try estimator.estimate(cell)
      }
      if Console.isTerminal, !quiet { Console.write("\r\u{1B}[K") }
      return found
    }

    private func total(_ estimates: [String: CellEstimate], jobs: Int) -> String {
      let seconds = estimates.values.reduce(0) { $0 + $1.seconds }
      let memory = estimates.values.map(\.memory).max() ?? 0
      let disk = estimates.values.reduce(0) { $0 + ($1.disk ?? 0) }
      return
        "\(estimates.count) training runs, about \(Console.duration(seconds / Double(jobs))) with \(jobs) at a time "
        + "(without probes), \(Console.bytes(memory)) of memory each at most, \(Console.bytes(disk)) on disk for all models"
    }

    private static func table(_ cells: [Cell], _ estimates: [String: CellEstimate]) -> String {
      Console.table(
        [["cell", "steps", "time", "memory", "disk"]]
          + cells.map { cell in
            guard let cost = estimates[cell.name] else { return [cell.name, "–", "–", "–", "–"] }
            return [
              cell.name, "\(cost.steps)", Console.duration(cost.seconds), Console.bytes(cost.memory),
              cost.disk.map(Console.bytes) ?? "–",
            ]
          })
    }

    /// This program.
    static let program: String = {
      let link = "/proc/self/exe"
      if let path = try? FileManager.default.destinationOfSymbolicLink(atPath: link) { return path }
      return URL(fileURLWithPath: CommandLine.arguments.first ?? "coherent").standardizedFileURL.path
    }()

    static func seedList(_ text: String) throws -> [UInt64] {
      let words = text.split(separator: ",", omittingEmptySubsequences: false)
      let seeds = words.compactMap { UInt64($0.trimmingCharacters(in: .whitespaces)) }
      guard seeds.count == words.count, Set(seeds).count == seeds.count else {
        throw ValidationError("--seeds takes distinct whole numbers such as 1,2,3, not \"\(text)\".")
      }
      return seeds
    }

    static func pairs(_ words: [String]) throws -> [String: String] {
      var pairs: [String: String] = [:]
      for word in words {
        let sides = word.split(separator: "=", maxSplits: 1).map(String.init)
        guard sides.count == 2, pairs[sides[0]] == nil else {
          throw ValidationError("--set takes OPTION=VALUE, each option once, such as model=resnet20, not \"\(word)\".")
        }
        pairs[sides[0]] = sides[1]
      }
      return pairs
    }
  }
}

/// Shows a grid as it goes: one bar on a terminal, a line for each cell elsewhere.
final class GridConsole {
  private let isQuiet: Bool
  private let count: Int
  private var lastDrawn: UInt64 = 0

  init(isQuiet: Bool, count: Int) { (self.isQuiet, self.count) = (isQuiet, count) }

  func observe(_ event: GridEvent) {
    guard !isQuiet else { return }
    switch event {
    case .ended(let cell, .failed(let words)): line("\(cell): failed: \(words)")
    case .ended(let cell, .begun): line("\(cell): stopped")
    case .ended(let cell, let status): line("\(cell): \(status.word)")
    case .progressed(let progress): draw(progress)
    }
  }

  func finish() { if Console.isTerminal, !isQuiet { Console.write("\r\u{1B}[K") } }

  private func line(_ text: String) {
    finish()
    Console.note(text)
  }

  private func draw(_ progress: GridProgress) {
    let now = DispatchTime.now().uptimeNanoseconds
    guard Console.isTerminal, now - lastDrawn > 500_000_000 else { return }
    lastDrawn = now
    Console.write("\r\u{1B}[K" + Self.line(progress, count: count, width: Console.width - 1))
  }

  /// The bar, what is done, what runs, and the time left, as far as there is room.
  static func line(_ progress: GridProgress, count: Int, width: Int) -> String {
    let bar = Console.bar(progress.share, width: 20)
    let left = progress.secondsLeft.map { Console.duration($0) + " left" } ?? ""
    let failed = progress.failed > 0 ? ", \(progress.failed) failed" : ""
    func parts(_ running: String) -> [String] { [bar, "\(progress.done)/\(count) cells\(failed)", running, left] }
    let names = parts(progress.running.joined(separator: ", "))
    // Where the names of all that run are too long, their number.
    let fits = names.joined(separator: "  ").count <= width
    return Console.fitted(
      fits ? names : parts("\(progress.running.count) running"), droppingFirst: [2, 0], width: width)
  }
}
