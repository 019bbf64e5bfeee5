// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What the machine says of its processor.
public struct Processor: Sendable, Codable, Equatable {
  /// The vendor as the kernel prints it, such as "AuthenticAMD"; "unknown" when it does not say.
  public let vendor: String
  /// The model's name.
  public let model: String
  /// The vector extensions that matter here, such as "avx2", "avx512f".
  public let vectorExtensions: [String]
  /// Logical cores.
  public let coreCount: Int

  /// This machine's processor.
  public static let current: Processor = {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    var fields: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      if parts.count == 2, fields[parts[0]] == nil { fields[parts[0]] = parts[1] }
    }
    let flags = Set((fields["flags"] ?? fields["Features"] ?? "").split(separator: " ").map(String.init))
    let wanted = [
      "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve",
      "bf16",
    ]
    return Processor(
      vendor: fields["vendor_id"] ?? fields["CPU implementer"] ?? "unknown", model: fields["model name"] ?? "unknown",
      vectorExtensions: wanted.filter(flags.contains), coreCount: ProcessInfo.processInfo.activeProcessorCount)
  }()
}
