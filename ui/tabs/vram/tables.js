// @ts-check
/** The figures beside the chart: cards and servers now, what happened, and the plans held against what was measured. */

import { el, fill } from "../../page/dom.js";
import { gib, number } from "../../page/format.js";
import { t } from "../../page/texts.js";
import { clockTime } from "./chart.js";
import { holders, onGpus } from "./rows.js";

/** @import { EventsReply, Reconciled, View } from "./types.d.ts" */
/** @import { Row } from "./rows.js" */
/** @typedef {string | number} Cell */

const MIB = 2 ** 20;
const NOTHING = "–";

/** @param {number | null | undefined} mib */
const ofMib = (mib) => gib(mib === null || mib === undefined ? null : mib * MIB);
/** @param {number | null | undefined} figure @param {string} sign */
const unit = (figure, sign) => (figure === null || figure === undefined ? NOTHING : `${number(figure)} ${sign}`);

/** @param {string[]} names */
const head = (names) =>
  el(
    "thead",
    {},
    el(
      "tr",
      {},
      names.map((name, index) => el("th", { scope: "col", class: index ? "number" : null }, name)),
    ),
  );

/** @param {Node | string} name @param {Cell[]} cells @param {Record<string, unknown>} dataset */
const line = (name, cells, dataset) =>
  el(
    "tr",
    { dataset },
    el("th", { scope: "row" }, name),
    cells.map((cell) => el("td", { class: "number" }, cell)),
  );

/** @param {string} look @param {HTMLElement} columns @param {(HTMLElement | null)[]} rows */
const table = (look, columns, rows) =>
  el("div", { class: "table-scroll" }, el("table", { class: `table ${look}` }, columns, el("tbody", {}, rows)));

/** @param {string} key */
const column = (key) => t(`vram.table.${key}`);

/** Cards and servers as they are now. @param {HTMLElement} place @param {View} view */
export function drawTable(place, view) {
  const { newest } = view;
  if (!newest) return;
  const found = holders(newest).map((owner) => holderLine(view, newest, owner));
  const onGpu = view.gpus.length ? ["gpu-memory"] : [];
  const columns = ["server", ...onGpu, "machine-memory", "cache", "running", "waiting", "speed"];
  const cards = ["what", "used", "free", "total", "utilization", "power", "temperature"];
  settleAll(place, [
    el("h3", {}, t("vram.table.title")),
    table("vram-cards", head(cards.map(column)), [...cardLines(view, newest), machineLine(view, newest)]),
    found.length
      ? table("vram-servers", head(columns.map(column)), found)
      : el("div", { class: "empty" }, t("vram.table.none")),
  ]);
}

/** @param {View} view @param {Row} newest */
function cardLines({ gpus }, newest) {
  return gpus.map(({ id, name, total, problem }, place) => {
    const { used = null, utilization, watts, celsius } = newest.gpus[place] ?? {};
    const free = used === null || total === null ? null : total / MIB - used;
    const title = `GPU ${id} · ${name}${problem ? ` · ${problem}` : ""}`;
    const cells = [ofMib(used), ofMib(free), gib(total), unit(utilization, "%"), unit(watts, "W"), unit(celsius, "°C")];
    return line(el("span", { title: problem || null }, title), cells, { gpu: id, usedMib: used ?? "" });
  });
}

/** @param {View} view @param {Row} newest */
function machineLine({ machine }, newest) {
  const used = newest.machine;
  const free = machine === null ? null : machine / MIB - used;
  const cells = [ofMib(used), ofMib(free), gib(machine), NOTHING, NOTHING, NOTHING];
  return line(t("vram.machine.row"), cells, { machine: "host", usedMib: used });
}

/** @param {View} view @param {Row} newest @param {number} owner */
function holderLine({ gpus, owners }, newest, owner) {
  const known = owners[owner];
  const gpuMemory = onGpus(newest, owner);
  const resident = newest.resident.get(owner) ?? 0;
  const cache = newest.caches.get(owner);
  const name = el(
    "span",
    { class: "vram-owner" },
    el("i", { style: { background: known?.color ?? "gray" } }),
    known?.name ?? String(owner),
    el("small", { class: "muted" }, t(`vram.table.${known?.kind ?? "server"}`)),
  );
  const speed = cache?.speed;
  const cells = [
    ...(gpus.length ? [ofMib(gpuMemory)] : []),
    ofMib(resident),
    cache ? `${number(cache.usage * 100)} %` : NOTHING,
    cache ? cache.running : NOTHING,
    cache ? cache.waiting : NOTHING,
    number(speed, (speed ?? 0) < 10 ? 1 : 0),
  ];
  return line(name, cells, { owner: known?.id ?? owner, usedMib: gpus.length ? gpuMemory : resident });
}

/** What happened, the newest first. @param {HTMLElement} place @param {EventsReply} reply @param {number} offset */
export function drawEvents(place, { events, e: ever }, offset) {
  const list = [...events]
    .reverse()
    .map((event) =>
      el(
        "li",
        { dataset: { key: event.key } },
        el("time", { class: "muted" }, clockTime(event, offset)),
        el("span", {}, event.text),
        el("strong", {}, event.name),
      ),
    );
  fill(
    place,
    el("h3", {}, t("vram.events.title")),
    list.length
      ? el("ol", { class: "vram-events-list" }, list)
      : el("div", { class: "empty" }, t(ever > 0 ? "vram.events.none-shown" : "vram.events.none")),
  );
}

/** Each plan held against what was measured. @param {HTMLElement} place @param {EventsReply} reply */
export function drawReconciled(place, { reconciled }) {
  const cards = reconciled.map(reconciledCard);
  fill(
    place,
    el("h3", {}, t("vram.reconciled.title")),
    cards.length
      ? [
          el("div", { class: "vram-reconciled-cards" }, cards),
          el("p", { class: "muted" }, t("vram.reconciled.learned")),
        ]
      : el("div", { class: "empty" }, t("vram.reconciled.none")),
  );
}

/** @param {Reconciled} entry */
function reconciledCard({ server, name, settings, gpu, parts, tokens, how }) {
  const rows = parts.map(({ part, label, planned, measured }) =>
    line(label, [gib(planned), gib(measured), difference(measured - planned)], { part, planned, measured }),
  );
  const { planned, measured } = tokens;
  const counted =
    measured === null
      ? null
      : line(t("vram.reconciled.tokens"), [number(planned), number(measured), number(measured - planned)], {
          part: "tokens",
          planned,
          measured,
        });
  const columns = ["part", "planned", "measured", "difference"].map((key) => t(`vram.reconciled.${key}`));
  return el(
    "div",
    { class: "card vram-reconciled-card", dataset: { server } },
    el("div", { class: "row" }, el("strong", {}, name), el("span", { class: "muted" }, `${settings} · ${gpu}`)),
    table("", head(columns), [...rows, counted]),
    el("p", { class: "muted" }, how),
  );
}

/** @param {number} bytes */
function difference(bytes) {
  const sign = bytes > 0 ? "+" : bytes < 0 ? "−" : "";
  return `${sign}${gib(Math.abs(bytes))}`;
}

/**
 * Replaces only what differs, so that a selection or a screen reader's place isn't lost every second.
 *
 * @param {Element} place
 * @param {Element[]} children
 */
function settleAll(place, children) {
  if (place.childElementCount !== children.length) place.replaceChildren(...children);
  else children.forEach((child, index) => settle(place.children[index], child));
}

/** @param {Element} old @param {Element} fresh */
function settle(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const same = old.tagName === fresh.tagName && old.childNodes.length === fresh.childNodes.length;
  const leaf = [...old.childNodes, ...fresh.childNodes].some((node) => node.nodeType === Node.TEXT_NODE);
  if (!same || leaf || old.childNodes.length === 0) {
    old.replaceWith(fresh);
    return;
  }
  for (const { name, value } of fresh.attributes) old.setAttribute(name, value);
  const parts = [...fresh.children];
  [...old.children].forEach((child, index) => settle(child, parts[index]));
}
