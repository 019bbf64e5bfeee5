// SPDX-License-Identifier: Apache-2.0

/// The known word closest to what was typed, when it is close enough to be meant.
public func nearest(to word: String, in known: [String]) -> String? {
  let ranked = known.map { (word: $0, distance: editDistance(word, $0)) }.min { $0.distance < $1.distance }
  guard let ranked, ranked.distance <= max(2, word.count / 3) else { return nil }
  return ranked.word
}

private func editDistance(_ a: String, _ b: String) -> Int {
  let second = Array(b)
  var row = Array(0...second.count)
  for (i, left) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, right) in second.enumerated() {
      let above = row[j + 1]
      row[j + 1] = min(above + 1, row[j] + 1, diagonal + (left == right ? 0 : 1))
      diagonal = above
    }
  }
  return row[second.count]
}
