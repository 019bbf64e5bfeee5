// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Dashboard

/// Who is answered, and which files there are for them.
@Suite struct GateTests {
  @Test func theTokenBecomesACookie() async throws {
    let scratch = try Scratch()
    try scratch.run("run")
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let host = ["Host": "127.0.0.1:\(dashboard.port)"]
    let without = try await dashboard.request("GET", "/", headers: host)
    #expect(without.status == 401 && without.body.contains("Open the address that coherent serve printed"))
    #expect(try await dashboard.request("GET", "/?token=secret-tokem", headers: host).status == 401)
    #expect(try await dashboard.request("GET", "/?token=", headers: host).status == 401)
    let admitted = try await dashboard.request("GET", "//studies?x=1&token=secret-token&y=2", headers: host)
    #expect(admitted.status == 303 && admitted.headers["location"] == "/studies?x=1&y=2")
    #expect(
      admitted.headers["set-cookie"] == "coherent-\(dashboard.port)=secret-token; Path=/; HttpOnly; SameSite=Strict")
    #expect(admitted.headers["cache-control"] == "no-store")
    #expect(try await dashboard.get("/").status == 200)
    #expect(try await dashboard.get("/", headers: ["Cookie": "coherent-\(dashboard.port)=other"]).status == 401)
    #expect(try await dashboard.get("/", headers: ["Cookie": "coherent-1=secret-token"]).status == 401)
    let among = "a=b; coherent-\(dashboard.port)=secret-token"
    #expect(try await dashboard.get("/", headers: ["Cookie": among]).status == 200)
  }

  @Test func onlyThisHost() async throws {
    let scratch = try Scratch()
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    #expect(try await dashboard.get("/", headers: ["Host": "localhost:\(dashboard.port)"]).status == 200)
    for host in ["example.org", "example.org:\(dashboard.port)", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.example.org"] {
      let answer = try await dashboard.get("/", headers: ["Host": host])
      #expect(answer.status == 421 && answer.body.contains("answers only to 127.0.0.1:\(dashboard.port)"), "\(host)")
    }
  }

  @Test func onlyPagesOfThisServerDecide() async throws {
    let scratch = try Scratch()
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    for origin in ["http://example.org", "null", "https://127.0.0.1:\(dashboard.port)", "http://127.0.0.1:1"] {
      let answer = try await dashboard.post("/audit/1/decisions", "{}", headers: ["Origin": origin])
      #expect(answer.status == 403 && answer.body.contains("only from pages of this server"), "\(origin)")
    }
    let without = try await dashboard.request("POST", "/audit/1/decisions", headers: dashboard.headers, body: "{}")
    #expect(without.status == 403)
    #expect(try await dashboard.post("/audit/1/decisions", "{}").status == 404)
    #expect(try await dashboard.request("DELETE", "/", headers: dashboard.headers).status == 405)
  }

  @Test func whatScriptsMayDo() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run")
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let id = FolderIndex.id(run.url.path)
    for path in ["/", "/studies", "/run/\(id)", "/run/\(id)/report", "/run/\(id)/file/metrics.csv"] {
      let answer = try await dashboard.get(path)
      let policy = answer.headers["content-security-policy"] ?? ""
      #expect(answer.status == 200 && policy.hasPrefix("default-src 'none'"), "\(path)")
      #expect(!policy.contains("http") && !policy.contains("*") && policy.contains("frame-ancestors 'none'"))
      #expect(answer.headers["x-content-type-options"] == "nosniff")
    }
  }

  @Test func nothingOutsideOfAFolder() async throws {
    let scratch = try Scratch()
    let other = try Scratch()
    let secret = try other.write("secret", "secret.csv")
    let run = try scratch.run("run")
    try scratch.write("secret", "secret.csv")
    try scratch.write("hidden", "run/.hidden.csv")
    try scratch.write("key", "run/key.pem")
    let manager = FileManager.default
    try manager.createSymbolicLink(atPath: scratch.path("run/link.csv"), withDestinationPath: secret)
    try manager.createSymbolicLink(atPath: scratch.path("run/up.csv"), withDestinationPath: "../secret.csv")
    try manager.createSymbolicLink(atPath: scratch.path("run/folder"), withDestinationPath: other.url.path)
    try manager.createSymbolicLink(atPath: scratch.path("run/inside.csv"), withDestinationPath: "metrics.csv")
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let base = "/run/\(FolderIndex.id(run.url.path))/file/"
    #expect(try await dashboard.get(base + "metrics.csv").body.hasPrefix("epoch,step"))
    #expect(try await dashboard.get(base + "inside.csv").status == 200)
    for path in [
      "../secret.csv", "%2e%2e/secret.csv", "..%2fsecret.csv", "%2e%2e%2fsecret.csv", "..%5csecret.csv", "link.csv",
      "up.csv",
      "folder/secret.csv", secret, "%2f" + secret, "//" + secret, ".hidden.csv", "key.pem", "", ".", "checkpoints",
      "metrics.csv%00.html", "metrics.csv/", "no-such.csv", "%ff", "%",
    ] where path != "metrics.csv/" {
      let answer = try await dashboard.get(base + path)
      #expect(answer.status == 404 || answer.status == 400, "\(path): \(answer.status)")
      #expect(!answer.body.contains("secret\n") && answer.body != "secret" && answer.body != "hidden", "\(path)")
    }
  }

  @Test func filesOfAnotherSizeAndUnchangedOnes() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run", steps: 2000)
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let path = "/run/\(FolderIndex.id(run.url.path))/file/metrics.csv"
    let answer = try await dashboard.get(path)
    #expect(answer.body == (try scratch.text("run/metrics.csv")))
    let tag = try #require(answer.headers["etag"])
    let again = try await dashboard.get(path, headers: ["If-None-Match": tag])
    #expect(again.status == 304 && again.body.isEmpty)
    let head = try await dashboard.request("HEAD", path, headers: dashboard.headers)
    #expect(head.status == 200 && head.body.isEmpty)
  }

  // MARK: - Starting

  @Test func foldersThatCannotBeServed() throws {
    let scratch = try Scratch()
    let bundle = try scratch.bundle()
    func error(_ folder: String, token: String? = nil) -> String {
      do {
        _ = try Dashboard(folders: [folder], token: token, bundle: bundle)
        return ""
      } catch { return "\(error)" }
    }
    #expect(error(scratch.path("none")).hasPrefix("There is no folder \(scratch.path("none")). Name the folders"))
    #expect(error(try scratch.write("x", "file")).contains("is a file, not a folder."))
    for token in ["short", "with space", "ümlaut-and-more", "semi;colon"] {
      #expect(error(scratch.url.path, token: token).hasPrefix("The token cannot be used."), "\(token)")
    }
    #expect(error(scratch.url.path).isEmpty)
    #expect(Gate.randomToken().count == 32 && Gate.randomToken() != Gate.randomToken())
  }

  @Test func aPortInUse() async throws {
    let scratch = try Scratch()
    let first = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let second = try Dashboard(folders: [scratch.url.path], bundle: try scratch.bundle())
    let error = await #expect(throws: DashboardError.self) { try await second.run(port: first.port) { _ in } }
    #expect(
      error?.description == "The port \(first.port) is in use, perhaps by another dashboard. "
        + "Name another one with --port, or let one be chosen with --port 0.")
  }

  @Test func manyRequestsLeaveNothingBehind() async throws {
    let scratch = try Scratch()
    let run = try scratch.run("run")
    let dashboard = try await RunningDashboard([scratch.url.path], scratch: scratch)
    let path = "/run/\(FolderIndex.id(run.url.path))"
    func descriptors() -> Int { (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0 }
    _ = try await dashboard.get(path)
    let before = descriptors()
    for number in 0..<300 {
      #expect(try await dashboard.get(number.isMultiple(of: 2) ? path : path + "/file/metrics.csv").status == 200)
    }
    for _ in 0..<50 where descriptors() > before + 2 { try await Task.sleep(for: .milliseconds(100)) }
    #expect(descriptors() <= before + 2)
  }
}
