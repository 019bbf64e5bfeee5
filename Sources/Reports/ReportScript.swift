// SPDX-License-Identifier: Apache-2.0

/// The script of a report: draws the charts, the crosshair shared by all of them, and the switches.
enum ReportScript {
  static let javascript = #"""
    (() => {
    "use strict";
    const root = document.documentElement;
    const media = matchMedia("(prefers-color-scheme: dark)");
    const hidden = new Set();
    const charts = [];
    let logarithmic = false;

    const store = {
      get(key) { try { return localStorage.getItem(key); } catch { return null; } },
      set(key, value) { try { localStorage.setItem(key, value); } catch { /* a page from a file may not store */ } },
    };
    const isDark = () => (root.dataset.theme || (media.matches ? "dark" : "light")) === "dark";
    const hiddenNames = () => [...hidden].map(i => REPORT.runs[i]);
    function shadeOf(chart, series) {
      if (!chart.byMeasure) return REPORT.shades[series.index][isDark() ? 1 : 0];
      const { domain, range } = mainView(chart.figure.chart).encoding.color.scale;
      const light = range[domain.indexOf(series.measure)];
      return isDark() ? recolored(light) : light;
    }

    /* A chart is one view or several in layers; the main one holds the curves. */
    const views = chart => chart.concat ? [] : chart.layer || [chart];
    /* Panels side by side are drawn as they are printed, larger; they have no crosshair but numbers at their points. */
    const isPanels = chart => Boolean(chart.concat);
    const enlarged = 1.75;
    const coloured = chart => views(chart).filter(view => view.encoding.color);
    const mainView = chart =>
      coloured(chart).find(view => view.mark.type === "line") || coloured(chart)[0] || views(chart)[0];
    const onSteps = view => Boolean(view.encoding.x) && view.encoding.x.field === "step";
    const byRun = view => Boolean(view.encoding.color) && view.encoding.color.field === "run";
    const hasFixedSteps = chart => Boolean(chart.usermeta) && chart.usermeta.steps === "fixed";

    function recolored(value) {
      if (typeof value === "string") {
        const pair = REPORT.shades.find(pair => pair[0] === value);
        return pair ? pair[1] : value;
      }
      if (Array.isArray(value)) return value.map(recolored);
      if (value && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, recolored(inner)]));
      }
      return value;
    }

    const canHide = chart => views(chart).some(view => onSteps(view) || byRun(view));

    function unpacked(data) {
      return data.rows || data.series.flatMap(s =>
        s.x.map((x, i) => ({ run: s.run, measure: s.measure, step: x, value: s.y[i] })));
    }

    /* Ticks at powers of ten; at 1, 2 and 5 times them where the steps span less than two. */
    function decades(figure) {
      const steps = Object.values(figure.data).flatMap(data => data.series || []).flatMap(s => s.x).filter(x => x > 0);
      const low = steps.reduce((a, b) => Math.min(a, b), Infinity), high = steps.reduce((a, b) => Math.max(a, b), 0);
      const factors = high / low < 100 ? [1, 2, 5] : [1];
      const values = [];
      for (let power = 1; power <= high; power *= 10) for (const factor of factors) values.push(power * factor);
      return values.filter(value => value >= low && value <= high);
    }

    /* Points that cannot be seen, for the numbers under the pointer. */
    function hover(panel) {
      const line = (panel.layer || []).find(view => view.mark.type === "line");
      if (!line) return;
      const { x, y, color } = line.encoding;
      const number = (field, title) => ({ field, title, format: ".4~g" });
      panel.layer.push({
        mark: { type: "point", opacity: 0, size: 50, filled: true, clip: true },
        encoding: { x, y, color: { ...color, legend: null }, tooltip: [
          { field: "series", title: "series" }, { field: "measure", title: "measure" },
          number("x", x.title || "x"), number("y", y.title || "y"), number("low", "low"), number("high", "high"),
        ] },
      });
    }

    function specification(figure) {
      const spec = JSON.parse(JSON.stringify(figure.chart));
      if (isPanels(spec)) {
        spec.datasets = Object.fromEntries(Object.entries(figure.data).map(([name, data]) => [name, unpacked(data)]));
        for (const panel of spec.concat) hover(panel);
        return isDark() ? recolored(spec) : spec;
      }
      spec.width = "container";
      spec.autosize = { type: "fit-x", contains: "padding" };
      if (canHide(figure.chart)) spec.params = [{ name: "hidden", value: hiddenNames() }];
      for (const view of views(spec)) {
        const encoding = view.encoding;
        if (byRun(view)) encoding.color.legend = null;
        if (!onSteps(view) && !byRun(view)) continue;
        view.transform = [{ filter: "indexof(hidden, datum.run) < 0" }, ...(view.transform || [])];
        if (logarithmic && onSteps(view) && !hasFixedSteps(spec)) {
          view.transform.push({ filter: "datum.step > 0" });
          encoding.x.scale = { type: "log", nice: false };
          encoding.x.axis = { ...encoding.x.axis, values: decades(figure) };
        }
      }
      spec.datasets = Object.fromEntries(Object.entries(figure.data).map(([name, data]) => [name, unpacked(data)]));
      return isDark() ? recolored(spec) : spec;
    }

    async function draw(chart) {
      chart.view && chart.view.finalize();
      const result = await vegaEmbed(chart.canvas, specification(chart.figure), {
        mode: "vega-lite", renderer: "svg", actions: false, config: isDark() ? REPORT.dark : REPORT.light,
      });
      chart.view = result.view;
      if (!isPanels(chart.figure.chart)) return;
      const svg = chart.canvas.querySelector("svg");
      svg.style.width = Math.round(svg.width.baseVal.value * enlarged) + "px";
      svg.style.height = "auto";
    }
    /* One redraw at a time; wishes that come meanwhile are served together afterwards. */
    let drawing = null, again = false;
    function redraw() {
      leave();
      again = true;
      drawing = drawing || (async () => {
        while (again) {
          again = false;
          for (const chart of charts) await draw(chart);
        }
        drawing = null;
      })();
      return drawing;
    }

    /* The crosshair. Every chart over steps shows the same step; the one under the pointer shows the numbers. */
    const tip = document.createElement("div");
    tip.id = "tip";
    document.body.append(tip);

    function nearest(series, step) {
      const x = series.x;
      let low = 0, high = x.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (x[middle] <= step) low = middle; else high = middle;
      }
      return Math.abs(x[low] - step) <= Math.abs(x[high] - step) ? low : high;
    }

    const leavesOut = (chart, step) => logarithmic && !hasFixedSteps(chart.figure.chart) && step <= 0;
    const visible = chart => chart.series.filter(s => !hidden.has(s.index) && s.x.some(x => !leavesOut(chart, x)));

    function stepAt(chart, event) {
      const box = chart.canvas.getBoundingClientRect();
      const place = event.clientX - box.left - corner(chart)[0];
      if (place < -4 || place > chart.view.width() + 4) return null;
      const wanted = chart.view.scale("x").invert(place);
      let best = null;
      for (const s of visible(chart)) {
        const x = s.x[nearest(s, wanted)];
        if (best === null || Math.abs(x - wanted) < Math.abs(best - wanted)) best = x;
      }
      return best;
    }

    /* Where the plot begins inside the chart's box. */
    function corner(chart) {
      const svg = chart.canvas.querySelector("svg").getBoundingClientRect();
      const outer = chart.canvas.getBoundingClientRect();
      const [x, y] = chart.view.origin(), padding = chart.view.padding();
      return [
        svg.left - outer.left + x + (padding.left ?? padding), svg.top - outer.top + y + (padding.top ?? padding),
      ];
    }

    function mark(chart, step) {
      const layer = chart.layer;
      layer.textContent = "";
      if (step === null || !chart.view || leavesOut(chart, step)) return;
      const [x, y] = corner(chart);
      const left = x + chart.view.scale("x")(step);
      if (left < x - 1 || left > x + chart.view.width() + 1) return;
      const rule = document.createElement("div");
      rule.className = "rule";
      rule.style.cssText = `display:block;left:${left}px;top:${y}px;height:${chart.view.height()}px`;
      layer.append(rule);
      for (const s of visible(chart)) {
        const i = nearest(s, step);
        if (s.x[i] !== step) continue;
        const dot = document.createElement("div");
        dot.className = "dot";
        dot.style.left = left + "px";
        dot.style.top = y + chart.view.scale("y")(s.y[i]) + "px";
        dot.style.background = shadeOf(chart, s);
        layer.append(dot);
      }
    }

    function cell(row, text, style) {
      const td = row.insertCell();
      td.textContent = text;
      if (style) td.style.cssText = style;
      return td;
    }

    function showTip(chart, step, event) {
      const table = document.createElement("table");
      const head = table.insertRow();
      cell(head, "step", "color:var(--quiet)");
      cell(head, step.toLocaleString("en").replaceAll(",", "\u202f"), "text-align:right;font-weight:600");
      for (const s of visible(chart)) {
        const i = nearest(s, step);
        const row = table.insertRow();
        const swatch = document.createElement("i");
        swatch.className = "swatch";
        swatch.style.background = shadeOf(chart, s);
        const name = cell(row, "");
        name.append(swatch, chart.byMeasure ? s.measure : s.run + (s.measure ? ", " + s.measure : ""));
        const value = chart.percent ? (s.y[i] * 100).toFixed(1) + "%" : s.y[i].toPrecision(4);
        const at = s.x[i] === step ? "" : " (step " + s.x[i] + ")";
        cell(row, value.replace("-", "\u2212") + at, "text-align:right");
      }
      tip.replaceChildren(table);
      tip.style.display = "block";
      const box = tip.getBoundingClientRect();
      const right = event.clientX + 16 + box.width < innerWidth;
      tip.style.left = Math.max(4, right ? event.clientX + 16 : event.clientX - 16 - box.width) + "px";
      tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 4)) + "px";
    }

    function move(chart, event) {
      if (!chart.view) return;
      const step = stepAt(chart, event);
      if (step === null) return leave();
      for (const other of charts) if (other.series.length) mark(other, step);
      showTip(chart, step, event);
    }

    function leave() {
      tip.style.display = "none";
      for (const chart of charts) chart.layer.textContent = "";
    }

    function save(chart, format) {
      chart.view.toImageURL(format, 3).then(url => {
        const link = document.createElement("a");
        link.href = url;
        link.download = chart.figure.id + "." + format;
        link.click();
      });
    }

    for (const figure of REPORT.figures) {
      const frame = document.getElementById(figure.id);
      const holder = frame.querySelector(".chart");
      const canvas = document.createElement("div");
      canvas.style.width = "100%";
      const layer = document.createElement("div");
      holder.append(canvas, layer);
      const series = Object.values(figure.data).flatMap(data => data.series || [])
        .map(s => ({ ...s, index: REPORT.runs.indexOf(s.run) }));
      const { y, color } = isPanels(figure.chart) ? {} : mainView(figure.chart).encoding;
      const format = y && y.axis && y.axis.format;
      const byMeasure = Boolean(color) && color.field === "measure";
      const chart = { figure, canvas, layer, series, byMeasure, percent: /%$/.test(format || ""), view: null };
      charts.push(chart);
      if (series.length) {
        holder.addEventListener("pointermove", event => move(chart, event));
        holder.addEventListener("pointerdown", event => move(chart, event));
        holder.addEventListener("pointerleave", leave);
      }
      for (const button of frame.querySelectorAll("[data-save]")) {
        button.addEventListener("click", () => save(chart, button.dataset.save));
      }
    }

    for (const button of document.querySelectorAll(".key")) {
      button.addEventListener("click", () => {
        const index = Number(button.dataset.run);
        hidden.has(index) ? hidden.delete(index) : hidden.add(index);
        button.setAttribute("aria-pressed", String(!hidden.has(index)));
        if (drawing) return redraw();
        leave();
        for (const chart of charts) {
          if (canHide(chart.figure.chart)) chart.view.signal("hidden", hiddenNames()).runAsync();
        }
      });
    }
    const log = document.getElementById("log");
    log && log.addEventListener("click", () => {
      logarithmic = !logarithmic;
      log.setAttribute("aria-pressed", String(logarithmic));
      redraw();
    });
    const theme = document.getElementById("theme");
    theme && theme.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      store.set("coherent-theme", root.dataset.theme);
      redraw();
    });
    const kept = store.get("coherent-theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
    media.addEventListener("change", redraw);
    addEventListener("scroll", leave, { passive: true });
    redraw().then(() => { root.dataset.ready = "1"; });
    })();
    """#
}
