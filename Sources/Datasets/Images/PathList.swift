// SPDX-License-Identifier: Apache-2.0

/// Many paths in one piece of memory: a million strings would take three times as much.
struct PathList: Sendable {
  private var text: [UInt8] = []
  private var ends: [Int] = []

  var count: Int { ends.count }

  mutating func append(_ path: String) {
    text.append(contentsOf: path.utf8)
    ends.append(text.count)
  }

  subscript(_ index: Int) -> String {
    String(decoding: text[(index == 0 ? 0 : ends[index - 1])..<ends[index]], as: UTF8.self)
  }

  /// The paths at some places, in that order.
  func selecting(_ indices: some Sequence<Int>) -> PathList {
    var chosen = PathList()
    for index in indices { chosen.append(self[index]) }
    return chosen
  }
}
