// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird

extension Site {
  func audits() async -> Response {
    let snapshot = await index.snapshot()
    return page(frame(snapshot).page("Audits", in: .audits, main: "<h1>Audits</h1>"))
  }

  func audit(_ id: String, _ rest: [String], _ request: Request) async throws -> Response { throw Failure.notFound }
}
