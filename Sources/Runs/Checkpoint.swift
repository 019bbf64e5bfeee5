// SPDX-License-Identifier: Apache-2.0

import CZlib
import Datasets
import Foundation
import NeuralNetworks
import RunStore
import Tensors
import Training

/// A run at one step, as three files in `checkpoints/`: `step-N.safetensors` (the parameters by name),
/// `step-N.state.safetensors` (optimizer, generator, learning record, probes) and `step-N.json`, which is written last
/// and names the other two with size and checksum. A checkpoint exists when its JSON does, and the JSON carries its own
/// checksum.
struct Checkpoint: Codable, Sendable, Equatable {
  struct File: Codable, Sendable, Equatable {
    var name: String
    var bytes: Int
    var crc32: UInt32
  }

  var format = 1
  var step: Int
  var model: String
  var parameterCount: Int
  var sampler: BatchSampler
  var milestones: Milestones
  var logs: RunLogOffsets
  var seconds: Double
  /// nil in a checkpoint of a program that did not count them.
  var processorSeconds: Double?
  var weights: File
  var state: File
  /// CRC-32 of this description as written with 0 here.
  var checksum: UInt32 = 0

  private static let weightsEnding = ".safetensors"
  private static let stateEnding = ".state.safetensors"
  private static let descriptionEnding = ".json"

  static func name(step: Int) -> String { "step-" + paddedStep(step) }

  /// A step in nine digits, so that names sort as steps do.
  static func paddedStep(_ step: Int) -> String {
    let digits = String(step)
    return String(repeating: "0", count: max(0, 9 - digits.count)) + digits
  }

  static func write(_ tensors: [(name: String, tensor: Tensor)], as name: String, in folder: URL) throws -> File {
    let data = try Safetensors.encode(tensors, metadata: ["format": "pt"])
    try writeAtomically(data, to: folder.appendingPathComponent(name))
    return File(name: name, bytes: data.count, crc32: checksum(data))
  }

  /// What to do about a damaged file: there may be an earlier checkpoint.
  private static func remedy(for name: String, in folder: URL) -> String {
    guard step(ofFile: name) != nil else { return "choose other weights with --select last" }
    return ((try? list(in: folder).count) ?? 0) > 1
      ? "delete this checkpoint's .json file to continue from the previous one"
      : "there is no earlier one: restore it from a copy, or train the run again"
  }

  /// The bytes of one of the files, after checking that they are those that were written.
  static func data(of file: File, in folder: URL) throws -> Data {
    let url = folder.appendingPathComponent(file.name)
    let remedy = remedy(for: file.name, in: folder)
    let data: Data
    do {
      data = try readFile(url)
    } catch {
      // What may not be read is no reason to delete anything.
      guard access(url.path, F_OK) != 0, errno == ENOENT else {
        throw TrainingError(.checkpoint, "the checkpoint file \(url.path) cannot be read: \(error)")
      }
      throw TrainingError(.checkpoint, "the checkpoint file \(url.path) is missing; \(remedy)")
    }
    guard data.count == file.bytes, checksum(data) == file.crc32 else {
      throw TrainingError(.checkpoint, "the checkpoint file \(url.path) is damaged: its checksum is wrong; \(remedy)")
    }
    return data
  }

  /// The tensors of one of the files, after the same check.
  static func read(_ file: File, in folder: URL) throws -> [String: Tensor] {
    let data = try data(of: file, in: folder)
    do {
      return try Safetensors.decode(data).tensors
    } catch {
      let path = folder.appendingPathComponent(file.name).path
      let remedy = remedy(for: file.name, in: folder)
      throw TrainingError(.checkpoint, "the checkpoint file \(path) is damaged: \(error); \(remedy)")
    }
  }

  private static func checksum(_ data: Data) -> UInt32 {
    data.withUnsafeBytes { bytes in
      var value: UInt = 0
      var rest = bytes
      while !rest.isEmpty {
        let part = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
        value = crc32(value, part.bindMemory(to: UInt8.self).baseAddress, UInt32(part.count))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(part.count))
      }
      return UInt32(truncatingIfNeeded: value)
    }
  }

  private func json() throws -> Data { try prettyJSON(self, escapingSlashes: true) }

  /// Writes the description: the checkpoint exists from then on.
  mutating func write(in folder: URL) throws {
    checksum = 0
    checksum = Self.checksum(try json())
    try writeAtomically(json(), to: folder.appendingPathComponent(Self.name(step: step) + Self.descriptionEnding))
  }

  /// The step that a file of a checkpoint belongs to; nil for every other file.
  private static func step(ofFile file: String) -> Int? {
    guard file.hasPrefix("step-") else { return nil }
    let digits = file.dropFirst(5).prefix { $0.isASCII && $0.isNumber }
    let endings = [weightsEnding, stateEnding, descriptionEnding]
    return endings.contains(String(file.dropFirst(5 + digits.count))) ? Int(digits) : nil
  }

  /// - Throws: `TrainingError` when the folder is there and cannot be listed: a checkpoint that is not seen would be
  ///   taken for one that is gone.
  private static func files(in folder: URL) throws -> [(name: String, step: Int)] {
    guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    } catch {
      throw TrainingError(
        .checkpoint, "the folder \(folder.path) cannot be listed; check its permissions, then run the command again")
    }
    return names.compactMap { name in step(ofFile: name).map { (name, $0) } }.sorted { $0.1 < $1.1 }
  }

  /// The descriptions of all checkpoints in a folder, oldest first, by their file names; none without the folder.
  static func list(in folder: URL) throws -> [URL] {
    try files(in: folder).filter { $0.name.hasSuffix(descriptionEnding) }.map { folder.appendingPathComponent($0.name) }
  }

  /// The steps of all checkpoints in a folder, ascending.
  static func steps(in folder: URL) throws -> [Int] {
    try list(in: folder).compactMap { step(ofFile: $0.lastPathComponent) }
  }

  /// The newest checkpoint's description; nil when there is none.
  static func latest(in folder: URL) throws -> Checkpoint? { try find(step: nil, in: folder) }

  /// The description of the checkpoint of a step, or of the newest; nil when there is none.
  static func find(step wanted: Int?, in folder: URL) throws -> Checkpoint? {
    while true {
      let there = try list(in: folder)
      let found = wanted.map { wanted in there.last { step(ofFile: $0.lastPathComponent) == wanted } } ?? there.last
      guard let url = found else { return nil }
      // A training that goes on deletes old checkpoints: what is gone since the folder was listed is not damaged.
      if let checkpoint = try read(url, hasEarlier: there.count > 1) { return checkpoint }
    }
  }

  /// Reads a description; nil where there is none any more.
  private static func read(_ url: URL, hasEarlier: Bool) throws -> Checkpoint? {
    let remedy =
      hasEarlier
      ? "delete it to continue from the previous one"
      : "there is no earlier one: restore it from a copy, or train the run again"
    guard let checkpoint = try? JSONDecoder().decode(Checkpoint.self, from: readFile(url)) else {
      // The entry itself: a link to nowhere is damage.
      if (try? FileManager.default.attributesOfItem(atPath: url.path)) == nil { return nil }
      throw TrainingError(.checkpoint, "the checkpoint \(url.path) is damaged and cannot be read; \(remedy)")
    }
    var unsealed = checkpoint
    unsealed.checksum = 0
    guard checksum(try unsealed.json()) == checkpoint.checksum else {
      throw TrainingError(.checkpoint, "the checkpoint \(url.path) is damaged: its checksum is wrong; \(remedy)")
    }
    // A file can be edited and its checksum put right.
    guard checkpoint.isPossible else {
      throw TrainingError(
        .checkpoint, "the checkpoint \(url.path) holds a step, a size or a time that cannot be; \(remedy)")
    }
    return checkpoint
  }

  /// The time that the run had taken.
  var spent: TimeSpent { TimeSpent(wall: seconds, processor: processorSeconds) }

  private var isPossible: Bool {
    let moments = [milestones.last, milestones.best, milestones.selected].compactMap { $0 }
    let steps = [step, sampler.epoch] + moments.map(\.step)
    let bytes = [weights.bytes, state.bytes] + logs.bytes.values
    return steps.allSatisfy { (0...TrainingSettings.maximumSteps).contains($0) }
      && bytes.allSatisfy { (0...(1 << 50)).contains($0) } && (0...1e12).contains(seconds)
      && (0...1e12).contains(processorSeconds ?? 0)
      && moments.flatMap { [$0.trainAccuracy, $0.testAccuracy, $0.validationAccuracy] }.allSatisfy { accuracy in
        accuracy.map { $0.isNaN || (0...1).contains($0) } ?? true
      }
  }

  /// Deletes all but the newest `kept` checkpoints, and their files that belong to none; each description first, so
  /// that no checkpoint is ever listed without its files.
  static func prune(in folder: URL, keeping kept: Int) {
    let all = (try? files(in: folder)) ?? []
    let (descriptions, others) = (
      all.filter { $0.name.hasSuffix(descriptionEnding) }, all.filter { !$0.name.hasSuffix(descriptionEnding) }
    )
    let alive = Set(descriptions.suffix(kept).map(\.step))
    for file in descriptions + others where !alive.contains(file.step) {
      try? FileManager.default.removeItem(at: folder.appendingPathComponent(file.name))
    }
  }
}

// MARK: - When

/// When checkpoints are taken, which changes nothing in the results.
struct CheckpointSchedule {
  /// Steps between checkpoints.
  let distance: Int
  /// Whether the user chose the distance: then nothing else counts.
  let isGiven: Bool
  /// The seconds it took to write the last one.
  var cost = 0.0

  /// - Parameter every: the distance that the user chose; an epoch by default, or a twentieth of the run if that is more.
  init(_ trainer: Trainer, every: Int?) {
    self.init(distance: every ?? max(1, max(trainer.stepsPerEpoch, trainer.steps / 20)), isGiven: every != nil)
  }

  init(distance: Int, isGiven: Bool) { (self.distance, self.isGiven) = (distance, isGiven) }

  /// By steps, and by default once a minute as well; but the gigabyte of a VGG takes seconds to write, and then a
  /// twentieth of the time is enough for that.
  ///
  /// - Parameter seconds: the time since the last checkpoint.
  func isDue(_ step: Int, after seconds: Double) -> Bool {
    let isByStep = step % distance == 0
    if isGiven { return isByStep }
    return (isByStep || seconds > 60) && (cost < 0.5 || seconds > 20 * cost)
  }
}

// MARK: - Taking and restoring

extension Checkpoint {
  /// Writes a checkpoint of a trainer's present step. When that fails, what was written of it is deleted again, and the
  /// checkpoints before it stay.
  ///
  /// - Parameter model: the model's name.
  static func save(_ trainer: Trainer, model: String, in folder: URL, logs: RunLogOffsets, spent: TimeSpent) throws {
    defer { prune(in: folder, keeping: 2) }
    let (name, state) = (name(step: trainer.step), try trainer.state())
    let weights = try write(trainer.weights(), as: name + weightsEnding, in: folder)
    let arrays = try write(state.arrays, as: name + stateEnding, in: folder)
    var checkpoint = Checkpoint(
      step: state.step, model: model, parameterCount: trainer.store.count, sampler: state.sampler,
      milestones: state.milestones, logs: logs, seconds: spent.wall, processorSeconds: spent.processor,
      weights: weights, state: arrays)
    try checkpoint.write(in: folder)
  }

  /// Has a trainer continue from this checkpoint.
  func restore(_ trainer: Trainer, model name: String, in folder: URL) throws {
    guard format == 1 else {
      throw TrainingError(.checkpoint, "the checkpoint has format \(format); this version reads format 1")
    }
    guard model == name, parameterCount == trainer.store.count else {
      throw TrainingError(
        .checkpoint,
        "the checkpoint belongs to model \(model) with \(parameterCount) parameters, but the "
          + "configuration asks for \(name) with \(trainer.store.count)")
    }
    try Self.load(Self.read(weights, in: folder), into: trainer.model, store: trainer.store, from: weights.name)
    let arrays = try Self.read(state, in: folder).map { (name: $0.key, tensor: $0.value) }
    do {
      try trainer.restore(
        TrainerState(step: step, sampler: sampler, milestones: milestones, arrays: arrays), from: state.name)
    } catch {
      // Parts that know nothing of files say what is wrong with their arrays.
      let text = "\(error)"
      if text.contains(state.name) { throw error }
      throw TrainingError(.checkpoint, "\(folder.appendingPathComponent(state.name).path): \(text)")
    }
  }
}

extension Checkpoint {
  /// Overwrites parameters and buffers with named tensors.
  static func load(
    _ tensors: [String: Tensor], into model: any Module, store: ParameterStore, from source: String
  ) throws {
    let wanted =
      store.entries.map { ($0.name, $0.parameter.value) } + model.namedBuffers.map { ($0.name, $0.buffer.value) }
    for (name, target) in wanted {
      guard let saved = tensors[name] else {
        throw TrainingError(.checkpoint, "\(source) has no tensor \"\(name)\": it belongs to another model")
      }
      guard saved.shape == target.shape else {
        throw TrainingError(
          .checkpoint, "\(source): \"\(name)\" has shape \(saved.shape), the model's has \(target.shape)")
      }
      try target.copy(from: saved)
    }
  }
}
