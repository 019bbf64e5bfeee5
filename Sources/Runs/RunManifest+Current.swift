// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors

extension RunManifest.Libtorch {
  /// The versions of this process.
  ///
  /// - Throws: `TensorError` when the library cannot be asked.
  public static func current() throws -> Self {
    .init(compiled: Runtime.compiledVersion, loaded: try Runtime.loadedVersion() ?? "unknown")
  }
}

extension RunManifest.Machine {
  /// This machine.
  public static func current(device: String, threads: Int?) -> Self {
    .init(
      cpuModel: Processor.current.model, device: device, threads: threads,
      operatingSystem: ProcessInfo.processInfo.operatingSystemVersionString)
  }
}
