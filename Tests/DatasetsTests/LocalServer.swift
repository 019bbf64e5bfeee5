// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

/// An HTTP server on 127.0.0.1 that serves the files of a folder, each top-level path misbehaving in its own way.
final class LocalServer {
  private let process = Process()
  private let input = Pipe()
  private let folder: Scratch
  let address: String

  static let python: String? = {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { $0 + "/python3" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }()

  init(files: [String: [UInt8]]) throws {
    folder = try Scratch()
    for (name, bytes) in files { try folder.write(bytes, name) }
    process.executableURL = URL(fileURLWithPath: try #require(Self.python))
    process.arguments = ["-c", Self.program, folder.url.path]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    // The server ends when this pipe closes, so it never outlives the tests, however they end.
    process.standardInput = input
    try process.run()
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    let port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
    address = "http://127.0.0.1:\(port)"
  }

  deinit {
    // Not SIGTERM: a child started from a worker thread inherits its blocked signals.
    kill(process.processIdentifier, SIGKILL)
  }

  /// The requests so far, each "path range", where range is the Range header or "-".
  var requests: [String] {
    (try? String(contentsOfFile: folder.path("log"), encoding: .utf8))?.split(separator: "\n").map { String($0) } ?? []
  }

  private static let program = #"""
    import http.server, os, sys, threading, time

    def watch():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    root = sys.argv[1]
    seen = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            _, mode, name = self.path.split("/", 2)
            wanted = self.headers.get("Range", "-")
            with open(os.path.join(root, "log"), "a") as log:
                log.write(f"{mode}/{name} {wanted}\n")
            seen[self.path] = seen.get(self.path, 0) + 1
            first = seen[self.path] == 1
            file = os.path.join(root, name)
            if mode == "missing" or not os.path.exists(file):
                return self.send_error(404)
            if mode == "busy" and first:
                return self.send_error(503)
            if mode == "forbidden":
                return self.send_error(403)
            data = open(file, "rb").read()
            if mode == "corrupt":
                data = bytes([data[0] ^ 1]) + data[1:]
            if mode == "long":
                data = data + b"more"
            start = 0
            if wanted.startswith("bytes=") and mode != "norange":
                start = int(wanted[6:].split("-")[0])
                if start >= len(data) or mode == "unsatisfiable":
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.send_response(206)
                if mode == "shifted":
                    start = 0
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            body = data[start:]
            if mode == "short":
                body = body[:-5]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if mode == "cut" and first:
                body = body[: len(body) // 2]
            if mode == "hang":
                self.wfile.write(body[:10])
                self.wfile.flush()
                return time.sleep(60)
            if mode == "cutalways":
                body = body[:10]
            self.wfile.write(body)
            self.wfile.flush()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
    """#
}
