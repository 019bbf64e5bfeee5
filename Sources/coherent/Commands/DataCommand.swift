// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Datasets
import Foundation

struct DataCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "List, inspect, download and export data sets.",
    subcommands: [List.self, Info.self, Fetch.self, Export.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the known data sets.")
    @Flag(help: "Print as JSON.") var json = false

    func run() throws {
      if json { return try Console.json(DatasetCatalog.all) }
      var rows = [["name", "train", "test", "shape", "classes", "download"]]
      for entry in DatasetCatalog.all {
        if entry.format == .folder {
          rows.append([entry.name, "–", "–", "3×N×N", "–", "your own JPEG and PNG pictures"])
          continue
        }
        rows.append([
          entry.name, String(entry.counts["train"] ?? 0), String(entry.counts["test"] ?? 0),
          entry.exampleShape.map(String.init).joined(separator: "×"), String(entry.classNames.count),
          entry.isBuiltIn ? "built in" : Console.bytes(entry.downloadSize),
        ])
      }
      Console.print(Console.table(rows))
    }
  }

  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Describe a data set and check its files.")
    @Argument(help: "The data set's name.") var name: String
    @Option(help: "The folder with its files.") var dataDir: String?
    @Flag(help: "Continue when some files are missing.") var allowMissing = false
    @Option(parsing: .unconditional, help: "Height and width of a folder's images. (default: 224)") var imageSize: Int?
    @Flag(help: "Leave out images of a folder that cannot be decoded.") var skipBad = false
    @Flag(help: "Print as JSON.") var json = false

    func run() throws {
      var options = DatasetOptions()
      (options.allowsMissingFiles, options.imageSize, options.skipsBadImages) = (allowMissing, imageSize, skipBad)
      let summaries = try Split.allCases.map { split in
        let dataset = try DatasetLoader.load(name: name, split: split, directory: dataDir, options: options)
        dataset.notes.forEach { Console.note("Warning: \($0).") }
        return try DatasetSummary(of: dataset)
      }
      if json { return try Console.json(summaries) }
      for summary in summaries {
        Console.print(
          "\(summary.name) \(summary.split.rawValue): \(summary.count) examples of "
            + summary.exampleShape.map(String.init).joined(separator: "×")
            + (summary.vocabulary == nil ? "" : " tokens"))
        if let vocabulary = summary.vocabulary {
          Console.print("  tokens 0 to \(vocabulary - 1)")
        } else {
          Console.print(
            String(format: "  pixel mean %.4f, standard deviation %.4f", summary.mean, summary.standardDeviation))
        }
        let classes = zip(summary.classNames, summary.classCounts).map { "\($0) \($1)" }
        Console.print(Console.wrapped(classes.joined(separator: ", "), after: "  classes: ", indent: 4))
        Console.print("  content SHA-256 \(summary.contentChecksum)")
        summary.skipped?.forEach { Console.print("  left out: \($0)") }
      }
      let entry = try DatasetCatalog.entry(named: name)
      if let dataDir, !entry.isBuiltIn {
        for file in try DatasetFileStatus.check(entry, in: dataDir) {
          Console.print("  \(file.name): \(file.state.rawValue)")
        }
      }
    }
  }

  struct Fetch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Download a data set: resumes, verifies checksums and tries each mirror in turn.")
    @Argument(help: "The data set's name.") var name: String
    @Option(help: "The folder to fill.") var dataDir: String
    @Option(help: "The URL of a folder to use in place of the known mirrors.") var mirror: String?
    @Flag(help: "Replace files whose checksum is wrong.") var force = false
    @Flag(help: "Print the paths as JSON.") var json = false

    func run() async throws {
      let entry = try DatasetCatalog.entry(named: name)
      let paths = try await DatasetFetcher().fetch(entry, to: dataDir, mirror: mirror, replace: force) { event in
        switch event {
        case .alreadyPresent(let file): Console.note("\(file): already there")
        case .started(let file, let mirror, let offset):
          Console.note("\(file): from \(mirror)" + (offset > 0 ? ", continuing at byte \(offset)" : ""))
        case .progress(let file, let received, let total):
          if Console.isTerminal, total > 0 {
            let parts = ["\(file):", "\(received * 100 / total) %"]
            Console.write("\r\u{1B}[K" + Console.fitted(parts, droppingFirst: [0]))
          }
        case .failed(let file, let mirror, let reason): Console.note("\(file): \(mirror) failed: \(reason)")
        case .finished(let file):
          if Console.isTerminal { Console.write("\r\u{1B}[K") }
          Console.note("\(file): verified")
        }
      }
      if json { return try Console.json(paths) }
      Console.print(entry.isBuiltIn ? "\(name) is built in: nothing to download." : paths.joined(separator: "\n"))
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Write a data set as IDX files for other programs.")
    @Argument(help: "The data set's name.") var name: String
    @Option(help: "The folder with its files.") var dataDir: String?
    @Option(help: "The folder to write.") var out: String
    @Option(parsing: .unconditional, help: "Only the first N examples of each split.") var subset: Int?
    @Flag(help: "Print the paths as JSON.") var json = false

    func run() throws {
      var paths: [String] = []
      for split in Split.allCases {
        let dataset = try DatasetLoader.load(name: name, split: split, directory: dataDir, count: subset)
        paths += try DatasetLoader.exportIDX(dataset, to: out)
      }
      if json { return try Console.json(paths) }
      Console.print(paths.joined(separator: "\n"))
    }
  }
}
