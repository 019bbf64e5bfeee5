// SPDX-License-Identifier: Apache-2.0

/* The threshold on the histogram of the suspicion: how many examples are flagged, and how many of them are expected to
   be wrong. Says by `onFlag` when their number changes. */
globalThis.auditThreshold = (suspicion, usual, precisions, onFlag) => {
"use strict";
const $ = id => document.getElementById(id);
const { integer, percent } = auditTools;
const total = suspicion.length;
const ordered = Float64Array.from(suspicion).sort();
const above = threshold => {
  let low = 0, high = total;
  while (low < high) { const middle = (low + high) >> 1; if (ordered[middle] < threshold) low = middle + 1; else high = middle; }
  return total - low;
};
const thresholdOf = count => count === 0 ? 1.001 : ordered[total - count];

const bins = 64, counted = new Array(bins).fill(0);
for (const value of suspicion) counted[Math.min(bins - 1, Math.floor(value * bins))] += 1;
const top = Math.log10(1 + Math.max(...counted));
$("bars").setAttribute("d", counted.map((count, bin) => {
  const y = 100 - 100 * Math.log10(1 + count) / top;
  return count ? `M${bin * 10 + 0.6} 100V${y.toFixed(2)}H${bin * 10 + 9.4}V100Z` : "";
}).join(""));
$("flagged-bars").setAttribute("d", $("bars").getAttribute("d"));
$("most").textContent = integer(Math.max(...counted));

function expectedErrors(count) {
  let from = [0, 0];
  for (const [k, precision] of precisions) {
    const to = [k, k * precision];
    if (count <= k) return from[1] + (to[1] - from[1]) * (count - from[0]) / Math.max(1, k - from[0]);
    from = to;
  }
  return null;
}

function tell(flagged, threshold) {
  for (const [id, attribute] of [["clip", "x"], ["cut", "x1"], ["cut", "x2"]]) {
    $(id).setAttribute(attribute, String(threshold * 640));
  }
  $("count").value = flagged;
  $("threshold").setAttribute("aria-valuetext", `${threshold.toFixed(3)}, ${flagged} flagged`);
  $("threshold-value").textContent = Math.min(1, threshold).toFixed(3);
  const errors = flagged > 0 ? expectedErrors(flagged) : null;
  $("precision").textContent = errors === null ? "\u2013" : percent(errors / flagged);
  $("precision-note").textContent = errors === null ? "" : `about ${integer(Math.round(errors))} of them wrong`;
}

/* By number: the handle goes to the last that is flagged. */
function flag(count) {
  const flagged = Math.max(0, Math.min(total, count));
  const threshold = Math.min(1, thresholdOf(flagged));
  $("threshold").value = threshold;
  tell(flagged, threshold);
  return flagged;
}
$("threshold").addEventListener("input", event => {
  const threshold = Number(event.target.value), flagged = above(threshold);
  tell(flagged, threshold);
  onFlag(flagged);
});
$("count").addEventListener("change", event => {
  const count = Math.round(Number(event.target.value));
  onFlag(flag(Number.isFinite(count) ? count : usual));
});
$("reset-threshold").addEventListener("click", () => onFlag(flag(usual)));
flag(usual);
};
