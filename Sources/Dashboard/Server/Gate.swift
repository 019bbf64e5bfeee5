// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird

/// Who may ask: browsers on this machine that were given the token, on pages of this server. Every request passes here
/// before anything else looks at it.
struct Gate: Sendable {
  /// What is to become of a request.
  enum Decision: Sendable, Equatable {
    /// It is answered.
    case pass
    /// The browser is given the cookie and sent to the same address without the token.
    case admit(location: String)
    /// It is turned away with a sentence.
    case refuse(HTTPResponse.Status, String)
  }

  /// What a browser must know.
  let token: String

  /// A token that cannot be guessed: 128 bits in hexadecimal.
  static func randomToken() -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<2).map { _ in
      let digits = String(generator.next() as UInt64, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  /// Decides on a request.
  ///
  /// - Parameters:
  ///   - request: the request.
  ///   - port: the port that the server listens on.
  func decide(_ request: Request, port: Int) -> Decision {
    // A page of somewhere else can make its own name lead here: it then asks under that name.
    guard let host = request.head.authority, Self.hosts(port).contains(host.lowercased()) else {
      return .refuse(
        .misdirectedRequest, "This server answers only to 127.0.0.1:\(port) and localhost:\(port).")
    }
    guard request.method == .get || request.method == .head || request.method == .post else {
      return .refuse(.methodNotAllowed, "Only GET, HEAD and POST are answered here.")
    }
    if let given = request.uri.queryParameters["token"], request.method == .get {
      guard Self.isSame(String(given), token) else { return refusal }
      return .admit(location: Self.withoutToken(request.uri.path, request.uri.query))
    }
    guard let cookie = Self.cookie(Self.cookieName(port), in: request.headers), Self.isSame(cookie, token) else {
      return refusal
    }
    if request.method == .post {
      let origins = Self.hosts(port).map { "http://" + $0 }
      guard let origin = request.headers[.origin], origins.contains(origin.lowercased()) else {
        return .refuse(.forbidden, "Decisions are taken only from pages of this server.")
      }
    }
    return .pass
  }

  private var refusal: Decision {
    .refuse(
      .unauthorized,
      "This page needs the token of the server. Open the address that coherent serve printed when it started.")
  }

  /// The cookie's name: cookies are shared by all ports of a machine.
  static func cookieName(_ port: Int) -> String { "coherent-\(port)" }

  /// The header that gives a browser the cookie.
  func cookieHeader(_ port: Int) -> String {
    "\(Self.cookieName(port))=\(token); Path=/; HttpOnly; SameSite=Strict"
  }

  private static func hosts(_ port: Int) -> [String] {
    ["127.0.0.1", "localhost"].flatMap { port == 80 ? [$0, "\($0):80"] : ["\($0):\(port)"] }
  }

  private static func cookie(_ name: String, in headers: HTTPFields) -> String? {
    headers[values: .cookie].flatMap { $0.split(separator: ";") }.lazy
      .map { $0.trimmingCharacters(in: .whitespaces) }
      .first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
  }

  /// In the same time whatever the texts have in common.
  private static func isSame(_ given: String, _ expected: String) -> Bool {
    let (given, expected) = (Array(given.utf8), Array(expected.utf8))
    guard given.count == expected.count else { return false }
    return zip(given, expected).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) } == 0
  }

  private static func withoutToken(_ path: String, _ query: String?) -> String {
    let rest = (query ?? "").split(separator: "&").filter { !$0.hasPrefix("token=") }
    // Two slashes at the start would lead to another host.
    let path = "/" + path.drop { $0 == "/" || $0 == "\\" }
    return rest.isEmpty ? path : path + "?" + rest.joined(separator: "&")
  }
}
