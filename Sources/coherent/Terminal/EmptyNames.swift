// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// An empty path would be the folder that the program runs in.
///
/// - Throws: `ValidationError` that names what was given an empty path; nil passes.
func checkName(_ path: String?, _ what: String) throws {
  guard path != "" else { throw ValidationError("\(what) has an empty name; give a path.") }
}
