// SPDX-License-Identifier: Apache-2.0
// The status page: reads status.json every two seconds. Whatever came from there is shown as text,
// never as markup.
"use strict";

const PERIOD_MS = 2000;
const ANSWER_MS = 4000;
const WINDOW = 31; // samples that rates and latencies are made of: the last minute
const HOUR = 3600;
const DAY = 24 * HOUR;

const $ = (id) => document.getElementById(id);
const samples = []; // {at (ms), status}
const order = { key: "tenant", down: false };
const COUNTERS = {
  connections: "clients accepted", rejected: "clients that were too many",
  protocol_errors: "clients that spoke no RESP", logins: "logins",
  login_failures: "wrong credentials", slow_clients: "clients too slow",
  link_connects: "connections to servers", link_failures: "failed connections to servers",
  link_nonsense: "servers that spoke no RESP", redirects: "redirects of a Cluster",
  key_waits: "values that waited for a key", reloads: "configurations taken over",
  reload_failures: "configurations refused", audit_events: "audit events",
  audit_suppressed: "audit events left out", audit_lost: "audit events lost",
};

let paused = false;
let timer = 0;
let asking = false;
let said = "";

// --- texts

const whole = new Intl.NumberFormat("en");
const number = (n) => whole.format(n);

function rateText(n) {
  return n >= 100 ? number(Math.round(n)) : n.toFixed(n >= 10 ? 1 : 2).replace(/\.?0+$/, "");
}

function percent(part, all) {
  return all > 0 ? `${((100 * part) / all).toFixed(1)} %` : "-";
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit + 1 < units.length; unit++) n /= 1024;
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

function micros(us) {
  if (us < 1000) return `${Math.round(us)} \u00b5s`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e5 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(1)} s`;
}

function span(s) {
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < HOUR) return `${Math.floor(s / 60)} min`;
  if (s < DAY) return `${Math.floor(s / HOUR)} h ${Math.floor((s % HOUR) / 60)} min`;
  return `${Math.floor(s / DAY)} d`;
}

const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

// --- figures

// So long or shorter took the share of all commands; as arili_status_quantile_us().
function quantile(buckets, share) {
  const wanted = share * buckets.reduce((a, b) => a + b, 0);
  let below = 0;
  for (let i = 0; i < buckets.length; i++) {
    if (buckets[i] > 0 && below + buckets[i] >= wanted) {
      const from = i === 0 ? 0 : 2 ** (i - 1);
      return from + ((2 ** i - from) * (wanted - below)) / buckets[i];
    }
    below += buckets[i];
  }
  return 0;
}

const sum = (tenants, name) => tenants.reduce((all, t) => all + t.figures[name], 0);

// Commands per second of each tenant since the oldest sample.
function rates() {
  const first = samples[0];
  const last = samples[samples.length - 1];
  const seconds = (last.at - first.at) / 1000;
  const before = new Map(first.status.tenants.map((t) => [t.tenant, t.figures.commands]));
  return new Map(last.status.tenants.map((t) => {
    const more = t.figures.commands - (before.get(t.tenant) ?? 0);
    return [t.tenant, seconds > 0 ? Math.max(0, more) / seconds : 0];
  }));
}

function latency(status) {
  const now = status.latency.buckets;
  const then = samples[0].status.latency.buckets;
  const lately = now.map((n, i) => n - then[i]);
  const any = lately.some((n) => n > 0);
  return { buckets: any ? lately : now, span: any ? "last minute" : "since the start" };
}

// --- drawing

function cell(row, text, mark, kind = "td") {
  const made = document.createElement(kind);
  if (kind === "th") {
    made.scope = "row";
    made.title = text;
    const name = document.createElement("bdi");
    name.textContent = text;
    made.append(name);
  } else {
    made.textContent = text;
  }
  if (mark) made.className = mark;
  row.append(made);
}

function draw(id, rows, columns, none) {
  const body = document.createElement("tbody");
  for (const cells of rows) {
    const row = document.createElement("tr");
    cells.forEach(([text, mark], i) => cell(row, text, mark, i === 0 ? "th" : "td"));
    body.append(row);
  }
  if (rows.length === 0) {
    const row = document.createElement("tr");
    cell(row, none, "none");
    row.firstChild.colSpan = columns;
    body.append(row);
  }
  $(id).tBodies[0].replaceWith(body);
}

function tenantRow(t, rate, now) {
  const f = t.figures;
  return {
    tenant: t.tenant, clients: t.clients, rate, hits: f.hits, misses: f.misses,
    tampered: f.tampered, hitrate: f.hits + f.misses > 0 ? f.hits / (f.hits + f.misses) : -1,
    age: t.key.created === undefined ? -1 : Math.max(0, now - t.key.created),
    left: t.key.rotate_by === undefined ? Infinity : t.key.rotate_by - now,
    key: t.key.status === "ARIL_OK" ? "" : t.key.text,
  };
}

function drawTenants(status) {
  const rate = rates();
  const rows = status.tenants.map((t) => tenantRow(t, rate.get(t.tenant), status.now));
  rows.sort((a, b) => {
    const x = a[order.key];
    const y = b[order.key];
    const by = x < y ? -1 : x > y ? 1 : 0;
    return (order.down ? -by : by) || (a.tenant < b.tenant ? -1 : 1);
  });
  draw("tenants", rows.map((r) => [
    [r.tenant], [number(r.clients)], [rateText(r.rate)], [percent(r.hits, r.hits + r.misses)],
    [number(r.hits)], [number(r.misses)], [number(r.tampered), r.tampered > 0 ? "bad" : ""],
    [r.age < 0 ? "-" : span(r.age)],
    [r.left === Infinity ? "-" : r.left < 0 ? `${span(-r.left)} overdue` : `in ${span(r.left)}`,
      r.left < 0 ? "bad" : r.left < 7 * DAY ? "warn" : ""],
    [r.key === "" ? "seals" : r.key, r.key === "" ? "good" : "bad"],
  ]), 10, "No tenant yet.");
  const left = status.tenants_in_all - status.tenants.length;
  $("tenants-count").textContent =
    number(status.tenants_in_all) + (left > 0 ? `, ${number(left)} of them not shown` : "");
}

function drawServers(status) {
  draw("servers", status.servers.map((s) => [
    [s.address], [s.state, s.up ? "good" : "bad"], [number(s.links)],
    [number(s.failures), s.failures > 0 && !s.up ? "bad" : ""],
  ]), 4, "No server is known.");
  const up = status.servers.filter((s) => s.up).length;
  $("servers-count").textContent = `${number(up)} of ${number(status.servers_in_all)} up`;
}

function drawCounters(status) {
  $("counters").replaceChildren(...Object.entries(status.figures).map(([name, value]) => {
    const pair = document.createElement("div");
    const term = document.createElement("dt");
    const data = document.createElement("dd");
    term.textContent = COUNTERS[name] ?? name.replaceAll("_", " ");
    data.textContent = number(value);
    pair.append(term, data);
    return pair;
  }));
}

function drawCards(status) {
  const hits = sum(status.tenants, "hits");
  const tampered = sum(status.tenants, "tampered");
  const { buckets, span: text } = latency(status);
  $("clients").textContent = number(status.clients);
  $("rate").textContent = rateText([...rates().values()].reduce((a, b) => a + b, 0));
  $("hitrate").textContent = percent(hits, hits + sum(status.tenants, "misses"));
  $("tampered").textContent = number(tampered);
  $("tampered-card").classList.toggle("bad", tampered > 0);
  $("memory").textContent = bytes(status.memory.used);
  $("memory-max").textContent = `of ${bytes(status.memory.max)}`;
  $("memory-meter").value = status.memory.max > 0 ? status.memory.used / status.memory.max : 0;
  $("latency-span").textContent = text;
  $("p50").textContent = micros(quantile(buckets, 0.5));
  $("p99").textContent = micros(quantile(buckets, 0.99));
  $("p999").textContent = micros(quantile(buckets, 0.999));
}

// What people and screen readers are told; only changes are announced.
function tell(state, word, trouble) {
  const text = trouble === "" ? `arild: ${word}` : trouble;
  $("state").textContent = word;
  $("state").dataset.state = state;
  $("trouble").hidden = trouble === "";
  $("trouble").dataset.state = state;
  $("trouble").textContent = trouble;
  document.title = `${state === "ready" ? "" : "! "}arild: ${word}`;
  if (text !== said) {
    said = text;
    $("announce").textContent = text;
  }
}

function show(status) {
  const last = samples[samples.length - 1];
  if (last && status.started !== last.status.started) samples.length = 0; // it began anew
  samples.push({ at: Date.now(), status });
  if (samples.length > WINDOW) samples.shift();
  $("version").textContent = status.version;
  $("uptime").textContent = `up ${span(Math.max(0, status.now - status.started))}`;
  $("at").textContent = `as of ${clock(Date.now())}`;
  $("main").classList.remove("old");
  drawCards(status);
  drawTenants(status);
  drawServers(status);
  drawCounters(status);
  if (status.state === "ready") tell("ready", "ready", "");
  else tell("not ready", "not ready", `Clients cannot be served: ${status.reason}`);
}

function showGone() {
  const last = samples[samples.length - 1];
  $("main").classList.add("old");
  tell("gone", "no answer",
    `arild does not answer. ${last ? `What is shown is of ${clock(last.at)}. ` : ""}` +
    "It is tried again every two seconds.");
}

// --- time

async function ask() {
  clearTimeout(timer);
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch("status.json", {
      cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const status = await answer.json();
    if (status.schema !== 1) throw new Error("another schema");
    show(status);
  } catch {
    showGone();
  }
  asking = false;
  if (!paused && !document.hidden) timer = setTimeout(ask, PERIOD_MS);
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  if (paused) clearTimeout(timer);
  else ask();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused) ask();
});

for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    const key = button.dataset.sort;
    order.down = order.key === key ? !order.down : key !== "tenant";
    order.key = key;
    for (const other of document.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    button.parentElement.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    if (samples.length > 0) drawTenants(samples[samples.length - 1].status);
  });
}

ask();
