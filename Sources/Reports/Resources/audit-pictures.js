// SPDX-License-Identifier: Apache-2.0

/* Elements and numbers as the pages of audits write them. */
globalThis.auditTools = (() => {
"use strict";
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name in element && name !== "role") element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null));
  return element;
}
const integer = n => (n < 10000 ? String(n) : n.toLocaleString("en").replaceAll(",", "\u202f"));
const number = x => x === null ? "\u2013" : String(Number(x.toPrecision(4))).replace("-", "\u2212");
const percent = (share, digits = 0) => (share * 100).toFixed(digits) + "\u00a0%";
return { make, integer, number, percent };
})();

/* Pictures: squares of a sheet, drawn as backgrounds, over a placeholder that shows where a sheet is missing. */
globalThis.auditPictures = (pictures, base, sheets, nameOf) => {
"use strict";
const { make } = auditTools;
const placeOf = new Map(pictures ? pictures.indices.map((index, place) => [index, place]) : []);
const sheetStyle = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheetStyle];
const knownSheets = new Map();

function address(sheet) {
  if (base) return base + String(sheet).padStart(4, "0") + ".png";
  const text = sheets[sheet];
  if (!text) return null;
  const bytes = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
}

function hasSheet(sheet) {
  if (!knownSheets.has(sheet)) {
    const url = address(sheet);
    knownSheets.set(sheet, Boolean(url));
    if (url) sheetStyle.insertRule(`.sheet-${sheet} { background-image: url(${JSON.stringify(url)}); }`);
  }
  return knownSheets.get(sheet);
}

return function picture(index, size, isNamed) {
  const frame = make("div", { className: "pic" });
  frame.style.cssText = `width:${size}px;height:${size}px`;
  if (isNamed) frame.setAttribute("role", "img"), frame.setAttribute("aria-label", "picture of " + nameOf(index));
  frame.append(make("span", { className: "missing", textContent: nameOf(index).split("/").pop() }));
  const place = placeOf.get(index);
  if (place === undefined) return frame;
  const perSheet = pictures.columns * pictures.rows, within = place % perSheet;
  const sheet = Math.floor(place / perSheet);
  if (!hasSheet(sheet)) return frame;
  const shot = make("i", { className: "shot sheet-" + sheet });
  const [column, line] = [within % pictures.columns, Math.floor(within / pictures.columns)];
  shot.style.cssText = `background-size:${pictures.columns * size}px ${pictures.rows * size}px;`
    + `background-position:${-column * size}px ${-line * size}px`;
  frame.append(shot);
  return frame;
};
};
