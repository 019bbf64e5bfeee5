// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

/// `coherent serve` as a program: what it says, and how it ends.
@Suite struct ServeTests {
  /// A socket on 127.0.0.1, bound to a port that was free; nil where that failed.
  private final class BoundSocket {
    let descriptor: Int32
    private(set) var port = 0

    init(listens: Bool) {
      descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = inet_addr("127.0.0.1")
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          if bind(descriptor, $0, length) == 0, getsockname(descriptor, $0, &length) == 0 {
            port = Int(UInt16(bigEndian: pointer.pointee.sin_port))
          }
        }
      }
      if listens { listen(descriptor, 1) }
    }

    deinit { close(descriptor) }
  }

  private func answers(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }

  private func freePort() -> Int { BoundSocket(listens: false).port }

  @Test(arguments: [SIGINT, SIGTERM]) func aSignalEndsIt(_ signal: Int32) throws {
    let scratch = try Scratch()
    let port = freePort()
    let running = try Running(
      ["serve", scratch.url.path, "--port", "\(port)", "--token", "token-of-this-test"],
      environment: ["COHERENT_DEPS": try bundleFolder(scratch)])
    try running.until { answers(port) }
    running.send(signal)
    let result = try running.wait()
    #expect(result.code == 130 && !result.signalled && result.errors.isEmpty, "\(result.errors)")
    #expect(result.output == "http://127.0.0.1:\(port)/?token=token-of-this-test\n")
  }

  private func bundleFolder(_ scratch: Scratch) throws -> String {
    try scratch.write("window.vegaEmbed = () => {};", "deps/vega/vega-bundle.js")
    return scratch.path("deps")
  }

  @Test func mistakes() throws {
    let scratch = try Scratch()
    let environment = ["COHERENT_DEPS": try bundleFolder(scratch)]
    func answer(_ arguments: [String]) throws -> Program.Result {
      try Program.run(["serve"] + arguments, environment: environment)
    }
    let port = try answer(["--port", "70000"])
    #expect(port.code == 64 && port.errors.contains("--port 70000 is no port; give a number from 0 to 65535"))
    let folder = try answer([scratch.path("none")])
    #expect(folder.code == 1 && folder.errors.contains("There is no folder \(scratch.path("none"))."))
    let token = try answer([scratch.url.path, "--token", "a b"])
    #expect(token.code == 1 && token.errors.contains("The token cannot be used."))
    let taken = BoundSocket(listens: true)
    let used = try answer([scratch.url.path, "--port", "\(taken.port)"])
    #expect(used.code == 1 && used.errors.contains("The port \(taken.port) is in use"), "\(used.errors)")
  }
}
