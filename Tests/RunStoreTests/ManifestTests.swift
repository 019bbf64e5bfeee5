// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@Suite struct ManifestTests {
  private func level(_ noise: RunManifest.Noise, classes: Int? = 10) -> Double {
    var manifest = sampleManifest()
    manifest.noise = noise
    manifest.dataset.classes = classes
    return manifest.noiseLevel
  }

  @Test func theLevelIsTheOneAskedFor() {
    #expect(level(.init()) == 0)
    #expect(level(.init(kind: "permute", rate: 0.5, realisedRate: 0.4498)) == 0.5)
  }

  /// A label drawn anew is the old one once in K times.
  @Test func theLevelOfLabelsFromAFileWouldChangeAsMany() {
    let external = RunManifest.Noise.external
    #expect(abs(level(.init(kind: external, rate: 0.45, realisedRate: 0.45)) - 0.5) < 1e-12)
    #expect(abs(level(.init(kind: external, rate: 0.25, realisedRate: 0.25), classes: 2) - 0.5) < 1e-12)
    #expect(abs(level(.init(kind: external, rate: 0.45, realisedRate: 0.45), classes: nil) - 0.5) < 1e-12)
    #expect(level(.init(kind: external, rate: 1, realisedRate: 1)) == 1)
    #expect(
      level(.init(kind: external, rate: 0, realisedRate: 0)) == 0 && level(.init(kind: external, rate: 0.3)) == 0.3)
    // A manifest that only says how many labels differ.
    #expect(abs(level(.init(rate: 0, realisedRate: 0.45)) - 0.5) < 1e-12)
  }

  /// What noise draws anew is its level; what it moves to other classes counts by how many labels changed.
  @Test func theShareDrawnAnewThatChangesAsMany() {
    func share(_ noise: RunManifest.Noise, classes: Int = 10) -> Double {
      var manifest = sampleManifest()
      (manifest.noise, manifest.dataset.classes) = (noise, classes)
      return manifest.redrawnShare
    }
    #expect(share(.init()) == 0)
    for kind in ["permute", "uniform"] { #expect(share(.init(kind: kind, rate: 0.5, realisedRate: 0.4498)) == 0.5) }
    for kind in ["asymmetric", "instance"] {
      let noise = RunManifest.Noise(kind: kind, rate: 0.4, realisedRate: 0.18)
      #expect(abs(share(noise) - 0.2) < 1e-12 && level(noise) == 0.4)
      #expect(abs(share(noise, classes: 2) - 0.36) < 1e-12)
      #expect(share(.init(kind: kind, rate: 1, realisedRate: 1)) == 1)
      #expect(share(.init(kind: kind, rate: 0.4, realisedRate: 0)) == 0)
    }
    #expect(abs(share(.init(kind: RunManifest.Noise.external, rate: 0.45, realisedRate: 0.45)) - 0.5) < 1e-12)
  }

  @Test func theClassMapIsKept() throws {
    var manifest = sampleManifest()
    manifest.noise.classMap = "cifar10"
    let text = try JSONEncoder().encode(manifest)
    #expect(String(decoding: text, as: UTF8.self).contains("\"class_map\":\"cifar10\""))
    #expect(try JSONDecoder().decode(RunManifest.self, from: text).noise == manifest.noise)
    let without = try JSONEncoder().encode(sampleManifest())
    #expect(!String(decoding: without, as: UTF8.self).contains("class_map"))
  }

  @Test func thePromiseOfAPrivateTrainingIsKept() throws {
    var manifest = sampleManifest()
    #expect(!String(decoding: try JSONEncoder().encode(manifest), as: UTF8.self).contains("privacy"))
    manifest.privacy = .init(
      clip: 1, noiseMultiplier: 1.1, sampleRate: 0.01, delta: 1e-5, steps: 300, epsilon: 1.25, plannedEpsilon: 3)
    let text = try JSONEncoder().encode(manifest)
    #expect(try JSONDecoder().decode(RunManifest.self, from: text).privacy == manifest.privacy)
    let written = String(decoding: text, as: UTF8.self)
    for part in [
      "\"noise_multiplier\":1.1", "\"sample_rate\":0.01", "\"sampler\":\"poisson\"", "\"accountant\":\"rdp\"",
      "\"neighbours\":\"add or remove one example\"", "\"epsilon\":1.25", "\"planned_epsilon\":3",
    ] { #expect(written.contains(part)) }
    #expect(!written.contains("target_epsilon"))
  }

  @Test func aFolderWithRunsInItNamesThem() throws {
    let scratch = try Scratch()
    for name in ["b", "a"] { _ = try scratch.newRun("study/runs/" + name) }
    func remedy(_ path: String) -> String {
      do {
        _ = try RunDirectory.open(at: path)
      } catch {
        return "\(error)"
      }
      return ""
    }
    let study = scratch.path("study")
    #expect(remedy(study).contains("Name the runs in it: \(study)/runs/a, \(study)/runs/b."))
    #expect(remedy(study + "/runs").contains("Name the runs in it: \(study)/runs/a, \(study)/runs/b."))
    #expect(remedy(study + "/runs/a/manifest.json").contains("Name the run directory itself: \(study)/runs/a."))
    #expect(remedy(scratch.url.path).contains("given to coherent train with --out"))
    for name in ["c", "d"] { _ = try scratch.newRun("study/runs/" + name) }
    #expect(remedy(study).contains("It holds 4 runs; name those you mean, such as \(study)/runs/a, "))
  }
}
