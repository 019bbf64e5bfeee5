// SPDX-License-Identifier: Apache-2.0

import Charts
import ArgumentParser
import CThreadPolicy
import Datasets
import Foundation
import NeuralNetworks
import Tensors

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Describe this installation and report any problems with it.")

  @Option(name: .long, help: "A folder with data sets to check; may be repeated.")
  var dataDir: [String] = []
  @Flag(help: "Print as JSON.")
  var json = false

  func run() throws {
    let findings = try Findings(dataFolders: dataDir)
    if json { try Console.json(findings) } else { Console.print(findings.text) }
    if !findings.problems.isEmpty { throw ExitCode.failure }
  }

  struct Problem: Encodable {
    let problem: String
    let remedy: String
  }

  struct Findings: Encodable {
    var coherent = Coherent.version
    var libtorchCompiled = Runtime.compiledVersion
    var libtorchLoaded: String
    var libtorchPath: String
    var cpu = Processor.current
    var cpuCapability: String
    var threads = Runtime.threadCount
    var threadWaiting: String
    var linearPolicy: String
    var devices = ["cpu"]
    var cudaProblem: String?
    var kernels: [String: String] = [:]
    var reportBundle: String?
    var python: String?
    var data: [String: String] = [:]
    var problems: [Problem] = []

    init(dataFolders: [String]) throws {
      libtorchLoaded = try Runtime.loadedVersion() ?? "unknown"
      libtorchPath = try Runtime.libraryPath()
      cpuCapability = try Runtime.cpuCapability()
      threadWaiting = Self.threadWaiting()
      linearPolicy = LinearPolicy.suited(toVendor: Processor.current.vendor).rule.rawValue
      devices += (0..<(try Runtime.cudaDeviceCount())).map { "cuda:\($0)" }
      cudaProblem = try Runtime.cudaProblem()
      checkDriver()
      checkKernels()
      if libtorchLoaded != libtorchCompiled {
        problems.append(
          Problem(
            problem:
              "compiled against libtorch \(libtorchCompiled), but \(libtorchLoaded) is loaded from \(libtorchPath)",
            remedy: "run make setup and make build again, and unset LD_LIBRARY_PATH"))
      }
      if threads > cpu.coreCount {
        problems.append(
          Problem(
            problem: "\(threads) threads on \(cpu.coreCount) cores", remedy: "unset OMP_NUM_THREADS or give --threads"))
      }
      checkReports()
      for folder in dataFolders { try checkData(folder) }
    }

    /// How threads wait for each other, and who says so.
    private static func threadWaiting() -> String {
      guard let setting = Runtime.threadWaiting else { return "libgomp's default: slow beside other work" }
      let own = "GOMP_SPINCOUNT=" + String(cString: coherent_spin_count())
      return setting == own ? "\(setting): briefly, then they sleep" : "\(setting), from the environment"
    }

    /// A machine without a graphics processor lacks nothing; one with NVIDIA's driver should have CUDA.
    private mutating func checkDriver() {
      guard let cudaProblem, FileManager.default.fileExists(atPath: "/proc/driver/nvidia/version") else { return }
      problems.append(
        Problem(
          problem: "NVIDIA's driver is installed, but there is no CUDA device: \(cudaProblem)",
          remedy: "install torch \(libtorchCompiled) with its CUDA libraries and name it in LIBTORCH; see docs/gpu.md"))
    }

    /// Compiles the kernels for every device, and tries them.
    private mutating func checkKernels() {
      for (index, device) in devices.dropFirst().enumerated() {
        do {
          try Runtime.prepareKernels(forDevice: index)
        } catch {
          // Training works without them, and takes longer.
          kernels[device] = "not compiled: \(error)"
          continue
        }
        do {
          let found = try KernelCheck.differences(on: .cuda(index))
          let wrong = found.filter { !($0.difference <= KernelCheck.tolerance) }.map(\.kernel)
          let unused = found.filter { !$0.isOwnKernel }.map(\.kernel)
          if !wrong.isEmpty {
            kernels[device] = "wrong: \(wrong.joined(separator: ", "))"
          } else {
            kernels[device] =
              unused.isEmpty ? "compiled, and correct" : "not used: \(unused.joined(separator: ", "))"
          }
          guard !wrong.isEmpty else { continue }
          problems.append(
            Problem(
              problem: "\(device) computes wrong results: \(wrong.joined(separator: ", "))",
              remedy: "train with --device cpu, and report this with the output of coherent doctor --json"))
        } catch {
          kernels[device] = "failed: \(error)"
          problems.append(
            Problem(
              problem: "\(device) does not compute: \(error)",
              remedy: "see whether other processes have its memory (nvidia-smi)"))
        }
      }
    }

    private mutating func checkReports() {
      do {
        let assets = try ChartAssets.locate()
        reportBundle = assets.bundle.path
        // A packed program is whole without it.
        if !ChartAssets.isPacked, !FileManager.default.fileExists(atPath: assets.python.path) {
          problems.append(
            Problem(problem: "vl-convert is missing, so figures cannot be exported", remedy: "run make setup"))
        }
      } catch { problems.append(Problem(problem: "reports cannot be written: \(error)", remedy: "run make setup")) }
      let paths = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
      python = paths.map { "\($0)/python3" }.first { FileManager.default.isExecutableFile(atPath: $0) }
      if python == nil {
        problems.append(
          Problem(problem: "python3 is not on the path, so figures cannot be exported", remedy: "install Python 3"))
      }
    }

    private mutating func checkData(_ folder: String) throws {
      for (entry, files) in try DatasetFileStatus.found(in: folder) {
        data["\(entry.name) in \(folder)"] = files.map { "\($0.name): \($0.state.rawValue)" }.joined(separator: ", ")
      }
      if !data.keys.contains(where: { $0.hasSuffix(" in \(folder)") }) {
        problems.append(
          Problem(
            problem: "\(folder) holds no data set that this program knows",
            remedy: "coherent data fetch mnist --data-dir \(folder)"))
      }
    }

    private var kernelText: String {
      kernels.isEmpty
        ? "for the processor" : kernels.sorted(by: <).map { "\($0): \($1)" }.joined(separator: "; ")
    }

    var text: String {
      let rows = [
        ["coherent", coherent],
        ["libtorch", "\(libtorchLoaded) (compiled against \(libtorchCompiled))"],
        ["", libtorchPath],
        ["processor", "\(cpu.model), \(cpu.coreCount) cores, \(cpu.vendor)"],
        ["instructions", "\(cpuCapability) in libtorch; processor has \(cpu.vectorExtensions.joined(separator: " "))"],
        ["threads", String(threads)], ["threads wait", threadWaiting], ["linear layers", linearPolicy],
        ["devices", devices.joined(separator: ", ")],
        ["cuda", cudaProblem.map { "none: \($0)" } ?? "\(devices.count - 1) found"],
        ["kernels", kernelText],
        ["reports", reportBundle ?? "not available"], ["python", python ?? "not found"],
      ]
      let width = (rows.map { $0[0].count }.max() ?? 0) + 2
      var lines = rows.map { row in
        Console.wrapped(row[1], after: row[0].padding(toLength: width, withPad: " ", startingAt: 0), indent: width)
      }
      // Paths are long: what was found in a folder goes below its name.
      for (place, files) in data.sorted(by: { $0.key < $1.key }) {
        lines += [place, Console.wrapped(files, after: "  ", indent: 2)]
      }
      lines.append("")
      lines += problems.isEmpty ? ["No problems."] : problems.map { "Problem: \($0.problem).\n  Remedy: \($0.remedy)." }
      return lines.joined(separator: "\n")
    }
  }
}
