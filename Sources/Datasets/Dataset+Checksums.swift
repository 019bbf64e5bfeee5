// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

extension Dataset {
  /// SHA-256 of each example's pixels as they are stored or decoded, in data set order: equal for equal pictures.
  ///
  /// - Throws: `DatasetError` that names a file that cannot be decoded.
  public func exampleChecksums() throws -> [Data] {
    var sums: [Data] = []
    sums.reserveCapacity(count)
    try forEachPart { bytes in
      for start in stride(from: 0, to: bytes.count, by: exampleSize) {
        let example = UnsafeRawBufferPointer(rebasing: bytes[start..<start + exampleSize])
        var hash = SHA256()
        hash.update(bufferPointer: example)
        sums.append(Data(hash.finalize()))
      }
    }
    return sums
  }
}
