// SPDX-License-Identifier: Apache-2.0

/* What the dashboard's pages do beside drawing: sort, filter and refresh the table of runs, and follow a run. */
(() => {
"use strict";

/* Times are written in the reader's own zone. */
const form = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
const thisYear = new Intl.DateTimeFormat("en-GB", form);
const otherYear = new Intl.DateTimeFormat("en-GB", { ...form, year: "numeric" });
function localTimes(inside) {
  for (const time of inside.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = date.toString();
    time.textContent = (date.getFullYear() === new Date().getFullYear() ? thisYear : otherYear).format(date);
  }
}
localTimes(document);

/* The table of runs. What is chosen stays in the address, so that it is there after going back. */
function runs(table) {
  const body = table.tBodies[0], heads = [...table.querySelectorAll("thead th")];
  const filter = document.getElementById("filter"), shown = document.getElementById("shown");
  const compare = document.getElementById("compare");
  const chips = [...document.querySelectorAll("[data-status]")];
  const address = new URLSearchParams(location.hash.slice(1));
  let sort = address.has("sort") ? { column: Number(address.get("sort")), up: address.get("up") === "1" } : null;
  const chosen = new Set((address.get("status") || "").split(",").filter(Boolean));
  filter.value = address.get("filter") || "";
  let picked = new Set((address.get("pick") || "").split(",").filter(Boolean));

  function remember() {
    const state = new URLSearchParams();
    if (sort) { state.set("sort", sort.column); state.set("up", sort.up ? "1" : "0"); }
    if (filter.value) state.set("filter", filter.value);
    if (chosen.size) state.set("status", [...chosen].join());
    if (picked.size) state.set("pick", [...picked].join());
    history.replaceState(null, "", location.pathname + location.search + (state.size ? "#" + state : ""));
  }

  const value = cell => cell.dataset.v ?? cell.textContent;
  function ordered(rows) {
    if (!sort) return rows;
    const cells = rows.map(row => [row, row.cells[sort.column] ? value(row.cells[sort.column]) : ""]);
    const isNumber = heads[sort.column].classList.contains("n");
    const compared = isNumber ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b, undefined, { numeric: true });
    /* What has no value comes last, whichever way. */
    return cells.sort(([, a], [, b]) =>
      (a === "") - (b === "") || (sort.up ? 1 : -1) * compared(a, b)).map(([row]) => row);
  }

  function update() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    const rows = ordered([...body.rows]);
    for (const row of rows) {
      const text = (row.dataset.text ??= row.textContent.toLowerCase());
      const status = row.cells[2] ? value(row.cells[2]) : "";
      row.hidden = !(words.every(word => text.includes(word)) && (!chosen.size || chosen.has(status)));
      if (!row.hidden) count += 1;
      const box = row.querySelector("input[name=run]");
      if (box) box.checked = picked.has(box.value);
    }
    if (sort) body.append(...rows);
    heads.forEach((head, i) => sort && sort.column === i
      ? head.setAttribute("aria-sort", sort.up ? "ascending" : "descending") : head.removeAttribute("aria-sort"));
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chosen.has(chip.dataset.status)));
    shown.textContent = count === rows.length ? "" : `${count} of ${rows.length}`;
    compare.disabled = picked.size < 2;
    compare.textContent = picked.size ? `Compare ${picked.size}` : "Compare";
    remember();
  }

  heads.forEach((head, i) => {
    const button = head.querySelector("[data-sort]");
    button && button.addEventListener("click", () => {
      const first = !head.classList.contains("n");
      sort = sort && sort.column === i ? (sort.up === first ? { column: i, up: !first } : null) : { column: i, up: first };
      if (!sort) body.append(...original());
      update();
    });
  });
  const places = new Map();
  const number = () => [...body.rows].forEach((row, i) => places.set(row, i));
  const original = () => [...body.rows].sort((a, b) => places.get(a) - places.get(b));
  number();

  filter.addEventListener("input", update);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chosen.delete(chip.dataset.status) || chosen.add(chip.dataset.status);
      update();
    });
  }
  body.addEventListener("change", event => {
    if (event.target.name !== "run") return;
    event.target.checked ? picked.add(event.target.value) : picked.delete(event.target.value);
    update();
  });
  /* Runs that were picked and then filtered away are compared too. */
  table.closest("form").addEventListener("submit", event => {
    event.preventDefault();
    location.assign("/compare?" + [...picked].map(id => "run=" + encodeURIComponent(id)).join("&"));
  });
  addEventListener("keydown", event => {
    if (event.key !== "/" || event.target.matches("input, textarea")) return;
    event.preventDefault();
    filter.focus();
  });

  let tag = `"${table.dataset.tag}"`;
  async function refresh() {
    if (document.hidden) return;
    try {
      const answer = await fetch(table.dataset.refresh, { headers: { "If-None-Match": tag }, cache: "no-store" });
      if (answer.status !== 200) return;
      tag = answer.headers.get("ETag");
      const html = await answer.text();
      const fresh = document.createElement("tbody");
      fresh.innerHTML = html;
      localTimes(fresh);
      places.clear();
      body.replaceChildren(...fresh.rows);
      number();
      update();
    } catch { /* the server is gone for now */ }
  }
  update();
  setInterval(refresh, 5000);
}
const table = document.getElementById("runs");
if (table) runs(table);

/* Curves come thinned to what the screen shows; the server has all points of the steps that a reader zooms to. */
const seen = document.querySelector("[data-figures]");
let asked = 0;
async function refine() {
  const ends = globalThis.zoomedSteps(), turn = asked += 1;
  if (!ends) return;
  const address = new URL(seen.dataset.figures, location.href);
  address.searchParams.set("from", ends[0]);
  address.searchParams.set("to", ends[1]);
  try {
    const answer = await fetch(address, { cache: "no-store" });
    if (!answer.ok) return;
    const report = await answer.json();
    if (turn !== asked) return;
    await globalThis.refineFigures(report.figures);
    document.documentElement.dataset.refined = ends.join();
  } catch { /* the server is gone for now: what was thinned stays */ }
}
if (seen) document.addEventListener("zoomedsteps", refine);

/* A run that is going on: its numbers and curves as they come. A hidden page asks for nothing. */
function follow(live) {
  let source = null, drawn = document.getElementById("report").textContent;
  const close = () => { source && source.close(); source = null; };
  function open() {
    if (source || document.hidden) return;
    source = new EventSource(live.dataset.live);
    source.addEventListener("facts", event => { live.innerHTML = event.data; });
    source.addEventListener("figures", async event => {
      if (event.data === drawn) return;
      drawn = event.data;
      const report = JSON.parse(event.data);
      for (const shade of report.shades) {
        if (!REPORT.shades.some(known => known[0] === shade[0])) REPORT.shades.push(shade);
      }
      if (await globalThis.replaceFigures(report.figures) === false) location.reload();
      refine();
      document.documentElement.dataset.updates = Number(document.documentElement.dataset.updates || 0) + 1;
    });
    source.addEventListener("end", () => { close(); location.reload(); });
  }
  document.addEventListener("visibilitychange", () => document.hidden ? close() : open());
  addEventListener("pagehide", close);
  open();
}
const live = document.getElementById("live");
if (live && live.dataset.live) follow(live);

/* A menu closes where the reader goes on elsewhere. */
addEventListener("click", event => {
  for (const menu of document.querySelectorAll("details.files[open]")) if (!menu.contains(event.target)) menu.open = false;
});
})();
