// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Whether the process that started this one is still there, for processes that shall not outlive it: a study's cells
/// must not go on writing when the study was killed.
///
/// An orphan gets another parent. It is looked for at most once a second, so asking after every step costs nothing.
public final class ParentProcessMonitor {
  private let parent: pid_t
  private let currentParent: () -> pid_t
  private let distance: UInt64
  private var lastLook: UInt64
  private var wasGone = false

  /// The variable that asks for this: 1, or the number of the process that has to be there. With the number a parent that
  /// was gone before this process began is noticed too.
  public static let variable = "COHERENT_STOP_WITH_PARENT"

  /// A monitor from now on; nil unless the environment asks for one.
  public convenience init?(environment: [String: String] = ProcessInfo.processInfo.environment) {
    guard let number = environment[Self.variable].flatMap({ pid_t($0) }), number >= 1 else { return nil }
    self.init(seconds: 1, parent: number == 1 ? nil : number, currentParent: getppid)
  }

  /// - Parameters:
  ///   - seconds: between two looks, at least.
  ///   - parent: the process that has to be there; the present parent when nil.
  ///   - currentParent: the parent of this process now.
  init(seconds: Double, parent: pid_t? = nil, currentParent: @escaping () -> pid_t) {
    self.currentParent = currentParent
    let present = currentParent()
    self.parent = parent ?? present
    wasGone = self.parent != present
    // In range: seconds between two looks.
    distance = UInt64(seconds * 1e9)
    lastLook = DispatchTime.now().uptimeNanoseconds
  }

  /// Whether the parent is gone.
  public var isGone: Bool {
    guard !wasGone else { return true }
    let now = DispatchTime.now().uptimeNanoseconds
    guard now - lastLook >= distance else { return false }
    lastLook = now
    wasGone = currentParent() != parent
    return wasGone
  }
}
