// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import Logging
import NIOCore

/// A web server on this machine alone that shows what lies in folders: runs, also while they train, studies, and audits
/// with a gallery to decide in.
public struct Dashboard: Sendable {
  /// The port unless another is named.
  public static let usualPort = 8642
  /// How far below a folder that is served things are found.
  public static let depth = FolderIndex.depth

  /// The folders that are served, without symbolic links.
  public let roots: [URL]
  private let site: Site

  /// A server that does not run yet.
  ///
  /// - Parameters:
  ///   - folders: the folders below which runs, studies and audits are found.
  ///   - token: what a browser must know; made at random when nil.
  ///   - bundle: the JavaScript bundle that draws, as `make setup` leaves it at `.deps/vega/vega-bundle.js`.
  /// - Throws: `DashboardError` for a folder that does not exist or cannot be read, and for a token that does not fit into
  ///   an address; `ChartError` when the bundle cannot be read.
  public init(folders: [String], token: String? = nil, bundle: URL) throws {
    roots = try folders.map(Self.root)
    let allowed = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
    if let token, token.count < 8 || token.unicodeScalars.contains(where: { !allowed.contains($0) }) {
      throw DashboardError(
        "The token cannot be used.",
        remedy: "Give at least 8 letters, digits, dots, dashes or underscores, or none to have one made.")
    }
    site = Site(
      roots: roots, gate: Gate(token: token ?? Gate.randomToken()), port: PortNumber(),
      index: FolderIndex(roots: roots), assets: try SiteAssets(bundle: bundle), bundle: bundle)
  }

  /// Serves on 127.0.0.1 until the task is cancelled.
  ///
  /// - Parameters:
  ///   - port: the port; 0 for any that is free.
  ///   - onReady: called once, with the address to open in a browser: it holds the token.
  /// - Throws: `DashboardError` when the port is in use or may not be used.
  public func run(port: Int = usualPort, onReady: @escaping @Sendable (URL) -> Void) async throws {
    let site = site
    let application = Application(
      responder: site, server: .http1(configuration: .init(idleTimeout: .seconds(120))),
      configuration: .init(address: .hostname("127.0.0.1", port: port)),
      onServerRunning: { channel in
        let bound = channel.localAddress?.port ?? port
        site.port.set(bound)
        if let address = URL(string: "http://127.0.0.1:\(bound)/?token=\(site.gate.token)") { onReady(address) }
      },
      // What goes wrong is said by errors; what is asked, addresses with the token among it, is nobody's business.
      logger: Logger(label: "dashboard") { _ in SwiftLogNoOpLogHandler() })
    do {
      // The first page finds the index ready.
      async let ready = site.index.snapshot()
      try await application.run()
      _ = await ready
    } catch let error as IOError {
      throw Self.error(error.errnoCode, port: port)
    }
  }

  private static func error(_ code: Int32, port: Int) -> DashboardError {
    switch code {
    case EADDRINUSE:
      DashboardError(
        "The port \(port) is in use, perhaps by another dashboard.",
        remedy: "Name another one with --port, or let one be chosen with --port 0.")
    case EACCES:
      DashboardError(
        "The port \(port) may not be used without more rights.", remedy: "Name one above 1023 with --port.")
    default:
      DashboardError(
        "The port \(port) cannot be used: \(String(cString: strerror(code))).", remedy: "Name another one with --port.")
    }
  }

  private static func root(_ folder: String) throws -> URL {
    guard let path = SafePath.real(folder) else {
      throw DashboardError(
        "There is no folder \(folder).",
        remedy: "Name the folders that hold run directories, studies or audits, such as those given with --out.")
    }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
      throw DashboardError("\(folder) is a file, not a folder.", remedy: "Name the folder that it lies in.")
    }
    guard FileManager.default.isReadableFile(atPath: path) else {
      throw DashboardError("The folder \(folder) cannot be read.", remedy: "Change its permissions.")
    }
    return URL(fileURLWithPath: path, isDirectory: true)
  }
}
