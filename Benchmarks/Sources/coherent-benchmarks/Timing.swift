// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors

/// One result, as compare.py reads it: the same fields as Benchmarks/pytorch/common.py prints.
struct Measurement: Encodable {
  let name: String
  let medianMilliseconds, lowDecile, highDecile: Double
  let samples: Int
  let peakResidentBytes: Int
  let threads: Int
  var variant: String?
  /// What a rank sends to others in a step.
  var bytesSent: Int?

  enum CodingKeys: String, CodingKey {
    case name, samples, threads, variant
    case medianMilliseconds = "median_ms"
    case lowDecile = "p10_ms"
    case highDecile = "p90_ms"
    case peakResidentBytes = "peak_rss_bytes"
    case bytesSent = "bytes_sent"
  }

  init(name: String, milliseconds: [Double], variant: String? = nil) {
    let sorted = milliseconds.sorted()
    func quantile(_ share: Double) -> Double {
      guard let last = sorted.indices.last else { return .nan }
      let place = share * Double(last)
      let low = Int(place)
      let high = min(low + 1, last)
      return sorted[low] + (place - Double(low)) * (sorted[high] - sorted[low])
    }
    self.name = name
    medianMilliseconds = quantile(0.5)
    lowDecile = quantile(0.1)
    highDecile = quantile(0.9)
    samples = sorted.count
    peakResidentBytes = Runtime.peakResidentBytes
    threads = Runtime.threadCount
    self.variant = variant
  }

  func print() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    Swift.print(String(decoding: try encoder.encode(self), as: UTF8.self))
  }
}

/// Milliseconds per call, one a sample; a sample repeats short work until it lasts long enough. The same procedure as
/// `time_samples` of the PyTorch side.
func timeSamples(
  _ count: Int, warmUpSeconds: Double = 1, sampleSeconds: Double = 0.02, limitSeconds: Double = 15,
  _ work: () throws -> Void
) throws -> [Double] {
  func now() -> Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }
  let begun = now()
  var calls = 0
  while calls < 3 || now() - begun < warmUpSeconds {
    try work()
    calls += 1
  }
  let repeats = max(1, Int((sampleSeconds / ((now() - begun) / Double(calls))).rounded(.up)))
  var result: [Double] = []
  let limit = now() + limitSeconds
  while result.count < count && (result.count < 5 || now() < limit) {
    let start = now()
    for _ in 0..<repeats { try work() }
    result.append((now() - start) / Double(repeats) * 1e3)
  }
  return result
}
