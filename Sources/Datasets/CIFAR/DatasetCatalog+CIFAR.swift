// SPDX-License-Identifier: Apache-2.0

extension DatasetCatalog {
  static let cifar10 = DatasetEntry(
    name: "cifar10", title: "CIFAR-10 small colour photographs",
    citation: "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    exampleShape: CIFAR.exampleShape,
    classNames: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    counts: ["train": 50_000, "test": 10_000],
    files: (1...5).map { file("data_batch_\($0).bin", 30_730_000, .train) } + [
      file("test_batch.bin", 30_730_000, .test)
    ],
    mirrors: mirrors,
    archive: DatasetArchive(
      name: "cifar-10-binary.tar.gz", size: 170_052_171, md5: "c32a1d4ab5d03f1284b67883e8d87530",
      folder: "cifar-10-batches-bin"),
    normalization: .cifar10)

  static let cifar100 = DatasetEntry(
    name: "cifar100", title: "CIFAR-100 small colour photographs",
    citation: "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    exampleShape: CIFAR.exampleShape, classNames: cifar100Names, counts: ["train": 50_000, "test": 10_000],
    files: [file("train.bin", 153_700_000, .train), file("test.bin", 30_740_000, .test)], mirrors: mirrors,
    archive: DatasetArchive(
      name: "cifar-100-binary.tar.gz", size: 169_001_437, md5: "03b5dce01913d631647c71ecec9e9cb8",
      folder: "cifar-100-binary"),
    normalization: .cifar100)

  private static let mirrors = ["https://www.cs.toronto.edu/~kriz"]

  private static func file(_ name: String, _ size: Int, _ split: Split) -> DatasetFile {
    DatasetFile(name: name, size: size, sha256: nil, split: split, role: .examples)
  }

  private static let cifar100Names = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
  ]
}
