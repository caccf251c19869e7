// @ts-check
/** Memory and servers over hours to months, as the store kept them through restarts of the console. */

import { now } from "../../page/clock.js";
import { el, fill } from "../../page/dom.js";
import { get, sentences } from "../../page/request.js";
import { locale, t } from "../../page/texts.js";
import { chart, COLOURS } from "./plot.js";

/** @import { HistoryReply, HistoryValue, Series } from "./types.d.ts" */

const DAY = 86400;
const WINDOWS = [3600, 6 * 3600, DAY, 7 * DAY, 30 * DAY, 90 * DAY];
const FIGURES = /** @type {const} */ (["memory", "kv", "speed", "ttft", "requests", "power"]);
/** @typedef {(typeof FIGURES)[number]} Figure */
const SCALE = /** @type {Record<string, number>} */ ({ memory: 2 ** 30, kv: 10 }); // bytes → GiB, ‰ → %
const PLACE = /** @type {Record<string, number>} */ ({ kv: 0, requests: 1, speed: 3, ttft: 4 });

/**
 * The lines of a figure; where a row is missing (the console was off), the line is interrupted. Pure.
 *
 * @param {HistoryReply} history
 * @param {Figure} figure
 * @returns {Series[]}
 */
export function seriesOf({ step, rows }, figure) {
  /** @type {Map<string, Series>} */
  const found = new Map();
  /** @type {Map<string, string>} */
  const names = new Map();
  let before = 0;
  for (const [at, value] of rows) {
    if (before && at - before > step * 2.5) for (const one of found.values()) one.points.push([before + step, null]);
    before = at;
    for (const [id, name] of Object.entries(value.names)) names.set(id, name);
    for (const [id, y] of valuesOf(value, figure)) {
      const one = found.get(id) ?? { name: id, points: [] };
      one.points.push([at, y]);
      found.set(id, one);
    }
  }
  return [...found].map(([id, one]) => ({ ...one, name: names.get(id) ?? one.name }));
}

/** @param {HistoryValue} value @param {Figure} figure @returns {[string, number | null][]} */
function valuesOf(value, figure) {
  if (figure === "memory") {
    const gpus = Object.entries(value.gpus).map(
      ([id, [used]]) => /** @type {[string, number]} */ ([`GPU ${id}`, used]),
    );
    return [
      ...(gpus.length ? gpus : [/** @type {[string, number]} */ ([t("lab.history.host"), value.host])]),
      ...Object.entries(value.shares),
    ];
  }
  if (figure === "power") return Object.entries(value.gpus).map(([id, [, watts]]) => [`GPU ${id}`, watts]);
  return Object.entries(value.servers).map(([id, figures]) => [id, figures[PLACE[figure]]]);
}

/** @param {Series[]} series @param {number} by */
const scaled = (series, by) =>
  series.map((one) => ({
    ...one,
    points: one.points.map(([x, y]) => /** @type {[number, number | null]} */ ([x, y === null ? null : y / by])),
  }));

export function historyPanel() {
  const place = el("div", { class: "lab-picture", id: "lab-history-chart" });
  let figure = /** @type {Figure} */ ("memory");
  let seconds = 3600;
  let turn = 0; // an answer that another choice has overtaken is dropped

  async function draw() {
    const mine = (turn += 1);
    try {
      const history = /** @type {HistoryReply} */ (await get(`lab/history?window=${seconds}`));
      if (mine !== turn) return;
      const series = scaled(seriesOf(history, figure), SCALE[figure] ?? 1);
      if (!series.some((one) => one.points.length > 1)) {
        fill(place, el("p", { class: "lab-hint" }, t("lab.history.none")));
        return;
      }
      const end = now();
      fill(
        place,
        chart(series, {
          x: { name: t("lab.history.time"), format: clock, from: end - seconds, to: end },
          y: { name: t(`lab.history.${figure}`), from: 0 },
          label: t("lab.history.title"),
        }),
        el(
          "ul",
          { class: "lab-legend" },
          series.map((one, index) => el("li", {}, swatch(index), one.name)),
        ),
      );
    } catch (error) {
      if (mine !== turn) return;
      fill(place, el("p", { class: "lab-problem", role: "alert" }, sentences(error).join(" ")));
    }
  }

  /** @param {number} at */
  const clock = (at) => {
    const look = /** @type {Intl.DateTimeFormatOptions} */ (
      seconds > 2 * DAY ? { month: "numeric", day: "numeric" } : { hour: "2-digit", minute: "2-digit" }
    );
    return new Date(at * 1000).toLocaleString(locale, look);
  };
  /** @param {string} label @param {[string, string][]} values @param {(value: string) => void} take */
  const pick = (label, values, take) => {
    const select = el("select", { class: "lab-input", onchange: () => (take(select.value), draw()) });
    fill(
      select,
      values.map(([value, name]) => el("option", { value }, name)),
    );
    return el("label", { class: "lab-pick" }, label, select);
  };
  const details = el(
    "details",
    { class: "lab-menu wide", id: "lab-history", ontoggle: () => details.open && draw() },
    el("summary", {}, t("lab.history.title")),
    el(
      "div",
      { class: "lab-actions" },
      pick(
        t("lab.history.figure"),
        FIGURES.map((name) => [name, t(`lab.history.${name}`)]),
        (value) => {
          figure = /** @type {Figure} */ (value);
        },
      ),
      pick(
        t("lab.history.window"),
        WINDOWS.map((name) => [String(name), t(`lab.history.window.${name}`)]),
        (value) => {
          seconds = Number(value);
        },
      ),
    ),
    place,
  );
  return details;
}

/** @param {number} index */
const swatch = (index) => el("span", { class: "lab-swatch", style: { background: COLOURS[index % COLOURS.length] } });
