// SPDX-License-Identifier: Apache-2.0

/* The decisions about labels. Without a server they live in this browser, keyed by the audit, and are saved as a file;
   with one they are in its corrections.csv, and one counts when the server has said that it is on the disk. */
globalThis.auditDecisions = (data, server) => {
"use strict";
const key = "coherent-audit " + data.key;
const states = new Map();
let isKept = true;

const none = { decision: "undo", label: "", revision: 0 };
const get = index => states.get(index) || none;
const isDecided = index => get(index).decision !== "undo";

function take(decisions) {
  states.clear();
  for (const [index, state] of Object.entries(decisions)) states.set(Number(index), state);
}

/* In this browser. Another tab may have decided meanwhile: only the one entry is replaced. */
function stored() {
  try { return JSON.parse(localStorage.getItem(key) || "{}"); } catch { return {}; }
}

function recall() {
  take(data.decisions);
  for (const [index, [decision, label, time]] of Object.entries(stored())) {
    states.set(Number(index), { decision, label, time, revision: 0 });
  }
}

function keep(index, decision, label) {
  const state = { decision, label, time: new Date().toISOString().replace(/\.\d+/, ""), revision: 0 };
  states.set(index, state);
  try {
    const all = stored();
    all[index] = [decision, label, state.time];
    localStorage.setItem(key, JSON.stringify(all));
  } catch { isKept = false; }
  return { kind: "saved" };
}

/* On the server. */
const headers = () => ({
  "Content-Type": "application/json", ...(server.token ? { Authorization: "Bearer " + server.token } : {}),
});

async function ask(options) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), 20000);
  try {
    const response = await fetch(server.url, {
      ...options, headers: headers(), credentials: "same-origin", cache: "no-store", signal: control.signal,
    });
    let answer = null;
    try { answer = await response.json(); } catch { /* said by its status alone */ }
    return { status: response.status, answer };
  } catch (error) {
    return { status: 0, answer: { error: control.signal.aborted ? "The server does not answer." : "The server cannot be reached." } };
  } finally { clearTimeout(timer); }
}

const reason = ({ status, answer }) => (answer && answer.error) || (status === 401 || status === 403
  ? "The server does not know this page any more; open the address that it printed when it started."
  : `The server answered with status ${status}.`);

async function load() {
  if (!server) { recall(); return null; }
  const reply = await ask({ method: "GET" });
  if (reply.status !== 200 || !reply.answer || !reply.answer.decisions) return reason(reply);
  take(reply.answer.decisions);
  return null;
}

async function send(index, decision, label) {
  const reply = await ask({
    method: "POST", body: JSON.stringify({ index, decision, label, previous: get(index).revision }),
  });
  if (reply.status === 200 && reply.answer && reply.answer.revision) {
    states.set(index, { decision, label, revision: reply.answer.revision });
    return { kind: "saved" };
  }
  if (reply.status === 409 && reply.answer && "revision" in reply.answer) {
    const { decision: theirs, label: name, revision } = reply.answer;
    states.set(index, { decision: theirs || "undo", label: name || "", revision });
    /* An answer that was lost on the way: it was this decision. */
    return theirs === decision && (name || "") === label ? { kind: "saved" } : { kind: "conflict" };
  }
  return { kind: "failed", message: reason(reply) };
}

/* The file, as coherent reads it; no cell is a formula of a spreadsheet. */
const isNumber = text => text.trim() === text && text !== "" && !Number.isNaN(Number(text));
const guarded = text => (/^[=+\-@\t\r]|^'[=+\-@\t\r']/.test(text) && !isNumber(text) ? "'" + text : text);
const quoted = text => (/[",\r\n]/.test(text) ? '"' + text.replace(/\r\n|[\r\n]/g, " ").replaceAll('"', '""') + '"' : text);
const cell = text => quoted(guarded(String(text)));
function file(exampleOf) {
  const lines = ["index,file,given,decision,label,time"];
  for (const [index, { decision, label, time }] of [...states].sort((a, b) => a[0] - b[0])) {
    if (decision === "undo") continue;
    const example = exampleOf(index);
    lines.push([String(index), example.file || "", example.given, decision, label, time || ""].map(cell).join(","));
  }
  return lines.join("\n") + "\n";
}

function counts() {
  const counted = { keep: 0, relabel: 0, drop: 0 };
  for (const { decision } of states.values()) if (decision in counted) counted[decision] += 1;
  return counted;
}

return {
  isServed: Boolean(server), get, isDecided, load, counts, file,
  get isKept() { return isKept; },
  decide: async (index, decision, label) => server ? send(index, decision, label) : keep(index, decision, label),
  /* Calls back when another tab has decided. */
  watch(change) {
    if (server) {
      document.addEventListener("visibilitychange", async () => {
        if (document.visibilityState === "visible" && !await load()) change();
      });
    } else {
      addEventListener("storage", event => { if (event.key === key) { recall(); change(); } });
    }
  },
};
};
