// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Hummingbird

extension Response {
  /// How long a browser may keep what it got.
  enum Keeping: String, Sendable {
    /// Not at all: it asks again.
    case none = "no-store"
    /// It asks whether there is something newer.
    case checked = "private, no-cache"
    /// For an hour: pictures, which do not change.
    case hour = "private, max-age=3600"
    /// For good: the address changes with the content.
    case forever = "private, max-age=31536000, immutable"
  }

  /// What the scripts of a page may be and whom they may ask.
  enum Policy: String, Sendable {
    /// A page of this server with figures: Vega makes functions of its expressions.
    case figures = """
      default-src 'none'; script-src 'self' 'unsafe-eval'; script-src-attr 'none'; style-src 'self' 'unsafe-inline'; \
      img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'
      """
    /// Any other page of this server.
    case plain = """
      default-src 'none'; script-src 'self'; script-src-attr 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'
      """
    /// A page that lies in a folder: all it needs is in it, and it may ask nobody.
    case enclosed = """
      default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; script-src-attr 'none'; \
      style-src 'unsafe-inline'; \
      img-src 'self' data: blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'
      """
    /// What is no page.
    case data = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
  }

  /// An answer from its bytes.
  ///
  /// - Parameters:
  ///   - bytes: the body.
  ///   - type: its media type.
  ///   - status: the status.
  ///   - keeping: how long a browser may keep it.
  ///   - policy: what scripts in it may do.
  static func bytes(
    _ bytes: some Collection<UInt8>, type: String, status: HTTPResponse.Status = .ok, keeping: Keeping = .none,
    policy: Policy = .data
  ) -> Response {
    Response(
      status: status, headers: headers(type: type, keeping: keeping, policy: policy),
      body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  /// A page.
  ///
  /// - Parameters:
  ///   - html: the page.
  ///   - status: the status.
  ///   - policy: what scripts in it may do.
  static func page(_ html: String, status: HTTPResponse.Status = .ok, policy: Policy) -> Response {
    bytes(html.utf8, type: "text/html; charset=utf-8", status: status, keeping: .checked, policy: policy)
  }

  /// What the script of an open page needs of figures.
  ///
  /// - Parameter text: the figures as `PageFrame` writes them.
  static func report(_ text: String) -> Response { bytes(text.utf8, type: "application/json") }

  /// A value as JSON.
  ///
  /// - Parameters:
  ///   - value: the value.
  ///   - status: the status.
  /// - Throws: what the encoder throws.
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return bytes(try encoder.encode(value), type: "application/json", status: status)
  }

  /// The headers of every answer.
  static func headers(type: String, keeping: Keeping, policy: Policy) -> HTTPFields {
    var headers: HTTPFields = [
      .contentType: type, .cacheControl: keeping.rawValue, .contentSecurityPolicy: policy.rawValue,
      .xContentTypeOptions: "nosniff",
    ]
    for (name, value) in [("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin")] {
      if let name = HTTPFields.Element.Name(name) { headers[name] = value }
    }
    return headers
  }
}

/// Sends files in pieces, so that none has to fit into memory.
enum FileSending {
  private static let piece = 256 << 10

  /// The media type and policy of files that are sent; nil for those that are not.
  static func kind(of name: String) -> (type: String, policy: Response.Policy)? {
    switch (name as NSString).pathExtension.lowercased() {
    case "html": ("text/html; charset=utf-8", .enclosed)
    case "svg": ("image/svg+xml", .data)
    case "png": ("image/png", .data)
    case "pdf": ("application/pdf", .data)
    case "json", "jsonl": ("application/json", .data)
    case "csv", "txt", "yaml", "log": ("text/plain; charset=utf-8", .data)
    default: nil
    }
  }

  /// The answer with a file; nil when it is of a kind that is not sent, or vanished.
  ///
  /// - Parameters:
  ///   - url: the file, behind all symbolic links.
  ///   - request: the request, which may know the file already.
  ///   - keeping: how long a browser may keep it.
  static func response(_ url: URL, to request: Request, keeping: Response.Keeping = .checked) -> Response? {
    guard let (type, policy) = kind(of: url.lastPathComponent), let stamp = FileStamp(of: url) else { return nil }
    var headers = Response.headers(type: type, keeping: keeping, policy: policy)
    let tag = "\"\(stamp.written)-\(stamp.size)\""
    headers[.eTag] = tag
    if request.headers[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
    let descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    // The handle closes with the answer, however that ends.
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    let body = ResponseBody(contentLength: stamp.size) { writer in
      var left = stamp.size
      while left > 0, let data = try handle.read(upToCount: min(left, piece)), !data.isEmpty {
        try await writer.write(ByteBuffer(bytes: data))
        left -= data.count
      }
      // The length was promised: a file that became shorter meanwhile ends the connection.
      guard left == 0 else { throw CocoaError(.fileReadCorruptFile) }
      try await writer.finish(nil)
    }
    return Response(status: .ok, headers: headers, body: body)
  }
}
