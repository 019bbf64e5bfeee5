// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport
import Testing

@testable import Dashboard

extension Scratch {
  /// A run directory with two groups of examples, made by the writers that trainings use.
  @discardableResult
  func run(
    _ name: String, steps: Int = 20, seed: UInt64 = 1, status: RunManifest.Status = .completed,
    dataset: String = "mnist"
  ) throws -> RunDirectory {
    let run = try RunDirectory.create(at: path(name), existing: .refuse)
    try run.write(manifest: manifest(seed: seed, status: status, steps: steps, dataset: dataset))
    try run.write(config: "dataset: \(dataset)\nlr: 0.1\nprobe:\n- coherence\nseed: \(seed)\ntags:\n  cell: \(name)\n")
    let log = try run.logWriter()
    for step in 0...steps { try log.append(metrics(step)) }
    for step in stride(from: 0, through: steps, by: 5) {
      try log.append(["all", "fc1", "fc2"].map { coherence(step, $0) })
      try log.append(RunEvent(kind: "checkpoint", step: step, message: "<b>saved</b>"))
    }
    try log.close()
    return run
  }

  func manifest(
    seed: UInt64 = 1, status: RunManifest.Status = .completed, steps: Int = 20, dataset: String = "mnist"
  ) -> RunManifest {
    RunManifest(
      tool: .init(version: "0.1.0"), created: Date(timeIntervalSince1970: 1_767_225_600),
      commandLine: ["coherent", "train"], seed: seed, dataset: .init(name: dataset, classes: 10), model: "mlp:32",
      optimizer: "sgd", learningRate: 0.1, plannedSteps: steps, noise: .init(kind: "permute", rate: 0.5),
      status: status,
      summary: status == .running ? nil : .init(steps: steps, wallSeconds: 2))
  }
}

func metrics(_ step: Int) -> [MetricRecord] {
  [("train", "all", 0.5), ("train", "pristine", 0.7), ("train", "corrupt", 0.3), ("test", "all", 0.6)].map {
    MetricRecord(
      epoch: Double(step) / 10, step: step, split: $0.0, group: $0.1, count: 100, loss: 2.3 / Double(step + 1),
      accuracy1: $0.2 + Double(step) / 1000)
  }
}

func coherence(_ step: Int, _ layer: String) -> CoherenceRecord {
  CoherenceRecord(
    step: step, split: "train", layer: layer, m: 100, alpha: 0.02 / Double(step + 1), mCoherence: 2 / Double(step + 1),
    share: 0.5, batchNormPolicy: "none")
}

/// A dashboard that listens on a free port until the test ends.
final class RunningDashboard: Sendable {
  let port: Int
  let token: String
  private let task: Task<Void, any Error>

  init(_ folders: [String], scratch: Scratch, token: String = "secret-token") async throws {
    let dashboard = try Dashboard(folders: folders, token: token, bundle: try scratch.bundle())
    let (addresses, continuation) = AsyncStream<URL>.makeStream()
    task = Task {
      defer { continuation.finish() }
      try await dashboard.run(port: 0) { continuation.yield($0) }
    }
    var address: URL?
    for await ready in addresses {
      address = ready
      break
    }
    port = try #require(address?.port)
    self.token = token
  }

  deinit { task.cancel() }

  /// The headers of a browser that has been given the cookie.
  var headers: [String: String] { ["Host": "127.0.0.1:\(port)", "Cookie": "coherent-\(port)=\(token)"] }

  /// The answer to a request of such a browser.
  func get(_ path: String, headers more: [String: String] = [:]) async throws -> Answer {
    try await request("GET", path, headers: headers.merging(more) { $1 })
  }

  /// The answer to a decision of such a browser.
  func post(_ path: String, _ body: String, headers more: [String: String] = [:]) async throws -> Answer {
    let own = ["Origin": "http://127.0.0.1:\(port)", "Content-Type": "application/json"]
    return try await request("POST", path, headers: headers.merging(own) { $1 }.merging(more) { $1 }, body: body)
  }

  /// The answer to a request with exactly these headers.
  func request(_ method: String, _ path: String, headers: [String: String], body: String? = nil) async throws -> Answer
  {
    let connection = try Connection(port: port)
    try connection.send(method, path, headers: headers.merging(["Connection": "close"]) { $1 }, body: body)
    return try Answer(await connection.readToEnd())
  }
}

/// An HTTP answer.
struct Answer {
  let status: Int
  let headers: [String: String]
  let body: String

  init(_ bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    let parts = text.components(separatedBy: "\r\n\r\n")
    let lines = parts[0].components(separatedBy: "\r\n")
    status = try #require(Int(lines[0].split(separator: " ").dropFirst().first ?? ""))
    headers = Dictionary(
      lines.dropFirst().compactMap { line in
        line.firstIndex(of: ":").map {
          (line[..<$0].lowercased(), line[line.index(after: $0)...].trimmingCharacters(in: .whitespaces))
        }
      }, uniquingKeysWith: { first, _ in first })
    body = parts.dropFirst().joined(separator: "\r\n\r\n")
  }
}

/// A connection on which a test writes what it likes. It waits on a thread of its own: the server needs those of tasks.
final class Connection: Sendable {
  private let descriptor: Int32

  init(port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(code == 0, "no connection to port \(port)")
    var patience = timeval(tv_sec: 60, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  func send(_ method: String, _ path: String, headers: [String: String], body: String? = nil) throws {
    var text = "\(method) \(path) HTTP/1.1\r\n" + headers.map { "\($0): \($1)\r\n" }.joined()
    if let body { text += "Content-Length: \(body.utf8.count)\r\n" }
    let bytes = Array((text + "\r\n" + (body ?? "")).utf8)
    try #require(write(descriptor, bytes, bytes.count) == bytes.count)
  }

  /// Reads until a condition holds for all that came, or to the end.
  private func read(while goesOn: @escaping @Sendable ([UInt8]) -> Bool) async throws -> [UInt8] {
    try await withCheckedThrowingContinuation { continuation in
      Thread { [self] in
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        repeat {
          let count = Foundation.read(descriptor, &buffer, buffer.count)
          guard count >= 0 else { return continuation.resume(throwing: CocoaError(.fileReadUnknown)) }
          if count == 0 { break }
          all += buffer[..<count]
        } while goesOn(all)
        continuation.resume(returning: all)
      }.start()
    }
  }

  func readToEnd() async throws -> [UInt8] { try await read { _ in true } }

  /// Reads until the text has come.
  func read(until text: String) async throws -> String {
    String(decoding: try await read { !String(decoding: $0, as: UTF8.self).contains(text) }, as: UTF8.self)
  }
}
