// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Replaces the file at `destination` by `data` so that a reader, or a machine that loses power, sees either the old
/// file or the whole new one: written beside it, flushed to the disk, renamed, and the folder flushed.
///
/// - Throws: `RunStoreError` when the disk is full or the folder cannot be written to; the old file is then untouched.
public func writeAtomically(_ data: Data, to destination: URL) throws {
  let path = destination.path
  let folder = destination.deletingLastPathComponent().path
  let temporary = folder + "/" + temporaryName(for: destination.lastPathComponent)
  // A link that somebody put there would lead elsewhere.
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o666)
  guard descriptor >= 0 else { throw RunStoreError.system("write", path, code: errno) }
  var failure = writeAll(data, to: descriptor)
  if failure == 0, fsync(descriptor) != 0, errno != EINVAL { failure = errno }
  if close(descriptor) != 0, failure == 0 { failure = errno }
  if failure == 0, rename(temporary, path) != 0 { failure = errno }
  guard failure == 0 else {
    unlink(temporary)
    throw RunStoreError.system("write", path, code: failure)
  }
  flushFolder(folder)
}

/// A value as JSON that people can read too, with its keys in order.
package func prettyJSON(_ value: some Encodable, escapingSlashes: Bool = false) throws -> Data {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
  if !escapingSlashes { encoder.outputFormatting.insert(.withoutEscapingSlashes) }
  return try encoder.encode(value)
}

/// Checks that `writeAtomically` to `destination` would find a folder that it can write to, and removes what writers of the
/// same file that were killed have left there.
///
/// - Throws: `RunStoreError` with what `writeAtomically` would say, or when `destination` is a folder.
public func checkWritable(_ destination: URL) throws {
  var isFolder: ObjCBool = false
  if FileManager.default.fileExists(atPath: destination.path, isDirectory: &isFolder), isFolder.boolValue {
    throw RunStoreError("\(destination.path) is a folder.", remedy: "Name a file.")
  }
  let folder = destination.deletingLastPathComponent()
  let probe = folder.appendingPathComponent(temporaryName(for: "probe"), isDirectory: false)
  let descriptor = open(probe.path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
  guard descriptor >= 0 else { throw RunStoreError.system("write", destination.path, code: errno) }
  close(descriptor)
  unlink(probe.path)
  removeAbandoned(of: destination)
  removeAbandoned(of: folder.appendingPathComponent("probe", isDirectory: false))
}

/// Removes the unfinished files of processes of this machine that are no more.
private func removeAbandoned(of destination: URL) {
  let folder = destination.deletingLastPathComponent().path
  let beginning = temporaryBeginning(for: destination.lastPathComponent)
  for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.hasPrefix(beginning) {
    guard let process = pid_t(name.dropFirst(beginning.count)), process > 0 else { continue }
    if kill(process, 0) != 0, errno == ESRCH { unlink(folder + "/" + name) }
  }
}

/// The name under which `writeAtomically` keeps a file until it is whole.
func temporaryName(for name: String) -> String { "\(temporaryBeginning(for: name))\(getpid())" }

/// It names the machine: hosts that share a folder have processes of the same number.
func temporaryBeginning(for name: String) -> String { ".\(name).partial-\(machineName)-" }

private let machineName: String = {
  var name = [CChar](repeating: 0, count: 65)
  guard gethostname(&name, name.count - 1) == 0 else { return "host" }
  let letters = name.prefix { $0 != 0 }.map { Character(UnicodeScalar(UInt8(bitPattern: $0))) }
  return String(letters.filter { $0.isASCII && ($0.isLetter || $0.isNumber) }.prefix(20))
}()

/// Whether a name is that of a file which a killed `writeAtomically` left behind.
func isTemporaryName(_ name: String) -> Bool { name.hasPrefix(".") && name.contains(".partial-") }

/// Writes every byte, going on after short writes and interrupts; returns 0, or the `errno` of the failure.
func writeAll(_ data: Data, to descriptor: Int32) -> Int32 {
  data.withUnsafeBytes { buffer in
    var done = 0
    while done < buffer.count {
      let written = write(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done)
      if written < 0 {
        if errno == EINTR { continue }
        return errno
      }
      if written == 0 { return ENOSPC }
      done += written
    }
    return 0
  }
}

/// Flushes a folder's entries. File systems that cannot do that are left alone.
func flushFolder(_ path: String) {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return }
  fsync(descriptor)
  close(descriptor)
}

/// Reads a whole file. A pipe in its place is not waited for, and a device not read without end.
///
/// - Throws: `RunStoreError` when there is none, it is no regular file, or it cannot be read.
package func readFile(_ url: URL) throws -> Data {
  let handle = try openForReading(url)
  defer { try? handle.close() }
  do {
    return try handle.readToEnd() ?? Data()
  } catch { throw RunStoreError("Cannot read \(url.path).", remedy: "Check the disk and try again.") }
}

/// Opens a regular file.
///
/// - Throws: `RunStoreError` when there is none, it is no regular file, or it cannot be read.
package func openForReading(_ url: URL) throws -> FileHandle {
  let descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { throw RunStoreError.system("read", url.path, code: errno) }
  let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  var information = stat()
  guard fstat(descriptor, &information) == 0 else { throw RunStoreError.system("read", url.path, code: errno) }
  guard information.st_mode & S_IFMT == S_IFREG else {
    let what = information.st_mode & S_IFMT == S_IFDIR ? "is a folder, not a file" : "is not a regular file"
    throw RunStoreError("\(url.path) \(what).", remedy: "Check the path, and what was put in the file's place.")
  }
  return handle
}

/// Makes a folder, with those above it, and has the disk keep them: what is flushed inside of a folder is lost with it. One
/// that is there stays as it is.
///
/// - Throws: `RunStoreError` when it cannot be made.
func makeFolder(_ folder: URL) throws {
  var missing: [String] = []
  var path = folder.path
  while !FileManager.default.fileExists(atPath: path), path != "/" {
    missing.append(path)
    path = (path as NSString).deletingLastPathComponent
  }
  for path in missing.reversed() {
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
      throw RunStoreError.system("create the folder", folder.path, code: errno)
    }
    flushFolder((path as NSString).deletingLastPathComponent)
  }
}
