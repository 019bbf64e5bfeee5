// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Datasets

@Suite struct ClassMapTests {
  /// The classes that a map moves, by name.
  func moves(_ classNames: [String]) -> (map: ClassMap, moves: Set<String>) {
    let map = ClassMap(classNames: classNames)
    let moved = classNames.indices.filter { map.targets[$0] != $0 }
    return (map, Set(moved.map { "\(classNames[$0]) \(classNames[map.targets[$0]])" }))
  }

  @Test func theMapOfCIFAR10() throws {
    let names = DatasetCatalog.cifar10.classNames
    // A folder may have its classes in any order.
    for names in [names, Array(names.reversed())] {
      let (map, moves) = moves(names)
      #expect(map.name == "cifar10" && map.targets.count == 10)
      #expect(moves == ["truck automobile", "bird airplane", "deer horse", "cat dog", "dog cat"])
    }
  }

  @Test func theMapOfDigits() {
    for names in [SyntheticDigits.classNames, SyntheticDigits.classNames.reversed()] {
      let (map, moves) = moves(names)
      #expect(map.name == "mnist" && map.targets.count == 10)
      #expect(moves == ["2 7", "3 8", "5 6", "6 5", "7 1"])
    }
  }

  @Test func otherClassesBecomeTheNext() {
    #expect(ClassMap(classNames: ["ant", "bee", "wasp"]).targets == [1, 2, 0])
    for entry in [DatasetCatalog.fashionMNIST, DatasetCatalog.cifar100, DatasetCatalog.glyphs(11)] {
      let map = ClassMap(classNames: entry.classNames)
      #expect(map.name == "next")
      #expect(map.targets == Array(1..<entry.classNames.count) + [0])
    }
    // Nine of the ten digits, and two classes of one name.
    #expect(ClassMap(classNames: Array(SyntheticDigits.classNames.dropLast())).name == "next")
    #expect(ClassMap(classNames: Array(SyntheticDigits.classNames.dropLast()) + ["8"]).name == "next")
    #expect(ClassMap(classNames: ["alone"]).targets == [0])
    #expect(ClassMap(classNames: []).targets.isEmpty)
  }
}
