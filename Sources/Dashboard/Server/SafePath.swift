// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Files inside a folder, and nothing outside of it.
enum SafePath {
  /// The file of a path below a folder; nil unless it is a regular file whose real place, behind all symbolic links, lies
  /// inside the folder's, and no part of the path is hidden.
  ///
  /// - Parameters:
  ///   - parts: the parts of the path, decoded.
  ///   - folder: the folder, without symbolic links.
  static func file(_ parts: [String], in folder: URL) -> URL? {
    guard !parts.isEmpty, parts.allSatisfy(isPlain), let root = real(folder.path) else { return nil }
    guard let path = real(root + "/" + parts.joined(separator: "/")), path.hasPrefix(root == "/" ? root : root + "/")
    else { return nil }
    var information = stat()
    guard lstat(path, &information) == 0, information.st_mode & S_IFMT == S_IFREG else { return nil }
    return URL(fileURLWithPath: path, isDirectory: false)
  }

  /// The place of a file or folder behind all symbolic links; nil where there is none.
  static func real(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private static func isPlain(_ part: String) -> Bool {
    !part.isEmpty && !part.hasPrefix(".") && !part.contains("/") && !part.contains("\\") && !part.contains("\0")
  }
}
