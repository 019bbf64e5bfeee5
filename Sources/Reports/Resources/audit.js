// SPDX-License-Identifier: Apache-2.0

/* The page of an audit: the threshold, the gallery and the keys to decide with. Text from the audit reaches the page as
   text only. */
(async () => {
"use strict";
const $ = id => document.getElementById(id);
const embedded = id => { const element = $(id); return element ? JSON.parse(element.textContent) : null; };

const { make, integer, number, percent } = auditTools;
const settings = embedded("audit-settings") || {};
let data = embedded("audit-data");
if (!data) {
  try {
    const response = await fetch(settings.data, { credentials: "same-origin" });
    if (!response.ok) throw new Error("status " + response.status);
    data = await response.json();
  } catch (error) {
    $("audit-state").textContent = `The examples could not be loaded (${error.message}). Reload the page to try again.`;
    return;
  }
}
const { rows, classes, scores } = data;
const total = rows.index.length;
const rowOf = new Int32Array(data.count).fill(-1);
rows.index.forEach((index, row) => { rowOf[index] = row; });
const decisions = auditDecisions(data, globalThis.coherentDecisions || settings.decisions || null);
const nameOf = index => (rows.files && rows.files[rowOf[index]]) || "example " + integer(index);

const picture = auditPictures(data.pictures, settings.thumbnails, embedded("audit-sheets") || {}, nameOf);

/* What is shown, in which order. */
let view = [], at = 0, flagged = data.flagged, busy = false;
const past = [];
function apply(keepRow) {
  const given = $("filter-given").value, suggested = $("filter-suggested").value;
  const decided = $("filter-decision").value, scope = $("filter-scope").value, order = $("sort").value;
  const [wantedGiven, wantedSuggested] = [given, suggested].map(value => value === "" ? -1 : Number(value));
  view = [];
  for (let row = 0; row < (scope === "flagged" ? flagged : total); row++) {
    if (wantedGiven >= 0 && rows.given[row] !== wantedGiven) continue;
    if (wantedSuggested >= 0 && rows.suggested[row] !== wantedSuggested) continue;
    if (decided !== "") {
      const { decision } = decisions.get(rows.index[row]);
      if (decided === "decided" ? decision === "undo" : decision !== decided) continue;
    }
    view.push(row);
  }
  if (order === "index") view.sort((a, b) => rows.index[a] - rows.index[b]);
  else if (order !== "rank") {
    const values = rows.scores[Number(order)];
    view.sort((a, b) => (values[b] ?? -Infinity) - (values[a] ?? -Infinity) || a - b);
  }
  if ($("direction").getAttribute("aria-pressed") === "true") view.reverse();
  const same = keepRow === undefined ? -1 : view.indexOf(keepRow);
  at = Math.max(0, Math.min(view.length - 1, same >= 0 ? same : at));
  $("shown").textContent = view.length === total ? `${integer(total)} examples`
    : `${integer(view.length)} of ${integer(total)} examples`;
  layout();
  show(true);
}
/* Goes on where nothing was decided yet. */
const firstOpen = from => view.findIndex((row, position) => position >= from && !decisions.isDecided(rows.index[row]));

/* The list: only the cards in sight are in the page. */
const list = $("list"), canvas = $("canvas");
const gap = 10, least = 122, words = 62;
let columns = 1, size = 100, height = 100;

function layout() {
  const width = list.clientWidth - 2 * gap;
  columns = Math.max(2, Math.floor((width + gap) / (least + gap)));
  size = Math.floor((width - gap * (columns - 1)) / columns) - 14;
  height = size + words + 14 + gap;
  canvas.style.height = Math.ceil(view.length / columns) * height + gap + "px";
}

function badge(index) {
  const { decision, label } = decisions.get(index);
  if (decision === "undo") return null;
  return make("span", { className: "badge " + decision, textContent: decision === "relabel" ? "\u2192 " + label : decision });
}

function card(position) {
  const row = view[position], index = rows.index[row];
  const [given, suggested] = [classes[rows.given[row]], classes[rows.suggested[row]]];
  const state = decisions.get(index).decision;
  const element = make("div", {
    className: "card" + (row < flagged ? " suspect" : "") + (state === "undo" ? "" : " decided"), role: "option",
    id: "card-" + position, "aria-selected": String(position === at), "aria-posinset": position + 1,
    "aria-setsize": view.length, "aria-label": `rank ${row + 1}, ${given}, suggested ${suggested}, suspicion `
      + `${rows.suspicion[row].toFixed(2)}${state === "undo" ? "" : ", decided: " + state}`, title: nameOf(index),
  },
    picture(index, size), badge(index),
    make("p", { className: "place" }, make("span", { textContent: "#" + integer(row + 1) }),
      make("span", { textContent: rows.suspicion[row].toFixed(3) })),
    make("p", { className: "given", textContent: given }),
    make("p", { className: "suggested", textContent: rows.given[row] === rows.suggested[row] ? "no other class" : "\u2192 " + suggested }));
  element.style.cssText = `left:${gap + (position % columns) * (size + 14 + gap)}px;`
    + `top:${gap + Math.floor(position / columns) * height}px;width:${size + 14}px;height:${height - gap}px`;
  element.addEventListener("click", () => { if (!busy) { at = position; show(); } });
  return element;
}

function draw() {
  const first = Math.max(0, Math.floor(list.scrollTop / height) - 1) * columns;
  const last = Math.min(view.length, (Math.ceil((list.scrollTop + list.clientHeight) / height) + 1) * columns);
  const cards = [];
  for (let position = first; position < last; position++) cards.push(card(position));
  canvas.replaceChildren(...cards);
  list.setAttribute("aria-activedescendant", view.length ? "card-" + at : "");
}

function reveal() {
  const top = Math.floor(at / columns) * height;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + height + gap > list.scrollTop + list.clientHeight) list.scrollTop = top + height + gap - list.clientHeight;
}

/* The selected example. */
const sorted = [];
function share(score, value) {
  sorted[score] = sorted[score] || Float64Array.from(rows.scores[score].filter(x => x !== null)).sort();
  let low = 0, high = sorted[score].length;
  while (low < high) { const middle = (low + high) >> 1; if (sorted[score][middle] < value) low = middle + 1; else high = middle; }
  return sorted[score].length > 1 ? low / (sorted[score].length - 1) : 0;
}

function scoreRow(score, row) {
  const value = rows.scores[score][row];
  const part = value === null ? 0 : share(score, value);
  const bar = make("i", { className: "bar" });
  bar.style.setProperty("--part", percent(part, 1).replace("\u00a0", ""));
  return make("tr", { title: scores[score].formula },
    make("th", { scope: "row", textContent: scores[score].title }), make("td", { className: "n", textContent: number(value) }),
    make("td", { "aria-label": value === null ? "undefined" : `more suspect than ${percent(part)}` }, bar),
    make("td", { className: "n quiet", textContent: value === null ? "" : percent(part) }));
}

function thumb(index, label, note, title) {
  const button = make("button", { type: "button", className: "thumb", title, disabled: rowOf[index] < 0 },
    picture(index, 64), make("span", { textContent: label }), make("span", { className: "quiet", textContent: note }));
  button.addEventListener("click", () => goTo(index));
  return button;
}

function strip(title, about, neighbours) {
  if (!neighbours.length) return null;
  return make("div", null, make("h4", { textContent: title }, make("span", { className: "quiet", textContent: " " + about })),
    make("div", { className: "strip" }, ...neighbours.map(([index, label, cosine, dot]) => thumb(
      index, classes[label], "cos " + (cosine === null ? "\u2013" : cosine.toFixed(2).replace("-", "\u2212")),
      `${nameOf(index)}: ⟨gᵢ,gⱼ⟩ = ${number(dot)}`))));
}

function show(isQuiet) {
  reveal();
  draw();
  const has = view.length > 0;
  $("detail").hidden = !has;
  $("nothing").hidden = has;
  progress();
  if (!has) return;
  const row = view[at], index = rows.index[row], state = decisions.get(index);
  const [given, suggested] = [classes[rows.given[row]], classes[rows.suggested[row]]];
  $("shot").replaceChildren(picture(index, $("detail").clientWidth < 300 ? 128 : 168, true));
  $("rank").textContent = `#${integer(row + 1)} of ${integer(total)}`;
  $("suspicion-value").textContent = rows.suspicion[row].toFixed(3) + (row < flagged ? ", flagged" : "");
  $("given").textContent = given;
  $("suggested").textContent = suggested;
  $("name").textContent = rows.files && rows.files[row] ? `${rows.files[row]} (example ${integer(index)})` : nameOf(index);
  const isSame = rows.given[row] === rows.suggested[row];
  $("relabel").title = isSame ? "" : suggested;
  $("to-suggested").textContent = isSame ? "no other class suggested" : "relabel: " + suggested;
  for (const [id, decision] of [["keep", "keep"], ["relabel", "relabel"], ["other", "other"], ["drop", "drop"]]) {
    const isChosen = decision === "other" ? state.decision === "relabel" && state.label !== suggested
      : state.decision === decision && (decision !== "relabel" || state.label === suggested);
    $(id).setAttribute("aria-pressed", String(isChosen));
    $(id).disabled = busy || (id === "relabel" && isSame);
  }
  $("undo").disabled = busy || (past.length === 0 && state.decision === "undo");
  $("decision").textContent = state.decision === "undo" ? "undecided"
    : state.decision === "relabel" ? "relabelled: " + state.label : state.decision === "keep" ? "label kept" : "dropped";
  $("decision").className = "decision " + state.decision;
  $("values").replaceChildren(...scores.map((_, score) => scoreRow(score, row)));
  const near = data.neighbours && data.neighbours.examples[index];
  const strips = near ? [
    strip("Helpers", "their steps lower its loss", near.helpers), strip("Opponents", "their steps raise it", near.opponents),
  ].filter(element => element !== null) : [];
  $("neighbours").replaceChildren(...strips);
  $("neighbours-part").hidden = strips.length === 0;
  if (!isQuiet) say("");
}

function say(text, isProblem) {
  $("status").textContent = text;
  $("status").className = isProblem ? "problem" : "quiet";
}

function progress() {
  const { keep, relabel, drop } = decisions.counts();
  const sum = keep + relabel + drop;
  $("progress").textContent = sum === 0 ? "nothing decided yet"
    : `${integer(sum)} decided: ${integer(keep)} keep, ${integer(relabel)} relabel, ${integer(drop)} drop`;
  $("download").disabled = sum === 0;
}

function move(step) {
  if (busy || !view.length) return;
  at = Math.max(0, Math.min(view.length - 1, at + step));
  show();
}

function goTo(index) {
  if (busy || rowOf[index] < 0) return;
  const row = rowOf[index];
  if (!view.includes(row)) clearFilters();
  at = Math.max(0, view.indexOf(row));
  show();
  $("gallery").scrollIntoView({ block: "start" });
}

function clearFilters() {
  for (const id of ["filter-given", "filter-suggested", "filter-decision"]) $(id).value = "";
  $("filter-scope").value = "all";
  apply();
}

/* Decisions. The next picture comes when the decision is kept. */
async function write(index, decision, label) {
  busy = true;
  if (decisions.isServed) { say("Saving …"); show(true); }
  const outcome = await decisions.decide(index, decision, label);
  busy = false;
  if (outcome.kind === "saved") {
    say(decisions.isKept ? "" : "This browser does not keep decisions: download corrections.csv before you close the page.", true);
    return true;
  }
  if (outcome.kind === "conflict") {
    const theirs = decisions.get(index);
    say(`Another browser has decided meanwhile: ${theirs.decision === "undo" ? "undecided" : theirs.decision}`
      + `${theirs.label ? " to " + theirs.label : ""}. Decide again to replace that.`, true);
  } else {
    say(`Not saved. ${outcome.message} The picture stays; try again.`, true);
  }
  show(true);
  return false;
}

async function decide(decision, label = "") {
  if (busy || !view.length) return;
  const row = view[at], index = rows.index[row];
  if (!await write(index, decision, label)) return;
  if (decision !== "undo") past.push(index);
  const isFiltered = $("filter-decision").value !== "";
  if (!isFiltered && view[at] === row && at < view.length - 1 && decision !== "undo") at += 1;
  const text = $("status").textContent;
  if (isFiltered) apply(); else show(true);
  if (!text) say(`${nameOf(index)}: ${decision}${label ? " to " + label : ""}`);
}

async function undo() {
  if (busy || !view.length) return;
  let index = past.pop();
  while (index !== undefined && !decisions.isDecided(index)) index = past.pop();
  if (index === undefined) index = rows.index[view[at]];
  if (!decisions.isDecided(index)) return say("There is nothing to undo.");
  if (!view.includes(rowOf[index])) clearFilters();
  at = view.indexOf(rowOf[index]);
  if (await write(index, "undo", "")) { show(true); say(`${nameOf(index)}: undecided again`); } else past.push(index);
}

/* Another class than the suggested one. */
const open = auditChooser(classes, name => {
  list.focus({ preventScroll: true });
  decide("relabel", name);
});
const openChooser = () => { if (!busy && view.length) open(rows.given[view[at]]); };

/* Keys. */
const suggestion = () => {
  const row = view[at];
  return row === undefined || rows.given[row] === rows.suggested[row] ? null : classes[rows.suggested[row]];
};
const relabel = () => { const name = suggestion(); if (name === null) openChooser(); else decide("relabel", name); };
const perPage = () => Math.max(1, Math.floor(list.clientHeight / height)) * columns;
const keys = {
  ArrowRight: () => move(1), ArrowLeft: () => move(-1), ArrowDown: () => move(columns), ArrowUp: () => move(-columns),
  j: () => move(1), k: () => move(-1), PageDown: () => move(perPage()), PageUp: () => move(-perPage()),
  Home: () => move(-total), End: () => move(total),
  1: () => decide("keep"), 2: relabel, 3: openChooser, 4: () => decide("drop"), u: undo,
  n: () => {
    const next = firstOpen(at + 1);
    if (next >= 0) move(next - at); else say("Everything from here on is decided.");
  },
};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("chooser").open) return;
  if (event.target.closest("input, select, textarea, summary, .scroll")) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  /* Away from the gallery these keys scroll the page. */
  if (/^(Arrow|Page|Home|End)/.test(name) && !event.target.closest("#gallery") && event.target !== document.body) return;
  const action = keys[name];
  if (!action || (event.repeat && /^[1-4u]$/.test(name))) return;
  event.preventDefault();
  bringIntoSight();
  action();
});
/* What the keys are about is to be seen. */
function bringIntoSight() {
  const { top, bottom } = $("shot").getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) $("gallery").scrollIntoView({ block: "start" });
}
for (const [id, action] of [["keep", keys[1]], ["relabel", relabel], ["other", openChooser], ["drop", keys[4]], ["undo", undo],
  ["previous", keys.k], ["next", keys.j]]) $(id).addEventListener("click", action);

let isDue = false;
auditThreshold(rows.suspicion, data.flagged, data.precision, count => {
  flagged = count;
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => { isDue = false; apply(view[at]); });
});

/* Filters and order. */
for (const id of ["filter-given", "filter-suggested"]) {
  $(id).append(...classes.map((name, label) => make("option", { value: String(label), textContent: name })));
}
$("sort").append(...scores.map((score, place) => make("option", { value: String(place), textContent: score.title })));
for (const id of ["filter-given", "filter-suggested", "filter-decision", "filter-scope", "sort"]) {
  $(id).addEventListener("change", () => { at = 0; list.scrollTop = 0; apply(); });
}
$("direction").addEventListener("click", () => {
  const button = $("direction");
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  at = 0;
  apply();
});
$("clear").addEventListener("click", clearFilters);
for (const button of document.querySelectorAll("[data-given]")) {
  button.addEventListener("click", () => {
    clearFilters();
    $("filter-given").value = button.dataset.given;
    $("filter-suggested").value = button.dataset.suggested;
    at = 0;
    apply();
    $("gallery").scrollIntoView({ block: "start" });
  });
}

/* Conflicting duplicates. */
const groups = $("duplicates");
if (groups) {
  const shownAtFirst = 24;
  const add = from => groups.append(...data.duplicates.slice(from).slice(0, from ? undefined : shownAtFirst).map(group =>
    make("li", null, ...group.indices.map((index, place) =>
      thumb(index, group.labels[place], integer(index), nameOf(index))))));
  add(0);
  const rest = $("more-duplicates");
  rest.hidden = data.duplicates.length <= shownAtFirst;
  rest.addEventListener("click", () => { rest.hidden = true; add(shownAtFirst); });
}

$("download").addEventListener("click", () => {
  const text = decisions.file(index => ({ file: rows.files && rows.files[rowOf[index]], given: classes[rows.given[rowOf[index]]] }));
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: "corrections.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
addEventListener("beforeunload", event => { if (!decisions.isKept || busy) event.preventDefault(); });
list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
new ResizeObserver(() => { layout(); reveal(); draw(); }).observe(list);

const problem = await decisions.load();
decisions.watch(() => apply(view[at]));
$("download").hidden = decisions.isServed;
$("where").textContent = decisions.isServed ? "decisions are saved in corrections.csv" : "decisions are kept in this browser";
$("audit-state").hidden = true;
$("audit").hidden = false;
$("filter-scope").value = flagged > 0 ? "flagged" : "all";
apply();
move(Math.max(0, firstOpen(0)));
if (problem) say(`The decisions could not be loaded. ${problem} Reload the page before you decide.`, true);
document.documentElement.dataset.gallery = "1";
})().catch(error => {
  const state = document.getElementById("audit-state");
  state.hidden = false;
  state.textContent = `The gallery cannot be shown in this browser (${error.message}); the examples are in suspects.csv.`;
});
