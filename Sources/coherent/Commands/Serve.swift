// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Charts
import Dashboard
import Foundation
import Runs

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show runs, studies and audits in a browser, on this machine alone.",
    discussion: """
      It looks for run directories, studies and audits in the folders given and up to \(Dashboard.depth) levels below, \
      shows runs as they train, compares them, and takes decisions on the suspects of an audit, which are on disk before \
      the next picture shows. It listens on 127.0.0.1 and asks for the token in the address that it prints. Ctrl-C ends it.

      Examples: coherent serve
                coherent serve runs studies --port 0 --open
      """)

  @Argument(help: "The folders to look in. (default: the current folder)") var folders: [String] = []

  @Option(help: "The port on 127.0.0.1; 0 for any that is free.") var port = Dashboard.usualPort

  @Option(help: "What a browser must know, at least 8 letters or digits. (default: made at random)") var token: String?

  @Flag(help: "Open the address in the browser.") var open = false

  func validate() throws {
    for folder in folders { try checkName(folder, "A folder") }
    guard (0...65535).contains(port) else {
      throw ValidationError("--port \(port) is no port; give a number from 0 to 65535, 0 for any that is free.")
    }
  }

  func run() async throws {
    let dashboard = try Dashboard(
      folders: folders.isEmpty ? ["."] : folders, token: token, bundle: try ChartAssets.locate().bundle)
    Interruption.listen()
    let opensBrowser = open
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [port] in
        try await dashboard.run(port: port) { address in
          Console.print(address.absoluteString)
          // Whoever reads it through a pipe waits for it.
          fflush(nil)
          if opensBrowser { Self.openBrowser(address) }
        }
      }
      group.addTask {
        while !Interruption.isRequested { try await Task.sleep(for: .milliseconds(100)) }
      }
      try await group.next()
      group.cancelAll()
    }
    throw ExitCode(130)
  }

  /// Whoever has no browser reads the address.
  private static func openBrowser(_ address: URL) {
    #if os(macOS)
      let tool = "open"
    #else
      let tool = "xdg-open"
    #endif
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [tool, address.absoluteString]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    do {
      try process.run()
    } catch {
      Console.note("No browser could be opened; open the address yourself.")
    }
  }
}
