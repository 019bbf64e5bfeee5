// SPDX-License-Identifier: Apache-2.0

/// Which figures show what a claim is about.
enum ClaimFigures {
  /// Figures by claim; an id that ends in a hyphen stands for all that begin so.
  static let ids: [String: [String]] = [
    "CG-1": ["label-noise"], "CG-2": ["label-noise"], "CG-3": ["label-noise"], "CG-4": ["label-noise"],
    "CG-5": ["early-gradient-norm", "label-noise"], "CG-6": ["contribution-grid"], "CG-7": ["contribution-early-grid"],
    "CG-8": ["winsorized-grid", "winsorized-by-clipping"], "CG-9": ["winsorized-grid"], "CG-10": ["winsorized-grid"],
    "CG-11": ["early-stopping-gain", "early-stopping-curves", "label-noise"], "CG-12": ["full-batch"],
    "WS-1": ["label-noise-models"], "WS-2": ["robust-means", "final-gaps"],
    "WS-3": ["pristine-and-corrupt", "m3-pristine-and-corrupt"], "WS-5": ["median-against-mean", "robust-means"],
    "WS-6": ["batch-size", "batch-size-course"], "WS-7": ["step-cost"], "WS-8": ["winsorized-cifar"],
    "WS-9": ["easy-hard"],
    "WS-10": ["difficulty"], "WS-11": ["cross-generalization"],
    "MC-1": ["cost-by-m"], "MC-2": ["coherence-evolution"], "MC-3": ["coherence-evolution"],
    "MC-4": ["coherence-evolution"], "MC-5": ["coherence-evolution", "coherence-by-layer-"],
    "GM-2": ["coherence-real-random"], "GM-3": ["m3-pristine-and-corrupt"], "GM-4": ["stability-sum"],
    "GM-5": ["learning-order"], "GM-6": ["adversarial-start"], "GM-7": ["width-depth"], "GM-8": ["linear-example"],
    "GS-1": ["push-and-memory"], "GS-2": ["group-window"], "MN-1": ["coherence-normalisation"],
  ]
}
