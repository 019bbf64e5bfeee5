// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

extension AuditPage {
  /// How many of the confused pairs of classes the page lists.
  private static let shownPairs = 200

  /// Everything but the examples.
  var body: String {
    """
    <header>
    <p class="eyebrow">Coherent Gradients · audit of labels</p>
    <h1>\(Wording.html(title))</h1>
    \(finding)
    </header>
    <p id="audit-state" role="status">Loading the examples …</p>
    <noscript><p>The gallery needs JavaScript; the examples are in suspects.csv.</p></noscript>
    <div id="audit" hidden>
    \(threshold)
    \(gallery)
    <div class="pair">
    \(confused)
    \(duplicates)
    </div>
    \(scores)
    </div>
    \(footer)
    \(chooser)
    """
  }

  private var finding: String {
    let share = record.count == 0 ? "" : " (\(Wording.percent(Double(record.flagged) / Double(record.count))))"
    let headline = "\(Wording.integer(record.flagged)) of \(Wording.integer(record.count)) labels are suspect\(share)."
    let estimate = record.estimate.map { estimate in
      func whole(_ value: Double) -> String { Wording.integer(max(value, 0)) }
      return """
        <div><dt>estimated number of wrong labels</dt><dd>\(whole(estimate.errors))\
        <small>between \(whole(estimate.low)) and \(whole(estimate.high)). \
        \(Wording.html(estimate.method))</small></dd></div>
        """
    }
    let none = """
      <div><dt>estimated number of wrong labels</dt><dd>–\
      <small>It could not be estimated for this audit.</small></dd></div>
      """
    return """
      <section class="finding" aria-label="Finding">
      <p class="headline">\(Wording.html(headline))</p>
      <dl class="figures">\(estimate ?? none)
      <div><dt>classes</dt><dd>\(Wording.integer(record.classes.count))</dd></div>
      <div><dt>pairs of classes confused</dt><dd>\(Wording.integer(record.confused.count))</dd></div>
      <div><dt>conflicting duplicates</dt><dd>\(Wording.integer(record.duplicates.count))</dd></div>
      </dl>
      </section>
      """
  }

  private var threshold: String {
    """
    <section aria-labelledby="threshold-title"><h2 id="threshold-title">How suspect the labels are</h2>
    <div class="threshold">
    <div class="plot">
    <p class="axis most">examples, logarithmic; the highest bar has <span id="most"></span></p>
    <svg viewBox="0 0 640 100" preserveAspectRatio="none" role="img" aria-label="Histogram of the suspicion">
    <clipPath id="above"><rect id="clip" y="0" width="640" height="100"/></clipPath>
    <path id="bars"/><path id="flagged-bars" clip-path="url(#above)"/><line id="cut" y1="-4" y2="100"/></svg>
    <input type="range" id="threshold" min="0" max="1" step="0.001" aria-label="Threshold of the suspicion">
    <div class="ticks" aria-hidden="true"><span>0</span><span>0.25</span>\
    <span>0.5</span><span>0.75</span><span>1</span></div>
    <p class="axis">suspicion; drag the handle to move the threshold</p>
    </div>
    <div class="reading"><dl>
    <dt>threshold</dt><dd id="threshold-value"></dd>
    <dt><label for="count">flagged</label></dt><dd><input type="number" id="count" min="0" max="\(record.count)"></dd>
    <dt>expected precision</dt><dd><span id="precision"></span><span class="quiet" id="precision-note"></span></dd>
    </dl>
    <button type="button" id="reset-threshold">back to the audit’s \(Wording.integer(record.flagged))</button></div>
    </div></section>
    """
  }

  private var gallery: String {
    """
    <section id="gallery" aria-labelledby="gallery-title"><h2 id="gallery-title">Suspects</h2>
    <div class="controls">
    <label>show<select id="filter-scope"><option value="flagged">flagged</option>\
    <option value="all">all examples</option></select></label>
    <label>given label<select id="filter-given"><option value="">any</option></select></label>
    <label>suggested label<select id="filter-suggested"><option value="">any</option></select></label>
    <label>decision<select id="filter-decision"><option value="">any</option><option value="undo">undecided</option>\
    <option value="decided">decided</option><option value="keep">keep</option><option value="relabel">relabel</option>\
    <option value="drop">drop</option></select></label>
    <label>sorted by<select id="sort"><option value="rank">suspicion</option>\
    <option value="index">place in the data set</option></select></label>
    <button type="button" id="direction" aria-pressed="false" title="Turn the order round">reversed</button>
    <button type="button" id="clear">clear filters</button>
    </div>
    <div class="tally"><p><b id="shown" role="status"></b> \
    <span class="quiet"><span id="progress"></span>; <span id="where"></span></span></p>
    <button type="button" id="download">Download corrections.csv</button></div>
    <div class="gallery">
    <div id="list" role="listbox" tabindex="0" aria-label="Examples, the most suspect first">\
    <div id="canvas" role="presentation"></div></div>
    <aside class="side" aria-label="Selected example">
    <p id="nothing" hidden>No example matches these filters.</p>
    <div id="detail">
    <div class="top"><div id="shot"></div><div class="facts-of">
    <p class="eye">rank</p><p id="rank"></p>
    <p class="eye">labelled</p><p class="big" id="given"></p>
    <p class="eye">looks like</p><p class="big" id="suggested"></p>
    <p class="eye">suspicion</p><p id="suspicion-value"></p>
    </div></div>
    <p class="quiet" id="name"></p>
    <div class="actions" role="group" aria-label="Decide">
    <button type="button" id="keep"><kbd>1</kbd><span>keep the label</span></button>
    <button type="button" id="relabel"><kbd>2</kbd><span id="to-suggested"></span></button>
    <button type="button" id="other"><kbd>3</kbd><span>another class …</span></button>
    <button type="button" id="drop"><kbd>4</kbd><span>drop the example</span></button>
    </div>
    <div class="steps"><button type="button" id="previous" aria-label="previous example">←</button>\
    <button type="button" id="next" aria-label="next example">→</button>\
    <button type="button" id="undo"><kbd>u</kbd> undo</button><span id="decision"></span></div>
    <p id="status" role="status" aria-live="polite"></p>
    <div id="neighbours-part"><h3>Neighbours by gradient\(step)</h3><div id="neighbours"></div></div>
    <h3>Scores <span class="quiet">with the share of examples below</span></h3>
    <table class="values"><tbody id="values"></tbody></table>
    </div>
    </aside>
    </div>
    <p class="help"><span><kbd>←</kbd> <kbd>→</kbd> <kbd>↑</kbd> <kbd>↓</kbd> or <kbd>j</kbd> <kbd>k</kbd> \
    move</span>\
    <span><kbd>1</kbd> keep</span><span><kbd>2</kbd> relabel as suggested</span>\
    <span><kbd>3</kbd> relabel to another class</span>\
    <span><kbd>4</kbd> drop</span><span><kbd>u</kbd> undo</span><span><kbd>n</kbd> next undecided</span></p>
    </section>
    """
  }

  private var step: String {
    neighbours.map { " <span class=\"quiet\">at step \(Wording.integer($0.step))</span>" } ?? ""
  }

  private var confused: String {
    guard !record.confused.isEmpty else { return "" }
    let numbers = Dictionary(zip(record.classes, 0...), uniquingKeysWith: { first, _ in first })
    let rows = record.confused.prefix(Self.shownPairs).map { pair in
      let (given, suggested) = (numbers[pair.given] ?? 0, numbers[pair.suggested] ?? 0)
      return """
        <tr><td>\(Wording.code(pair.given))</td><td>\(Wording.code(pair.suggested))</td>\
        <td class="n">\(Wording.integer(pair.count))</td><td><button type="button" class="link" data-given="\(given)" \
        data-suggested="\(suggested)" aria-label="show \(Wording.code(pair.given)) that looks like \
        \(Wording.code(pair.suggested))">show</button></td></tr>
        """
    }
    let rest = record.confused.count - rows.count
    return """
      <section><h2>Classes that are confused</h2>
      <div class="scroll tall" tabindex="0" role="region" aria-label="Classes that are confused">\
      <table class="confused"><thead><tr><th scope="col">labelled</th><th scope="col">looks like</th>\
      <th scope="col" class="n">flagged</th><th></th></tr></thead><tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div>
      \(rest > 0 ? "<p class=\"quiet\">\(Wording.integer(rest)) more are in audit.json.</p>" : "")
      </section>
      """
  }

  private var duplicates: String {
    guard !record.duplicates.isEmpty else { return "" }
    return """
      <section><h2>The same picture with different labels</h2>
      <div class="tall" tabindex="0" role="region" aria-label="Conflicting duplicates">
      <ul class="groups" id="duplicates"></ul>
      <p><button type="button" id="more-duplicates" hidden>\
      show all \(Wording.integer(record.duplicates.count))</button></p></div>
      </section>
      """
  }

  private var scores: String {
    guard !record.scores.isEmpty else { return "" }
    let rows = record.scores.map { score in
      """
      <tr><th scope="row">\(Wording.html(score.title))</th><td class="formula">\(Wording.code(score.formula))</td>\
      <td>\(Wording.html(score.source))</td><td><span class="quiet">\(Wording.code(score.name))</span></td></tr>
      """
    }
    return """
      <section><h2>Scores</h2>
      <div class="scroll" tabindex="0" role="region" aria-label="Scores">
      <table class="scores"><thead><tr><th scope="col">score</th>\
      <th scope="col">formula</th><th scope="col">source</th><th scope="col">column</th></tr></thead><tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div>
      <p class="quiet">Every score points the same way: larger is more suspect. The ranks follow \
      “\(Wording.html(record.headline))”.</p>
      </section>
      """
  }

  private var footer: String {
    let facts = [
      ("Audited", record.created.formatted(Date.ISO8601FormatStyle())), ("Audit", directory.name),
      ("Training", record.run ?? "–"),
    ]
    let items = facts.map { "<dt>\($0)</dt><dd>\(Wording.html($1))</dd>" }.joined()
    return """
      <footer><h2>Provenance</h2><dl class="facts">\(items)</dl></footer>
      """
  }

  private var chooser: String {
    """
    <dialog id="chooser" aria-labelledby="chooser-title"><h2 id="chooser-title">Relabel to</h2>
    <input type="text" id="wanted" role="combobox" aria-expanded="true" aria-controls="offered" autocomplete="off" \
    placeholder="type a part of the class’s name" aria-label="Class">
    <ul id="offered" role="listbox" aria-label="Classes"></ul>
    <p class="quiet" id="no-offer" hidden>There is no such class.</p>
    <p class="quiet"><kbd>↑</kbd> <kbd>↓</kbd> choose, <kbd>Enter</kbd> relabel, <kbd>Esc</kbd> \
    <button type="button" id="chooser-close">cancel</button></p></dialog>
    """
  }
}
