// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

/// `neighbours` from the command line.
@Suite struct NeighbourTests {
  private func trained(_ options: [String] = [], in scratch: Scratch) throws -> String {
    let run = scratch.path("run")
    try train(SmallData.options + ["--keep", "best,last"] + options + ["--out", run])
    return run
  }

  /// Text, JSON, CSV and page say the same of an example at two of a run's weights.
  @Test func everyOutput() throws {
    let scratch = try Scratch()
    let run = try trained(in: scratch)
    let result = try Program.run([
      "neighbours", run, "--example", "7", "--example", "0", "--count", "3", "--at", "best", "--at", "30", "--json",
      "--csv", scratch.path("n.csv"), "--html", scratch.path("n.html"), "--chunk-size", "33",
    ])
    #expect(result.code == 0, "\(result.errors)")
    let report = try object(result.output)
    #expect(report["candidates"] as? Int == 200 && report["order"] as? String == "product")
    let moments = try #require(report["moments"] as? [[String: Any]])
    #expect(moments.map { $0["weights"] as? String } == ["best", "last"] && moments[1]["step"] as? Int == 30)
    let labels = try RunDirectory.open(at: run).labels().map { String($0.assigned) }
    let lines = try scratch.text("n.csv").split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    #expect(
      lines[0] == [
        "step", "kind", "query", "query_label", "query_file", "side", "rank", "index", "label", "file", "layer", "dot",
        "cosine",
      ])
    var place = 1
    for moment in moments {
      let examples = try #require(moment["examples"] as? [[String: Any]])
      #expect(examples.map { $0["index"] as? Int } == [7, 0])
      for example in examples {
        #expect(example["kind"] as? String == "train" && (example["gradient_norm"] as? Double ?? 0) > 0)
        let change = example["change"] as? [String: Any]
        #expect((change == nil) == (moment["weights"] as? String == "best"))
        for side in ["helper", "opponent"] {
          let items = try #require(example[side + "s"] as? [[String: Any]])
          if let ranks = change?[side + "_ranks"] as? [Int] { #expect(ranks.allSatisfy { (1...199).contains($0) }) }
          for (rank, item) in items.enumerated() {
            let index = try #require(item["index"] as? Int)
            let dot = try #require(item["dot"] as? Double)
            #expect((dot > 0) == (side == "helper") && index != example["index"] as? Int)
            #expect(item["label"] as? String == labels[index] && item["rank"] as? Int == rank + 1)
            let layers = try #require(item["layers"] as? [[String: Any]])
            #expect(layers.map { $0["layer"] as? String } == ["fc1", "fc2"])
            let sum = layers.reduce(0) { $0 + ($1["dot"] as? Double ?? 0) }
            #expect(abs(sum - dot) <= 1e-9 * (1 + abs(dot)))
            for (layer, own) in zip(["all", "fc1", "fc2"], [item] + layers) {
              #expect(lines[place][5...7] == [side, "\(rank + 1)", "\(index)"] && lines[place][10] == layer)
              // JSON's reader rounds the last digit.
              for (column, name) in [(11, "dot"), (12, "cosine")] {
                let (cell, value) = try (#require(Double(lines[place][column])), #require(own[name] as? Double))
                #expect(abs(cell - value) <= 1e-12 * abs(value), "\(name)")
              }
              place += 1
            }
          }
        }
      }
    }
    #expect(place == lines.count && place > 12)
    let page = try scratch.text("n.html")
    #expect(page.components(separatedBy: "<img").count - 1 == (place - 1) / 3 + 4)
    #expect(page.contains("script-src 'none'") && page.contains("train example 7, labelled \(labels[7]); step 30"))
    #expect(!page.contains("<script") && page.contains("Since step"))

    let text = try Program.run([
      "neighbours", run, "--example", "7", "--count", "2", "--split", "test", "--by", "cosine", "--layer", "fc2",
      "--by-layer", "--examples", "50",
    ])
    #expect(text.code == 0 && text.output.contains("test example 7, labelled"), "\(text.errors)")
    for part in ["helpers", "opponents", "helpers' cosine", "Of 50 training examples, ranked by cosine in layer fc2"] {
      #expect(text.output.contains(part), "\(part): \(text.output)")
    }
  }

  @Test func picturesOfOnesOwn() throws {
    let scratch = try Scratch()
    let folder = scratch.path("pictures")
    let fixtures = try PictureFixtures.load()
    try fixtures.writeFolder(at: folder)
    try train([
      "--dataset", "folder", "--data-dir", folder, "--image-size", "12", "--model", "mlp:8", "--batch-size", "5",
      "--lr", "0.01", "--steps", "6", "--threads", "1", "--out", scratch.path("run"),
    ])
    let own = try scratch.write(fixtures.data("rgb-png"), "own, \"mine\".png")
    func neighbours(_ options: [String]) throws -> Program.Result {
      try Program.run(["neighbours", scratch.path("run"), "--count", "2"] + options)
    }
    let result = try neighbours([
      "--picture", own, "--label", "dog", "--picture", folder + "/val/cat/1.jpg", "--label", "0", "--example", "1",
      "--csv", scratch.path("n.csv"), "--html", scratch.path("n.html"),
    ])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.contains("picture \(own), labelled dog") && result.output.contains("1.jpg, labelled cat"))
    #expect(result.output.contains("train/") && result.output.contains("train example 1, labelled cat"))
    #expect(try scratch.text("n.csv").contains("own, \"\"mine\"\".png\""))
    #expect(try scratch.text("n.html").contains("own, &quot;mine&quot;.png"))

    let mistakes: [(options: [String], part: String)] = [
      (["--picture", own, "--label", "wolf"], "There is no class \"wolf\". Choose among cat, dog."),
      (["--picture", own, "--label", "2"], "There is no class \"2\""),
      (["--picture", folder, "--label", "dog"], "--picture names one picture"),
      (["--picture", scratch.path("none.png"), "--label", "dog"], "none.png. Name pictures that can be read"),
      (["--picture", try scratch.write("text", "text.png"), "--label", "dog"], "text.png cannot be used"),
      (["--example", "12"], "example 12 was requested, but the train split has examples 0 to 11"),
      (["--example", "-1"], "example -1 was requested"),
      (["--example", "4", "--split", "test"], "the test split has examples 0 to 3"),
      (["--example", "1", "--layer", "conv1"], "there is no layer conv1 with parameters; choose among fc1, fc2"),
      (["--example", "1", "--at", "4"], "no checkpoint of step 4"),
      (["--example", "1", "--at", "selected"], "holds no selected weights"),
      (["--example", "1", "--examples", "13"], "13 train examples"),
    ]
    for (options, part) in mistakes {
      let result = try neighbours(options)
      #expect(result.code != 0 && result.errors.contains(part), "\(options): \(result.errors)")
    }
  }

  static let mistakes: [(arguments: [String], code: Int32, part: String)] = [
    (["neighbours", "--example", "1"], 64, "No run directory was named"),
    (["neighbours", "run", "--checkpoint", "other", "--example", "1"], 64, "Two runs were named"),
    (["neighbours", "run"], 64, "Name the examples"),
    (["neighbours", "run", "--picture", "x.png"], 64, "1 pictures and 0 labels were given"),
    (["neighbours", "run", "--example", "1", "--count", "0"], 64, "--count must be at least 1, not 0"),
    (["neighbours", "run", "--example", "1", "--examples", "-2"], 64, "--examples must be at least 1"),
    (["neighbours", "run", "--example", "1", "--chunk-size", "0"], 64, "--chunk-size must be at least 1"),
    (["neighbours", "run", "--example", "1", "--at", "soon"], 64, "'soon' is invalid for '--at"),
    (["neighbours", "run", "--example", "1", "--at", "-1"], 64, "--at"),
    (["neighbours", "run", "--example", "1", "--by", "norm"], 64, "--by"),
    (["neighbours", "run", "--example", "1", "--csv", ""], 64, "--csv has an empty name"),
    (["neighbours", "run", "--example", "1", "--html", "/nowhere/x.html"], 1, "/nowhere/x.html"),
    (["neighbours", "/nowhere/run", "--example", "1"], 1, "/nowhere/run"),
  ]

  @Test(arguments: mistakes.indices)
  func mistakesAreExplained(_ index: Int) async {
    let (arguments, code, part) = Self.mistakes[index]
    let result = await Program.runHere(arguments)
    #expect(result.code == code && result.errors.contains(part), "\(arguments): \(result.code) \(result.errors)")
  }

  @Test func greyRunsTakeNoPictures() throws {
    let scratch = try Scratch()
    let run = try trained(in: scratch)
    let result = try Program.run(["neighbours", run, "--picture", scratch.path("x.png"), "--label", "3"])
    #expect(result.code == 1 && result.errors.contains("no colour pictures"), "\(result.errors)")
  }
}
