// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// The numbers of a run's log in columns, one set of columns for each series of its lines, such as a split and a group of
/// `metrics.csv`. It reads what was appended since the last look and nothing twice: a million lines take a fraction of
/// a second, where one value for each line would take several.
///
/// Numbers are right to about one unit in the last place, which no plot shows; for results there is `RunHistory`.
final class LogColumns {
  /// The columns of one series.
  struct Series {
    /// Its cells in the key columns, such as `train` and `all`.
    let key: [String]
    /// The steps, ascending.
    fileprivate(set) var steps: [Double] = []
    /// The numbers of every value column; NaN where a cell is empty.
    fileprivate(set) var values: [[Double]]

    /// Adds a line. Where a step was logged twice the later line counts.
    fileprivate mutating func add(step: Double, _ numbers: UnsafeBufferPointer<Double>) {
      guard let last = steps.last, step <= last else {
        steps.append(step)
        for column in values.indices { values[column].append(numbers[column]) }
        return
      }
      let place = steps.partitioningIndex { $0 >= step }
      if steps[place] == step {
        for column in values.indices { values[column][place] = numbers[column] }
      } else {
        steps.insert(step, at: place)
        for column in values.indices { values[column].insert(numbers[column], at: place) }
      }
    }
  }

  /// The file.
  let url: URL
  private let keyColumns: [String]
  private let valueColumns: [String]
  /// The series in the order of their first lines.
  private(set) var series: [Series] = []
  private var keys: [[UInt8]] = []
  private var stamp: FileStamp?
  private var offset = 0
  private var line = 0
  /// The places of the step, the key columns and the value columns in a line, and how many cells it has.
  private var layout: (step: Int, keys: [Int], values: [Int], count: Int)?

  /// A log that was not read yet.
  ///
  /// - Parameters:
  ///   - url: the file; it need not exist.
  ///   - keys: the columns that tell series apart.
  ///   - values: the columns of numbers.
  init(_ url: URL, keys: [String], values: [String]) { (self.url, keyColumns, valueColumns) = (url, keys, values) }

  /// How many numbers are held.
  var count: Int { series.reduce(0) { $0 + $1.steps.count * ($1.values.count + 1) } }

  /// The column of a name in every `values`.
  func column(_ name: String) -> Int { valueColumns.firstIndex(of: name) ?? 0 }

  /// Reads what was appended since the last call; everything where the file was replaced or became shorter, as when a run
  /// is resumed. A last line that is still being written is left for the next call.
  ///
  /// - Returns: Whether anything changed.
  /// - Throws: `RunStoreError` naming file and line of what cannot be read.
  func update() throws -> Bool {
    guard let now = FileStamp(of: url) else {
      defer { reset() }
      return !series.isEmpty
    }
    if now == stamp { return false }
    if let stamp, now.isOther(than: stamp) || now.size < offset { reset() }
    guard let handle = try? openForReading(url) else { return false }
    defer { try? handle.close() }
    do {
      try handle.seek(toOffset: UInt64(offset))
      var rest = Data()
      while let chunk = try handle.read(upToCount: Self.chunk), !chunk.isEmpty {
        rest.append(chunk)
        guard let end = rest.lastIndex(of: 0x0A) else { continue }
        let whole = rest[...end]
        try whole.withUnsafeBytes { try read($0.bindMemory(to: UInt8.self)) }
        offset += whole.count
        rest = Data(rest[(end + 1)...])
      }
    } catch let error as RunStoreError {
      reset()
      throw error
    } catch { throw RunStoreError("Cannot read \(url.path).", remedy: "Check the disk and try again.") }
    stamp = now
    return true
  }

  private static let chunk = 1 << 20

  private func reset() { (series, keys, stamp, offset, line, layout) = ([], [], nil, 0, 0, nil) }

  /// Reads finished lines.
  private func read(_ bytes: UnsafeBufferPointer<UInt8>) throws {
    var start = 0
    var fields: [Range<Int>] = []
    var numbers = [Double](repeating: .nan, count: valueColumns.count)
    var guess = 0
    while let end = Self.lineEnd(bytes, from: start) {
      defer { start = end + 1 }
      line += 1
      let stop = end > start && bytes[end - 1] == 0x0D ? end - 1 : end
      guard stop > start else { continue }
      LogLine.split(bytes, start..<stop, into: &fields)
      guard let layout else {
        layout = try layout(of: fields.map { LogLine.text(bytes, $0) })
        continue
      }
      guard fields.count == layout.count else {
        throw unreadable("has \(fields.count) cells, expected \(layout.count)")
      }
      guard let step = PlainNumber.value(bytes, fields[layout.step]), step.isFinite else {
        throw unreadable("has no step")
      }
      for (column, place) in layout.values.enumerated() {
        guard let number = PlainNumber.value(bytes, fields[place]) else {
          throw unreadable("holds \"\(LogLine.text(bytes, fields[place]))\" as \(valueColumns[column]), not a number")
        }
        numbers[column] = number
      }
      let place = series(of: bytes, fields, layout.keys, guess)
      numbers.withUnsafeBufferPointer { series[place].add(step: step, $0) }
      guess = place + 1
    }
  }

  private static func lineEnd(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
    guard let base = bytes.baseAddress, start < bytes.count else { return nil }
    return memchr(base + start, 0x0A, bytes.count - start).map { UnsafeRawPointer($0) - UnsafeRawPointer(base) }
  }

  private func layout(of header: [String]) throws -> (step: Int, keys: [Int], values: [Int], count: Int) {
    func place(_ name: String) throws -> Int {
      guard let place = header.firstIndex(of: name) else {
        throw RunStoreError(
          "\(url.path):1: the header \"\(header.joined(separator: ","))\" has no column \(name).",
          remedy: "The file is damaged or comes from another version of the program; restore it or run again.")
      }
      return place
    }
    return (try place("step"), try keyColumns.map(place), try valueColumns.map(place), header.count)
  }

  private func unreadable(_ problem: String) -> RunStoreError {
    RunStoreError(
      "\(url.path):\(line): the line \(problem).",
      remedy: "Correct or remove this line, or restore the file from a copy.")
  }

  /// The place of the series that a line belongs to. Lines come in turn, so that the one after the last is a good guess.
  private func series(
    of bytes: UnsafeBufferPointer<UInt8>, _ fields: [Range<Int>], _ columns: [Int], _ guess: Int
  ) -> Int {
    func matches(_ key: [UInt8]) -> Bool {
      var place = 0
      for column in columns {
        let field = fields[column]
        guard place + field.count < key.count, key[place + field.count] == 0x0A else { return false }
        for index in field {
          if key[place] != bytes[index] { return false }
          place += 1
        }
        place += 1
      }
      return place == key.count
    }
    if guess < keys.count, matches(keys[guess]) { return guess }
    if let found = keys.firstIndex(where: matches) { return found }
    keys.append(columns.flatMap { Array(bytes[fields[$0]]) + [0x0A] })
    series.append(
      Series(
        key: columns.map { LogLine.text(bytes, fields[$0]) },
        values: Array(repeating: [], count: valueColumns.count)))
    return keys.count - 1
  }
}

extension Array where Element == Double {
  /// The first place from which on a condition holds, in an array where it holds for no element and then for all.
  func partitioningIndex(_ holds: (Double) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
