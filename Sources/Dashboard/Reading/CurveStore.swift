// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// The curves of the runs that were looked at, kept in memory up to a limit: what is drawn again is not read again.
actor CurveStore {
  /// The curves of a run at one moment.
  struct Reading: Sendable {
    /// Grows with every change of the logs.
    let revision: Int
    /// The curves.
    let curves: RunCurves
  }

  private struct Item {
    let logs: RunLogs
    var reading: Reading?
    /// What the script of a page needs of the figures, once it was asked for.
    var report: String?
    var used: Int
  }

  /// How many numbers are kept before the runs looked at longest ago are forgotten: 64 MiB of them.
  private let limit: Int
  private var items: [String: Item] = [:]
  private var clock = 0

  /// An empty store.
  ///
  /// - Parameter limit: how many numbers are kept.
  init(limit: Int = 8 << 20) { self.limit = limit }

  /// How many runs are kept.
  var count: Int { items.count }

  /// The curves of a run, read anew as far as its logs changed.
  ///
  /// - Parameter folder: the run directory.
  /// - Throws: `RunStoreError` naming file and line of what cannot be read.
  func reading(of folder: URL) throws -> Reading {
    clock += 1
    var item = items[folder.path] ?? Item(logs: RunLogs(folder), reading: nil, used: clock)
    item.used = clock
    let hasChanged: Bool
    do {
      hasChanged = try item.logs.update()
    } catch {
      items[folder.path] = nil
      throw error
    }
    if let reading = item.reading, !hasChanged {
      items[folder.path] = item
      return reading
    }
    let reading = Reading(revision: clock, curves: item.logs.curves())
    (item.reading, item.report) = (reading, nil)
    items[folder.path] = item
    forget(besides: folder.path)
    return reading
  }

  /// What the script of an open page needs of the run's figures; made again only where the logs changed.
  ///
  /// - Parameter folder: the run directory.
  /// - Throws: `RunStoreError` naming file and line of what cannot be read.
  func report(of folder: URL) throws -> String {
    let curves = try reading(of: folder).curves
    if let report = items[folder.path]?.report { return report }
    let report = PageFrame.report(of: RunFigures.figures(of: curves))
    items[folder.path]?.report = report
    return report
  }

  /// The curves of a run within some of its steps, with the points that curves over all of them leave out.
  ///
  /// - Parameters:
  ///   - folder: the run directory.
  ///   - steps: the steps that are seen.
  /// - Throws: `RunStoreError` naming file and line of what cannot be read.
  func curves(of folder: URL, within steps: ClosedRange<Double>) throws -> RunCurves {
    let all = try reading(of: folder).curves
    return items[folder.path]?.logs.curves(within: steps) ?? all
  }

  private func forget(besides path: String) {
    var held = items.values.reduce(0) { $0 + $1.logs.count }
    for (other, item) in items.sorted(by: { $0.value.used < $1.value.used }) where held > limit && other != path {
      held -= item.logs.count
      items[other] = nil
    }
  }
}
