// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The right to write a folder, such as a run directory, which one process has at a time: an advisory lock (flock) on
/// the file `.lock` in it. The system takes it back when the process ends, however that happens; reading needs none.
///
/// The file is deleted on release, so that a run at rest holds nothing that is not its own.
public final class DirectoryLock {
  private let path: String
  private var descriptor: Int32 = -1

  /// Takes the lock of a folder. File systems without locks, and folders that cannot be written to, are let pass: the
  /// first write will tell.
  ///
  /// - Parameters:
  ///   - folder: the folder that is locked.
  ///   - activity: what the other process would be doing, such as "training in".
  ///   - remedy: what to do about that.
  ///   - patience: for how many seconds to wait for the lock, where others hold it for moments only.
  /// - Throws: `RunStoreError` when another process, or another part of this one, has it.
  public init(
    _ folder: URL, activity: String = "training in",
    remedy: String = "Wait for it to end, stop it, or choose another folder with --out.", patience: Double = 0
  ) throws {
    path = folder.appendingPathComponent(RunFile.lock).path
    let end = ContinuousClock.now + .seconds(patience)
    while true {
      let opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      guard opened >= 0 else {
        if [EACCES, EPERM, EROFS].contains(errno) { return }
        throw RunStoreError.system("lock", path, code: errno)
      }
      guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
        let code = errno
        close(opened)
        if code == EINTR { continue }
        guard code == EWOULDBLOCK else { return }
        if ContinuousClock.now < end {
          usleep(2000)
          continue
        }
        throw RunStoreError("Another process is \(activity) \(folder.path).", remedy: remedy)
      }
      // The one before may have deleted the file after it was opened here: that lock would guard nothing.
      if Self.isSame(opened, path) {
        descriptor = opened
        return
      }
      close(opened)
    }
  }

  deinit { release() }

  /// Gives the lock back; a second time nothing happens.
  public func release() {
    guard descriptor >= 0 else { return }
    unlink(path)
    close(descriptor)
    descriptor = -1
  }

  private static func isSame(_ descriptor: Int32, _ path: String) -> Bool {
    var (opened, present) = (stat(), stat())
    return fstat(descriptor, &opened) == 0 && stat(path, &present) == 0 && opened.st_ino == present.st_ino
      && opened.st_dev == present.st_dev
  }
}

extension RunDirectory {
  /// Takes the right to write this run.
  ///
  /// - Throws: `RunStoreError` when another process, or another part of this one, has it.
  public func lock() throws -> DirectoryLock { try DirectoryLock(url) }

  /// As `create(at:existing:)`, under the lock that is held or else taken, before anything is deleted.
  ///
  /// - Throws: as `create(at:existing:)`, and when another process is training there.
  public static func createLocked(
    at path: String, existing: ExistingRunPolicy, held: DirectoryLock? = nil
  ) throws -> (directory: RunDirectory, lock: DirectoryLock) {
    var lock = held
    let directory = try create(at: path, existing: existing) { run in if lock == nil { lock = try run.lock() } }
    return (directory, try lock ?? directory.lock())
  }

  /// The lock of a folder that an earlier run has left something in; nil where there is no run yet.
  ///
  /// - Throws: `RunStoreError` when another process is training there.
  public static func lockOfExisting(at path: String) throws -> DirectoryLock? {
    let run = RunDirectory(url: URL(fileURLWithPath: path).standardizedFileURL)
    // A place that cannot be listed is nobody's run; whoever opens it says why.
    let names = (try? run.entries()) ?? []
    guard [RunFile.manifest, RunFile.config, RunFile.lock].contains(where: names.contains) else { return nil }
    return try run.lock()
  }
}
