// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Runs
@testable import Training

/// Steps whose aggregate is shortened, against the same steps unshortened.
@Suite struct NormClippingTests {
  /// The change of the weights at the first step that has one.
  private func change(_ word: String, clipNorm: Double?, freeze: [String] = []) throws -> [Double] {
    let trainer = try Trainer.make(
      smallConfiguration { ($0.optimizer, $0.lr, $0.clipNorm, $0.freeze) = (word, 0.5, clipNorm, freeze) })
    for _ in 0..<4 {
      let before = try trainer.store.values.values(as: Float.self)
      _ = try trainer.update()
      let after = try trainer.store.values.values(as: Float.self)
      if before != after { return zip(before, after).map { Double($1) - Double($0) } }
    }
    return []
  }

  private func norm(_ vector: [Double]) -> Double { vector.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  @Test(arguments: ["sgd", "m3", "rm3", "and-mask:t=0.3"], [[], ["fc1.weight"]])
  func longStepsAreShortenedAndKeepTheirDirection(_ word: String, _ freeze: [String]) throws {
    let plain = try change(word, clipNorm: nil, freeze: freeze)
    let length = norm(plain) / 0.5
    for limit in [length / 3, length * 3] {
      let clipped = try change(word, clipNorm: limit, freeze: freeze)
      #expect(abs(norm(clipped) / (0.5 * min(limit, length)) - 1) < 1e-4)
      let cosine = zip(plain, clipped).reduce(0) { $0 + $1.0 * $1.1 } / (norm(plain) * norm(clipped))
      #expect(abs(cosine - 1) < 1e-6)
    }
  }

  /// Adam does not feel a common factor, but for ε.
  @Test func adamTakesTheShortenedGradient() throws {
    for word in ["adam", "rm3+adamw"] {
      let (plain, clipped) = (try change(word, clipNorm: nil), try change(word, clipNorm: 0.01))
      #expect(zip(plain, clipped).allSatisfy { abs($0 - $1) < 0.5 } && plain != clipped && norm(clipped) > 0)
    }
  }

  @Test(arguments: [0, -1, .infinity, .nan] as [Double])
  func lengthsThatNothingCanHaveAreErrors(_ limit: Double) {
    #expect { try smallConfiguration { $0.clipNorm = limit }.validate() } throws: {
      "\($0)".contains("clip-norm must be")
    }
  }
}
