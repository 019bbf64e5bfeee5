// SPDX-License-Identifier: Apache-2.0

/* The script of a page: draws the charts, the crosshair shared by all of them, and the switches. */
(() => {
"use strict";
const root = document.documentElement;
const media = matchMedia("(prefers-color-scheme: dark)");
const hidden = new Set();
const charts = [];
let logarithmic = false, whole = false;

const store = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* a page from a file may not store */ } },
};
const isDark = () => (root.dataset.theme || (media.matches ? "dark" : "light")) === "dark";
const hiddenNames = () => [...hidden].map(i => REPORT.runs[i]);
function shadeOf(chart, series) {
  const { domain, range } = mainView(chart.figure.chart).encoding.color.scale;
  const light = range[domain.indexOf(chart.byMeasure ? series.measure : series.series)];
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
const onSteps = view => Boolean(view.encoding.x) && view.encoding.x.title === "Training step";
const byRun = view => Boolean(view.encoding.color) && view.encoding.color.field === "series";
const isShare = channel => Boolean(channel) && /' %'/.test((channel.axis || {}).labelExpr || "");
const isAccuracy = chart => Boolean(chart.usermeta) && chart.usermeta.axis === "accuracy";
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
    s.x.map((x, i) => ({
      panel: s.panel, series: s.series, measure: s.measure, x, y: s.y[i],
      low: s.low ? s.low[i] : undefined, high: s.high ? s.high[i] : undefined,
    })));
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
  const percent = (field, title) => ({ field: field + "_percent", title });
  const value = isShare(y) ? percent : number;
  panel.layer.push({
    transform: isShare(y)
      ? ["y", "low", "high"].map(field => ({
          calculate: `isValid(datum.${field}) ? format(datum.${field} * 100, '.4~g') + ' %' : null`,
          as: field + "_percent",
        }))
      : [],
    mark: { type: "point", opacity: 0, size: 50, filled: true, clip: true },
    encoding: { x, y, color: { ...color, legend: null }, tooltip: [
      { field: "series", title: "series" }, { field: "measure", title: "measure" },
      number("x", x.title || "x"), value("y", y.title || "y"), value("low", "low"), value("high", "high"),
    ] },
  });
}

/* Zoom. Steps and accuracies are those of the whole page, so that charts still compare; any other axis is that of its
   chart, or of the panels that have the same ends. */
let stepZoom = null, accuracyZoom = null;
const zoomKey = (name, channel) => name + JSON.stringify(channel.scale);

function zoomOf(chart, name, channel) {
  if (isPanels(chart.figure.chart)) return chart.zoom[zoomKey(name, channel)];
  if (name === "x") return channel.title === "Training step" ? stepZoom : chart.zoom.x;
  return isAccuracy(chart.figure.chart) ? accuracyZoom : chart.zoom.y;
}

function setZoom(chart, name, channel, ends) {
  if (isPanels(chart.figure.chart)) chart.zoom[zoomKey(name, channel)] = ends;
  else if (name === "x" && channel.title === "Training step") setStepZoom(ends);
  else if (name === "y" && isAccuracy(chart.figure.chart)) accuracyZoom = ends;
  else chart.zoom[name] = ends;
}

const isZoomed = () => Boolean(stepZoom || accuracyZoom) || charts.some(chart => Object.keys(chart.zoom).length > 0);

function unzoom() {
  accuracyZoom = null;
  setStepZoom(null);
  for (const chart of charts) chart.zoom = {};
  return redraw();
}

/* Whoever has more points of the steps that are seen may bring them; until then what is there is drawn. */
function setStepZoom(ends) {
  stepZoom = ends;
  if (!ends) for (const chart of charts) Object.assign(chart, described(chart.figure));
  document.dispatchEvent(new Event("zoomedsteps"));
}
globalThis.zoomedSteps = () => stepZoom;
globalThis.refineFigures = figures => {
  for (const chart of charts) {
    const fine = figures.find(figure => figure.id === chart.figure.id);
    if (fine) Object.assign(chart, described(chart.figure, fine.data));
  }
  return redraw();
};

/* Ticks of logarithmic axes, where these span enough for them. */
function ticksWithin([low, high]) {
  const least = Math.max(low, Math.min(1, high / 1000));
  const factors = high / least > 1000 ? [1] : [1, 2, 5];
  const values = low <= 0 ? [0] : [];
  for (let power = 10 ** Math.floor(Math.log10(least)); power <= high; power *= 10) {
    values.push(...factors.map(factor => power * factor).filter(value => value >= least && value <= high));
  }
  return values.length > 2 ? values : undefined;
}

/* The channel with other ends; where it starts at 0 and has become logarithmic, from its first tick on. */
function withEnds(channel, ends) {
  const { values, ...axis } = channel.axis || {};
  const { domainMin, ...scale } = channel.scale || {};
  const start = scale.type === "log" && ends[0] <= 0 ? Math.min(1, ends[1] / 10) : ends[0];
  return {
    ...channel, scale: { ...scale, domain: [start, ends[1]], nice: false, zero: false },
    axis: {
      ...axis, tickCount: 5, labelOverlap: true, values: /log/.test(scale.type) ? ticksWithin([start, ends[1]]) : undefined,
    },
  };
}

function zoomViews(chart, layers, main) {
  for (const name of ["x", "y"]) {
    const channel = main && main.encoding[name];
    const ends = channel && channel.type === "quantitative" && zoomOf(chart, name, channel);
    if (!ends) continue;
    for (const view of layers) {
      const own = view.encoding && view.encoding[name];
      if (view.mark.type === "text" && own && own.field && view.data && view.data.values) {
        view.data.values = view.data.values.filter(row => row[own.field] >= ends[0] && row[own.field] <= ends[1]);
      }
      if (!own || own.type !== "quantitative") continue;
      if (view.mark.type !== "text") view.mark = { ...(view.mark.type ? view.mark : { type: view.mark }), clip: true };
      if (view === main || own.scale) view.encoding[name] = withEnds(own, ends);
    }
  }
}

const mainLayer = panel => (panel.layer || []).find(view => view.mark.type === "line")
  || (panel.layer || []).find(view => view.encoding && view.encoding.x && view.encoding.y) || null;

function specification(chart) {
  const figure = chart.figure;
  const spec = JSON.parse(JSON.stringify(figure.chart));
  if (isPanels(spec)) {
    spec.datasets = Object.fromEntries(Object.entries(chart.data).map(([name, data]) => [name, unpacked(data)]));
    for (const panel of spec.concat) {
      zoomViews(chart, panel.layer, mainLayer(panel));
      hover(panel);
    }
    return isDark() ? recolored(spec) : spec;
  }
  spec.width = "container";
  spec.autosize = { type: "fit-x", contains: "padding" };
  if (canHide(figure.chart)) spec.params = [{ name: "hidden", value: hiddenNames() }];
  for (const view of views(spec)) {
    const encoding = view.encoding;
    if (byRun(view)) encoding.color.legend = null;
    if (!onSteps(view) && !byRun(view)) continue;
    view.transform = [{ filter: "indexof(hidden, datum.series) < 0" }, ...(view.transform || [])];
    if (logarithmic && onSteps(view) && !hasFixedSteps(spec)) {
      view.transform.push({ filter: "datum.x > 0" });
      encoding.x.scale = { type: "log", nice: false };
      encoding.x.axis = { ...encoding.x.axis, values: decades(figure) };
    }
    /* The rise, which fills a logarithmic axis, is not to be cut off. */
    if (isAccuracy(spec) && (whole || logarithmic)) encoding.y.scale = { domain: [0, 1] };
  }
  zoomViews(chart, views(spec), mainView(spec));
  spec.datasets = Object.fromEntries(Object.entries(chart.data).map(([name, data]) => [name, unpacked(data)]));
  return isDark() ? recolored(spec) : spec;
}

async function draw(chart) {
  chart.view && chart.view.finalize();
  const result = await vegaEmbed(chart.canvas, specification(chart), {
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
  if (back) back.hidden = !isZoomed();
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
    name.append(swatch, chart.byMeasure ? s.measure : s.series + (s.measure ? ", " + s.measure : ""));
    const written = y => (chart.percent ? (y * 100).toFixed(1) : y.toPrecision(4)).replace("-", "\u2212");
    const band = s.low && s.low[i] !== null ? ` (${written(s.low[i])} to ${written(s.high[i])})` : "";
    const at = s.x[i] === step ? "" : " (step " + s.x[i] + ")";
    cell(row, written(s.y[i]) + band + (chart.percent ? "\u00a0%" : "") + at, "text-align:right");
  }
  tip.replaceChildren(table);
  tip.style.display = "block";
  const box = tip.getBoundingClientRect();
  const right = event.clientX + 16 + box.width < innerWidth;
  tip.style.left = Math.max(4, right ? event.clientX + 16 : event.clientX - 16 - box.width) + "px";
  tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - box.height - 4)) + "px";
}

/* The plots of a chart, in pixels of its holder. */
function plots(chart) {
  const [x, y] = corner(chart);
  if (!isPanels(chart.figure.chart)) {
    const main = mainView(chart.figure.chart);
    return [{ x, y, width: chart.view.width(), height: chart.view.height(), names: ["x", "y"], main }];
  }
  const svg = chart.canvas.querySelector("svg");
  const scale = svg.getBoundingClientRect().width / svg.width.baseVal.value;
  const found = [];
  (function visit(items, left, top) {
    for (const mark of items) {
      const number = mark.marktype === "group" && /^concat_(\d+)_group$/.exec(mark.name || "");
      for (const item of mark.marktype === "group" ? mark.items : []) {
        const at = [left + (item.x || 0), top + (item.y || 0)];
        if (!number) { visit(item.items, ...at); continue; }
        const main = mainLayer(chart.figure.chart.concat[number[1]]);
        if (!main) continue;
        found.push({
          x: x + at[0] * scale, y: y + at[1] * scale, width: item.width * scale, height: item.height * scale,
          names: [`concat_${number[1]}_x`, `concat_${number[1]}_y`], main,
        });
      }
    }
  })([chart.view.scenegraph().root], 0, 0);
  return found;
}

/* A rectangle drawn with the mouse becomes the ends of the axes; one that is flat or thin, those of one axis alone. */
let drag = null;

function startDrag(chart, event) {
  if (event.button !== 0 || event.pointerType === "touch" || !chart.view || drawing) return;
  const box = chart.canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const plot = plots(chart).find(p => x >= p.x && x <= p.x + p.width && y >= p.y && y <= p.y + p.height);
  if (plot) drag = { chart, plot, from: [x, y], to: [x, y] };
}

const spans = () => {
  const { plot, from, to } = drag;
  const ends = [[plot.x, plot.width], [plot.y, plot.height]].map(([start, length], i) => {
    const inside = [from[i], to[i]].map(v => Math.min(start + length, Math.max(start, v)));
    return [Math.min(...inside), Math.max(...inside)];
  });
  const wide = ends.map(([a, b]) => b - a > 6);
  return wide.map((w, i) => (w ? ends[i] : null));
};

function moveDrag(event) {
  const { chart, plot } = drag;
  const outer = chart.canvas.getBoundingClientRect();
  drag.to = [event.clientX - outer.left, event.clientY - outer.top];
  leave();
  const [x, y] = spans();
  if (!x && !y) return;
  const [left, right] = x || [plot.x, plot.x + plot.width], [top, bottom] = y || [plot.y, plot.y + plot.height];
  const box = document.createElement("div");
  box.className = "box";
  box.style.cssText = `left:${left}px;top:${top}px;width:${right - left}px;height:${bottom - top}px`;
  chart.layer.append(box);
}

function endDrag() {
  const { chart, plot } = drag;
  const [x, y] = spans();
  drag = null;
  leave();
  [[x, plot.x, plot.width], [y, plot.y, plot.height]].forEach(([span, start, length], i) => {
    const name = "xy"[i], channel = plot.main.encoding[name];
    if (!span || !channel || channel.type !== "quantitative") return;
    const scale = chart.view.scale(plot.names[i]), [r0, r1] = scale.range();
    const ends = span.map(v => scale.invert(i === 0
      ? r0 + (v - start) / length * (r1 - r0) : r1 + (v - start) / length * (r0 - r1)));
    setZoom(chart, name, channel, ends.sort((a, b) => a - b));
  });
  if (x || y) redraw();
}
addEventListener("pointermove", event => { if (drag) moveDrag(event); });
addEventListener("pointerup", () => { if (drag) endDrag(); });

function move(chart, event) {
  if (!chart.view || drag) return;
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

const back = document.getElementById("unzoom");
back && back.addEventListener("click", unzoom);

/* What drawing needs to know of a figure: its data, its curves, and what its colours and its y axis mean. */
function described(figure, data = figure.data) {
  const series = Object.values(data).flatMap(data => data.curves ? data.series : [])
    .map(s => ({ ...s, index: REPORT.runs.indexOf(s.series) }));
  const { y, color } = isPanels(figure.chart) ? {} : mainView(figure.chart).encoding;
  return { figure, data, series, byMeasure: Boolean(color) && color.field === "measure", percent: isShare(y) };
}

for (const figure of REPORT.figures) {
  const frame = document.getElementById(figure.id);
  const holder = frame.querySelector(".chart");
  const canvas = document.createElement("div");
  canvas.style.width = "100%";
  const layer = document.createElement("div");
  holder.append(canvas, layer);
  const chart = { ...described(figure), canvas, layer, view: null, zoom: {} };
  charts.push(chart);
  if (chart.series.length) {
    holder.addEventListener("pointermove", event => move(chart, event));
    holder.addEventListener("pointerdown", event => move(chart, event));
    holder.addEventListener("pointerleave", leave);
  }
  if (isPanels(figure.chart) || chart.series.length) {
    holder.classList.add("zoomable");
    holder.addEventListener("pointerdown", event => startDrag(chart, event));
    holder.addEventListener("dblclick", unzoom);
  }
  for (const button of frame.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => save(chart, button.dataset.save));
  }
}

/* New data for the figures of this page, as from a run that is still training; false when they are other figures. */
globalThis.replaceFigures = figures => {
  if (figures.map(f => f.id).join() !== charts.map(chart => chart.figure.id).join()) return false;
  /* Zoomed in, what is drawn stays until there are points of these steps. */
  figures.forEach((figure, i) => Object.assign(charts[i], described(figure, stepZoom ? charts[i].data : figure.data)));
  return redraw().then(() => true);
};

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
const full = document.getElementById("full");
full && full.addEventListener("click", () => {
  whole = !whole;
  full.setAttribute("aria-pressed", String(whole));
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
