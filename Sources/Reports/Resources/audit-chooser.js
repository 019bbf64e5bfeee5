// SPDX-License-Identifier: Apache-2.0

/* The chooser of a class, among a thousand if need be: type a part of its name. Gives the function that opens it for an
   example of a class, which is not offered. */
globalThis.auditChooser = (classes, onChoice) => {
"use strict";
const $ = id => document.getElementById(id);
const { make } = auditTools;
const chooser = $("chooser"), wanted = $("wanted");
let offered = [], choice = 0, own = -1;
function offer() {
  const text = wanted.value.trim().toLowerCase();
  offered = classes.map((name, label) => ({ name, label }))
    .filter(({ name, label }) => label !== own && name.toLowerCase().includes(text))
    .sort((a, b) => Number(b.name.toLowerCase().startsWith(text)) - Number(a.name.toLowerCase().startsWith(text)) || a.label - b.label)
    .slice(0, 100);
  choice = 0;
  $("offered").replaceChildren(...offered.map(({ name }, place) => {
    const option = make("li", { role: "option", id: "offer-" + place, textContent: name });
    option.addEventListener("click", () => choose(place));
    return option;
  }));
  mark();
}
function mark() {
  [...$("offered").children].forEach((option, place) => option.setAttribute("aria-selected", String(place === choice)));
  wanted.setAttribute("aria-activedescendant", offered.length ? "offer-" + choice : "");
  if (offered.length) $("offer-" + choice).scrollIntoView({ block: "nearest" });
  $("no-offer").hidden = offered.length > 0;
}
function choose(place) {
  if (!offered[place]) return;
  chooser.close();
  onChoice(offered[place].name);
}
wanted.addEventListener("input", offer);
wanted.addEventListener("keydown", event => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) { event.preventDefault(); choice = Math.max(0, Math.min(offered.length - 1, choice + step)); mark(); }
  if (event.key === "Enter") { event.preventDefault(); choose(choice); }
});
$("chooser-close").addEventListener("click", () => chooser.close());
return given => {
  own = given;
  wanted.value = "";
  chooser.showModal();
  offer();
  wanted.focus();
};
};
