// SPDX-License-Identifier: Apache-2.0
//
// The readers in Swift. One program holds them all; COHERENT_FUZZ names the one that is fed. Whatever the input, a reader
// returns or throws an error of this package that says something; what it accepts must be fit for what is done with it next.

import CZlib
import Foundation

@testable import Collectives
@testable import Datasets
@testable import NeuralNetworks
@testable import RunStore
@testable import Runs
@testable import Tensors
@testable import Training

/// What is done with an input.
typealias Reader = @Sendable (_ input: Data, _ folder: URL) throws -> Void

/// Something that an accepted input must not do.
func require(_ holds: Bool, _ what: @autoclosure () -> String) {
  guard !holds else { return }
  FileHandle.standardError.write(Data("Fatal error: \(what())\n".utf8))
  abort()
}

/// What must succeed once an input was accepted.
func certain<Result>(_ what: String, _ body: () throws -> Result) -> Result {
  do { return try body() } catch {
    require(false, "\(what): \(error)")
    exit(1)
  }
}

// MARK: - Inputs

extension Data {
  /// The first byte, which chooses among variants, and the rest.
  var choice: (Int, Data) { isEmpty ? (0, self) : (Int(self[startIndex]), Data(dropFirst())) }

  func write(_ name: String, in folder: URL) throws -> String {
    let file = folder.appendingPathComponent(name, isDirectory: false)
    // No atomic write: nothing is as slow.
    let descriptor = open(file.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { throw POSIXError(.EIO) }
    defer { close(descriptor) }
    withUnsafeBytes { _ = Foundation.write(descriptor, $0.baseAddress, $0.count) }
    return file.path
  }
}

// MARK: - Data sets

@Sendable private func readIDX(_ input: Data, _: URL) throws {
  let (kind, rest) = input.choice
  // A mutation of compressed bytes seldom means anything: most inputs are compressed here.
  var bytes = rest
  if kind % 3 > 0 { bytes = try Gzip.deflate(rest) }
  if kind % 3 > 1 { bytes += bytes }
  let file = try IDXFile.parse(bytes, path: kind % 2 == 0 ? "x.gz" : "x")
  require(file.values.count == file.dimensions.reduce(1, *), "an IDX file of another size than its header's")
  let again = certain("IDX") { try IDXFile.parse(file.encoded(), path: "y") }
  require(again.dimensions == file.dimensions, "IDX is read back otherwise")
}

@Sendable private func readGzip(_ input: Data, _: URL) throws {
  let (kind, rest) = input.choice
  let bytes = kind % 4 == 0 ? try Gzip.deflate(rest) : rest
  let start = try Gzip.prefix(of: bytes, limit: 64, path: "x")
  let size = try Gzip.announcedSize(of: bytes, path: "x")
  guard size <= 1 << 20 else { return }
  let whole = try ByteStorage(count: size) { try Gzip.inflateAll(bytes, into: $0, path: "x") }
  require(whole.count >= start.count && whole.withUnsafeBytes { $0.starts(with: start) }, "gzip begins otherwise")
}

@Sendable private func readTar(_ input: Data, _: URL) throws {
  let (kind, rest) = input.choice
  var bytes = [UInt8](rest)
  // The sums of most archives are put right: what is behind a wrong one is not looked at.
  var offset = 0
  while kind % 4 != 0, offset + 512 <= bytes.count {
    for place in 148..<156 { bytes[offset + place] = 32 }
    let sum = bytes[offset..<offset + 512].reduce(0) { $0 + Int($1) }
    let digits = Array(String(sum, radix: 8).utf8)
    bytes.replaceSubrange((offset + 148)..<(offset + 148 + digits.count), with: digits)
    bytes[offset + 148 + digits.count] = 0
    let length = bytes[(offset + 124)..<(offset + 136)].prefix { $0 != 0 && $0 != 32 }
    guard let size = Int(String(decoding: length, as: UTF8.self), radix: 8), size >= 0, size <= bytes.count else {
      break
    }
    offset += 512 + (size + 511) / 512 * 512
  }
  let found = try TarFile.files(named: ["a.bin", "test_batch.bin"], in: ByteStorage(bytes), path: "x.tar")
  require(found.values.allSatisfy { $0.count <= bytes.count }, "a file that is larger than its archive")
}

@Sendable private func readCIFAR(_ input: Data, _ folder: URL) throws {
  let (kind, rest) = input.choice
  // Pictures count for nothing: a byte of the input is a label, and whether its record is whole.
  let name = kind % 2 == 0 ? "cifar10" : "cifar100"
  var bytes = Data()
  for label in rest.prefix(6) {
    if kind % 2 == 1 { bytes.append(label / 2) }
    bytes.append(label)
    bytes.append(Data(repeating: label, count: label == 200 ? 3071 : 3072))
  }
  _ = try bytes.write(kind % 2 == 0 ? "test_batch.bin" : "test.bin", in: folder)
  var options = DatasetOptions()
  options.allowsMissingFiles = true
  let data = try DatasetLoader.load(name: name, split: .test, directory: folder.path, options: options)
  require(data.count == min(rest.count, 6), "another number of pictures")
}

@Sendable private func readLabels(_ input: Data, _ folder: URL) throws {
  let (kind, rest) = input.choice
  let ending = ["npy", "csv", "u8"][kind % 3]
  let path = try rest.write("labels.\(ending)", in: folder)
  let names = kind % 2 == 0 ? [] : ["cat", "dog", "a,b"] + (3..<10).map { "class \($0)" }
  let labels = try ExternalLabels.load(
    from: path, expectedCount: 20, wholeCount: kind % 5 == 0 ? 30 : nil, classCount: 10, classNames: names,
    file: kind % 7 == 0 ? { "\($0).png" } : nil)
  require(labels.count == 20 && labels.allSatisfy { (0..<10).contains($0) }, "labels that cannot be")
}

@Sendable private func readNPY(_ input: Data, _: URL) throws {
  let (kind, rest) = input.choice
  // The rest as a whole file, or as a header with values behind it.
  var bytes = rest
  if kind % 2 == 1 {
    let header = rest.prefix(400)
    let (low, high) = (UInt8(header.count & 0xFF), UInt8(header.count >> 8))
    bytes = Data([0x93]) + Data("NUMPY".utf8) + Data([UInt8(kind % 4), 0, low, high]) + header
    bytes += Data(repeating: 1, count: kind / 4)
  }
  _ = try NumPyLabels.parse(bytes, path: "x.npy")
}

@Sendable private func readSplit(_ input: Data, _ folder: URL) throws {
  let split = try ExampleSplit(path: input.write("split.csv", in: folder), count: 20)
  let all = split.train + split.test
  require(!split.train.isEmpty && all.allSatisfy { (0..<20).contains($0) }, "a split that cannot be")
}

// MARK: - Tensors

/// Safetensors: the input as it is, or as the header of a file whose elements are as many as its choice says.
private func safetensors(_ input: Data) -> Data {
  let (kind, rest) = input.choice
  guard kind % 4 != 0 else { return rest }
  var bytes = Data()
  withUnsafeBytes(of: UInt64(rest.count).littleEndian) { bytes.append(contentsOf: $0) }
  return bytes + rest + Data(repeating: UInt8(kind), count: kind)
}

@Sendable private func readSafetensors(_ input: Data, _: URL) throws {
  let (tensors, metadata) = try Safetensors.decode(safetensors(input))
  let again = certain("safetensors that were written") {
    try Safetensors.decode(Safetensors.encode(tensors.map { ($0.key, $0.value) }, metadata: metadata))
  }
  require(again.tensors.mapValues(\.shape) == tensors.mapValues(\.shape), "safetensors are read back otherwise")
}

@Sendable private func readArrays(_ input: Data, _ folder: URL) throws {
  let path = try safetensors(input).write("arrays.safetensors", in: folder)
  let url = URL(fileURLWithPath: path)
  var failure: (any Error)?
  do { _ = try ExampleGradients(contentsOf: url) } catch { failure = error }
  do { _ = try TrainingDynamics(contentsOf: url) } catch { failure = error }
  do { _ = try PretrainedWeights(file: path) } catch { failure = error }
  if let failure { throw failure }
}

// MARK: - Configurations and launchers

@Sendable private func readYAML(_ input: Data, _: URL) throws {
  guard let text = String(data: input, encoding: .utf8) else { return }
  let configuration = try TrainingConfiguration(yaml: text, source: "x.yaml")
  try configuration.validate()
  _ = configuration.totalSteps(for: 1000)
  let written = certain("writing") { try configuration.yaml() }
  let again = certain("reading what was written") {
    try TrainingConfiguration(yaml: written, source: "again").yaml()
  }
  require(again == written, "a configuration is read back otherwise")
}

@Sendable private func readLaunch(_ input: Data, _: URL) throws {
  var environment: [String: String] = [:]
  for line in String(decoding: input, as: UTF8.self).split(whereSeparator: \.isNewline) {
    guard let sign = line.firstIndex(of: "=") else { continue }
    environment[String(line[..<sign])] = String(line[line.index(after: sign)...])
  }
  let launch = try Launch(environment: environment)
  require((0..<launch.count).contains(launch.rank) && (1...65535).contains(launch.port), "a place that cannot be")
  require(launch.threads(processors: 8) >= 1, "no thread")
}

// MARK: - Runs

/// The file that the last input took the place of; nil before the first.
nonisolated(unsafe) private var spoilt: String?

/// Puts the input in place of one of some sound files, which its choice names, and the last one's file back.
///
/// - Returns: the file's name.
private func spoil(_ sound: [String: Data], by input: Data, in folder: URL) throws -> String {
  let (kind, rest) = input.choice
  let name = sound.keys.sorted()[kind % sound.count]
  for (other, content) in sound where other != name && (spoilt == nil || spoilt == other) {
    _ = try content.write(other, in: folder)
  }
  _ = try rest.write(name, in: folder)
  spoilt = name
  return name
}

/// A run whose files are sound but for the one that the input is; what does not read that one is left out.
@Sendable private func readRun(_ input: Data, _ folder: URL) throws {
  let spoilt = try spoil(Sound.run.top, by: input, in: folder)
  let directory = try RunDirectory.open(at: folder.path)
  let isLog =
    spoilt.hasSuffix(".csv") && !["labels.csv", "classes.csv", "examples.csv", "skipped.csv"].contains(spoilt)
  var failure: (any Error)?
  // What follows from all of a run reads all of it: one input in four goes that far.
  let goesOn = input.count % 4 == 0
  func attempt(_ files: String..., logs: Bool = false, isSlow: Bool = false, _ body: () throws -> Void) {
    guard !isSlow || goesOn, files.contains(spoilt) || isLog && logs || spoilt == "manifest.json" else { return }
    do { try body() } catch { failure = error }
  }
  attempt("labels.csv") { _ = try directory.labels() }
  attempt("classes.csv") { _ = try directory.classes() }
  attempt("examples.csv") { _ = try directory.examples() }
  attempt("skipped.csv") { _ = try directory.skipped() }
  attempt("events.jsonl") { _ = try directory.events() }
  attempt(logs: true) { _ = try directory.recordedStep() }
  attempt(logs: true, isSlow: true) { _ = try EndRecord.table(EndRecord.ends(of: directory, name: "x")) }
  attempt("config.yaml") { _ = try TrainingConfiguration(yaml: directory.config(), source: "x") }
  attempt("events.jsonl", logs: true, isSlow: true) {
    // In two parts, as a dashboard follows a run.
    let first = try directory.follow()
    let second = try directory.follow(from: first.offsets)
    require(second.isEmpty, "a log that nobody wrote to has grown")
  }
  attempt("examples.csv", logs: true, isSlow: true) {
    let history = try RunHistory(directory)
    _ = (history.optimizer, history.properAccuracy, history.isStoppedEarly, history.isFullBatch, history.steps)
    _ = (history.pristineAccuracy, history.gap, history.finalGap, history.overfit, history.epochsPerStep)
    _ = (history.majorityShare, history.layers(), history.mCoherence("train"), history.positiveMCoherence("train"))
    _ = (history.coherenceIntervals("train"), history.probeSizes("train"), history.measure("gsnr"))
    _ = history.groups(of: "train").map { history.evaluations("train", $0) }
  }
  if let failure { throw failure }
}

@Sendable private func readCorrections(_ input: Data, _ folder: URL) throws {
  let (kind, rest) = input.choice
  let path = try rest.write("corrections.csv", in: folder)
  let url = URL(fileURLWithPath: path)
  let examples = LabelledExamples(
    classes: ["cat", "dog, big", "\"bird\" <b>&", "=1+1"], labels: [0, 1, 2, 3, 0, 1],
    files: ["a.png", "b,c.png", "=d\n.png", nil, "é.png", "a.png"])
  _ = try? Corrections.read(url, for: examples, isByFile: true)
  let before = try Corrections.read(url, for: examples)
  let log = CorrectionLog(url, for: examples)
  let index = kind % 6
  let label = kind % 4 == 1 ? examples.classes[kind / 6 % 4] : nil
  let outcome = try log.append(
    index: index, decision: LabelDecision.allCases[kind % 4], label: label,
    previous: before.states[index]?.revision ?? 0)
  guard case .saved(let revision) = outcome else { return require(false, "a decision was refused: \(outcome)") }
  // What was acknowledged is there for everybody, and nothing else has changed.
  let after = certain("reading what was written") { try Corrections.read(url, for: examples) }
  require(after.states[index]?.revision == revision, "a decision that was acknowledged is lost")
  require(
    after.states.filter { $0.key != index } == before.states.filter { $0.key != index }, "other decisions have changed")
}

@Sendable private func readAudit(_ input: Data, _ folder: URL) throws {
  _ = try spoil(Sound.audit, by: input, in: folder)
  let audit = try AuditDirectory.open(at: folder.path)
  let record = try audit.record()
  let suspects = try audit.suspects(of: record)
  require(suspects.count == record.count, "another number of suspects")
  _ = try audit.thumbnails(of: record)
  _ = try audit.neighbours(of: record)
  _ = try audit.labels()
  _ = try Corrections.read(audit.corrections, for: audit.labels())
}

// MARK: - Checkpoints

/// Changes a file of a run's newest checkpoint; checksums are put right, as whoever edits a checkpoint would.
///
/// - Returns: false when the input does not even decode as a description.
private func spoilCheckpoint(by input: Data, in checkpoints: URL) throws -> Bool {
  let (kind, rest) = input.choice
  let files = Sound.run.files
  guard var checkpoint = try Checkpoint.latest(in: checkpoints) else {
    require(false, "no checkpoint")
    return false
  }
  switch kind % 3 {
  case 0:
    // The description: its own numbers, with the files that there are.
    guard var edited = try? JSONDecoder().decode(Checkpoint.self, from: rest) else { return false }
    (edited.weights, edited.state, edited.step) = (checkpoint.weights, checkpoint.state, checkpoint.step)
    try edited.write(in: checkpoints)
  case 1, 2:
    // A file of tensors: the input takes the place of its header.
    let file = kind % 3 == 1 ? checkpoint.state : checkpoint.weights
    guard let old = files["checkpoints/\(file.name)"] else { return false }
    let length = old.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    var bytes = Data()
    withUnsafeBytes(of: UInt64(rest.count).littleEndian) { bytes.append(contentsOf: $0) }
    bytes += rest + old.dropFirst(8 + length)
    if kind / 3 % 4 == 1 { bytes[bytes.index(before: bytes.endIndex) - kind % 64] ^= 0x80 }
    _ = try bytes.write(file.name, in: checkpoints)
    let sum = bytes.withUnsafeBytes { crc32(0, $0.bindMemory(to: UInt8.self).baseAddress, UInt32($0.count)) }
    let changed = Checkpoint.File(name: file.name, bytes: bytes.count, crc32: UInt32(truncatingIfNeeded: sum))
    if kind % 3 == 1 { checkpoint.state = changed } else { checkpoint.weights = changed }
    try checkpoint.write(in: checkpoints)
  default: return false
  }
  return true
}

/// A run whose checkpoint was changed, as its user has it go on.
@Sendable private func readCheckpoint(_ input: Data, _: URL) throws {
  let (folder, files) = (Sound.run.folder, Sound.run.files)
  for (name, data) in files { _ = try data.write(name, in: folder) }
  let checkpoints = folder.appendingPathComponent("checkpoints")
  // What a resumed run has added since.
  for name in try FileManager.default.contentsOfDirectory(atPath: checkpoints.path)
  where files["checkpoints/\(name)"] == nil { unlink(checkpoints.path + "/" + name) }
  guard try spoilCheckpoint(by: input, in: checkpoints) else { return }
  let run = try TrainingRun(resuming: folder.path, commandLine: ["x"], tool: .init(version: "0"), checksMemory: false)
  var steps = 0
  _ = try run.train(shouldStop: {
    steps += 1
    return steps > 2
  })
}

/// The same, in a trainer that is there already: a tenth of the time, so that there are ten times as many inputs.
@Sendable private func readState(_ input: Data, _: URL) throws {
  let checkpoints = Sound.run.folder.appendingPathComponent("checkpoints")
  for (name, data) in Sound.run.files where name.hasPrefix("checkpoints/") {
    _ = try data.write(name, in: Sound.run.folder)
  }
  guard try spoilCheckpoint(by: input, in: checkpoints), let checkpoint = try Checkpoint.latest(in: checkpoints) else {
    return
  }
  try checkpoint.restore(lasting, model: Sound.configuration.model, in: checkpoints)
  for _ in 0..<2 where !lasting.isFinished { _ = try lasting.update() }
}

/// What checkpoints are restored into: each overwrites all that the one before has left.
nonisolated(unsafe) private let lasting = certain("a trainer") { try Trainer.make(Sound.configuration) }

// MARK: - The program

private let readers: [String: Reader] = [
  "idx": readIDX, "gzip": readGzip, "tar": readTar, "cifar": readCIFAR, "labels": readLabels, "npy": readNPY,
  "split": readSplit, "safetensors": readSafetensors, "arrays": readArrays, "yaml": readYAML,
  "launch": readLaunch, "run": readRun, "corrections": readCorrections, "audit": readAudit,
  "checkpoint": readCheckpoint, "state": readState,
]

/// Writes the inputs to begin with that are made from sound files.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(_: UnsafeMutablePointer<CInt>?, _: UnsafeMutableRawPointer?) -> CInt {
  let environment = ProcessInfo.processInfo.environment
  if let place = environment["COHERENT_FUZZ_SEEDS"] {
    Sound.writeSeeds(of: environment["COHERENT_FUZZ"] ?? "", into: URL(fileURLWithPath: place))
    exit(0)
  }
  _ = try? Runtime.setThreadCount(1)
  return 0
}

private let chosen: (reader: Reader, folder: URL) = {
  let name = ProcessInfo.processInfo.environment["COHERENT_FUZZ"] ?? ""
  guard let reader = readers[name] else {
    require(false, "COHERENT_FUZZ names no reader: \(name)")
    exit(1)
  }
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("fuzz-\(name)-\(getpid())")
  try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  return (reader, folder)
}()

/// Whether an error is one of this package's, made for a person.
private func isOwn(_ error: any Error) -> Bool {
  let module = String(reflecting: type(of: error)).prefix { $0 != "." }
  return !["Swift", "Foundation", "FoundationEssentials", "Yams", "Readers", "NSError"].contains(module)
}

/// Feeds the chosen reader.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Data(UnsafeBufferPointer(start: start, count: count))
  do {
    try chosen.reader(input, chosen.folder)
  } catch {
    require(isOwn(error), "an error of somebody else's: \(type(of: error)): \(error)")
    require(!"\(error)".isEmpty, "an error without a message")
  }
  return 0
}
