// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Decides who computes the products of a linear layer, from the processor and the shape alone.
///
/// No clock is asked: the same machine, seed and thread count give the same bits. The policy is saved with a run and
/// taken from there on resume. Measured on a two-core AMD EPYC with AVX-512, batch 100 (milliseconds): 784→2048 forward
/// MKL 1.9, oneDNN 0.80; 2048→10 0.051 and 0.031; 256→256 0.065 and 0.046; 256→10 0.009 and 0.015.
public struct LinearPolicy: Sendable, Codable, Equatable {
  /// Which rule is followed.
  public enum Rule: String, Sendable, Codable, CaseIterable {
    /// libtorch's choice for everything.
    case native
    /// oneDNN for everything, and the tiled kernel for weight gradients.
    case onednn
    /// As `onednn`, but products too small to repay its set-up go to libtorch's choice.
    case sized
  }

  /// The rule.
  public var rule: Rule
  /// From how many multiplications on `sized` leaves libtorch's choice.
  public var threshold: Int
  /// The numbers that products are computed with, those of convolutions too. In bfloat16 all go to libtorch's choice.
  public var precision: ProductPrecision

  /// A policy from its parts.
  public init(rule: Rule, threshold: Int = 1_000_000, precision: ProductPrecision = .float32) {
    (self.rule, self.threshold, self.precision) = (rule, threshold, precision)
  }

  /// libtorch's choice for everything.
  public static let native = LinearPolicy(rule: .native)

  /// The rule for a processor: on AMD libtorch's MKL runs AVX2 code, so oneDNN wins but for the smallest shapes; MKL
  /// is at its best on Intel, and elsewhere libtorch already picks the platform's library.
  ///
  /// - Parameter vendor: the processor's vendor as the kernel prints it, such as "AuthenticAMD".
  public static func suited(toVendor vendor: String) -> LinearPolicy {
    LinearPolicy(rule: vendor == "AuthenticAMD" ? .sized : .native)
  }

  /// Who computes products of output gradients and inputs, whatever their size.
  public var weightGradient: ProductBackend { rule == .native ? .native : .tiled }

  /// The plan for `batch` rows through a layer of the given size.
  public func plan(batch: Int, inputs: Int, outputs: Int) -> LinearPlan {
    switch rule {
    case .native:
      return .native
    case .onednn:
      return LinearPlan(forward: .onednn, weightGradient: weightGradient, inputGradient: .onednn)
    case .sized:
      // Sizes come from tensors that exist, so the product fits.
      let large = batch &* inputs &* outputs >= threshold
      return LinearPlan(
        forward: large ? .onednn : .native, weightGradient: weightGradient,
        inputGradient: large ? .onednn : .native)
    }
  }
}
