// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// The decisions about the labels of one data set, for reading and for adding to them: several threads, several
/// processes and a person with an editor may do so.
///
/// A decision is a line at the end of the file. It is on the disk when `append` returns, and whoever has not seen the
/// last decision about an example cannot overwrite it.
public final class CorrectionLog: Sendable {
  /// What became of a decision.
  public enum Outcome: Sendable, Equatable {
    /// It is on the disk, in the line with this number.
    case saved(revision: Int)
    /// It was not written: somebody else has decided about the example meanwhile, this.
    case conflict(Corrections.State?)
    /// It was not written: there is no such example, class or decision.
    case refused(RunStoreError)
  }

  /// What tells one state of a file from another.
  private struct Stamp: Equatable {
    let inode, size: Int
    let time: Date

    init?(_ url: URL) {
      guard let attributes = try? FileManager.default.attributesOfItem(atPath: url.path),
        let inode = attributes[.systemFileNumber] as? Int, let size = attributes[.size] as? Int,
        let time = attributes[.modificationDate] as? Date
      else { return nil }
      (self.inode, self.size, self.time) = (inode, size, time)
    }
  }

  /// The file.
  public let url: URL
  private let examples: LabelledExamples
  private let known = Mutex<(stamp: Stamp, text: CorrectionText)?>(nil)

  /// The decisions in a file; it need not exist.
  ///
  /// - Parameters:
  ///   - url: the file.
  ///   - examples: the labels that the decisions are about.
  public init(_ url: URL, for examples: LabelledExamples) { (self.url, self.examples) = (url, examples) }

  /// What counts at present.
  ///
  /// - Throws: `RunStoreError` naming file, line and column of what is wrong.
  public func corrections() throws -> Corrections { try known.withLock { try present(&$0).corrections } }

  /// Adds a decision.
  ///
  /// - Parameters:
  ///   - index: the example's place in the data set, from 0.
  ///   - decision: the decision.
  ///   - label: the name of the new class of a relabel; nil or empty otherwise.
  ///   - previous: the revision of the last decision about this example that the person has seen; 0 for none.
  ///   - time: when it was made.
  /// - Returns: whether it was written, and otherwise why not.
  /// - Throws: `RunStoreError` when the file is wrong, naming line and column, when it stays locked, or when it cannot
  ///   be written; the decisions before are untouched then.
  public func append(
    index: Int, decision: LabelDecision, label: String? = nil, previous: Int, time: Date = Date()
  ) throws -> Outcome {
    let label = label.flatMap { $0.isEmpty ? nil : $0 }
    if let contradiction = CorrectionRecord.contradiction(decision, label: label) {
      return .refused(RunStoreError("The decision \(contradiction)", remedy: CorrectionRecord.remedy))
    }
    let record = CorrectionRecord(
      index: index,
      file: examples.files.indices.contains(index) ? examples.files[index].map(LabelledExamples.oneLine) : nil,
      given: examples.given(index) ?? "", decision: decision, label: label,
      time: time.formatted(Date.ISO8601FormatStyle()))
    if let fault = examples.fault(in: record) {
      let problem = fault.problem.prefix(1).uppercased() + fault.problem.dropFirst()
      return .refused(RunStoreError(problem, remedy: fault.remedy))
    }
    return try known.withLock { known in
      let lock = try DirectoryLock(
        url.deletingLastPathComponent(), activity: "writing to",
        remedy: "The decision was not saved; wait for the other process to end, then decide again.", patience: 10)
      defer { lock.release() }
      var text = try present(&known)
      let state = text.corrections.states[index]
      guard state?.revision ?? 0 == previous else { return .conflict(state) }
      known = nil
      try write(record, to: &text)
      if let stamp = Stamp(url), stamp.size == text.size { known = (stamp, text) }
      return .saved(revision: text.lines)
    }
  }

  /// The file as it is, read again only where it has changed.
  private func present(_ known: inout (stamp: Stamp, text: CorrectionText)?) throws -> CorrectionText {
    // Before the file is read: a change meanwhile is then seen next time.
    let stamp = Stamp(url)
    if let known, known.stamp == stamp { return known.text }
    known = nil
    let text = try CorrectionText(of: url, for: examples)
    known = stamp.map { ($0, text) }
    return text
  }

  private func write(_ record: CorrectionRecord, to text: inout CorrectionText) throws {
    let start = text.lines == 0 ? CorrectionText.header : text.lacksLineEnd ? "\n" : ""
    let line = Data((start + CSV.lines([record])).utf8)
    do {
      if FileManager.default.fileExists(atPath: url.path) { try AppendOnlyFile.truncate(url, to: text.size) }
      let file = try AppendOnlyFile(url)
      try file.append(line)
      do {
        try file.synchronize()
      } catch {
        // Written, perhaps, but not said to be: nobody is to find it later.
        try? AppendOnlyFile.truncate(url, to: text.size)
        throw error
      }
      try file.close()
    } catch let error as RunStoreError {
      throw RunStoreError(
        error.problem,
        remedy: "The decision was not saved, the earlier ones are untouched; solve this, then decide again.")
    }
    text.note(record, bytes: line.count)
  }
}
