// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// What was made of files, kept until one of them changes.
final class FileCache<Value: Sendable>: Sendable {
  private struct Item {
    let stamps: [FileStamp?]
    let value: Value
    var used: Int
  }

  private struct State {
    var items: [String: Item] = [:]
    var clock = 0
  }

  private let state = Mutex(State())
  private let limit: Int

  /// An empty cache.
  ///
  /// - Parameter limit: how many values are kept.
  init(limit: Int) { self.limit = limit }

  /// What was made of files, made anew where one of them changed.
  ///
  /// - Parameters:
  ///   - files: the files.
  ///   - make: makes the value.
  /// - Throws: what `make` throws.
  func value(of files: [URL], _ make: () throws -> Value) rethrows -> Value {
    let key = files.map(\.path).joined(separator: "\n")
    // Before the files are read: a change meanwhile is noticed the next time.
    let stamps = files.map { FileStamp(of: $0) }
    let known = state.withLock { state -> Value? in
      state.clock += 1
      guard let item = state.items[key], item.stamps == stamps else { return nil }
      state.items[key]?.used = state.clock
      return item.value
    }
    if let known { return known }
    let value = try make()
    state.withLock { state in
      state.items[key] = Item(stamps: stamps, value: value, used: state.clock)
      while state.items.count > limit, let oldest = state.items.min(by: { $0.value.used < $1.value.used }) {
        state.items[oldest.key] = nil
      }
    }
    return value
  }
}
