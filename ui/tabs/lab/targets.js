// @ts-check
/** What is measured: servers that run, and rows of Runs whose settings are started for it one after another. */

import { el, fill } from "../../page/dom.js";
import { onSnapshot } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";

/** @import { Server } from "../../page/types.d.ts" */
/** @import { RunRow } from "./types.d.ts" */

/** Rows whose settings are to be measured: chosen among the runs, taken by the forms that measure. */
export const settingsToMeasure = {
  /** @type {RunRow[]} */
  rows: [],
  /** @type {Set<() => void>} */
  listeners: new Set(),
  /** @param {RunRow[]} rows */
  set(rows) {
    this.rows = rows;
    for (const changed of this.listeners) changed();
  },
  /** @param {RunRow[]} rows */
  add(rows) {
    const known = new Set(this.rows.map(({ id }) => id));
    this.set([...this.rows, ...rows.filter(({ id }) => !known.has(id))]);
  },
};

/**
 * The choice as a fieldset. `chosen()` gives the ids for a request; `watch(listener)` follows the servers from then on
 * and tells of every change, of the first state at once.
 *
 * @param {string} id
 */
export function targetChooser(id) {
  let changed = () => {};
  /** @type {Server[]} */
  let running = [];
  /** @type {Set<string>} */
  const ticked = new Set();
  const settings = settingsToMeasure;
  const element = el("fieldset", { class: "lab-targets", id });

  /** A server's box stays the same element while others come and go. @type {Map<string, HTMLElement>} */
  const boxes = new Map();

  /** @param {Server} server */
  function box(server) {
    const key = `${server.id} ${server.name}`;
    const made = boxes.get(key);
    if (made) return made;
    const input = el("input", {
      type: "checkbox",
      checked: ticked.has(server.id),
      dataset: { server: server.id },
      onchange: () => {
        if (input.checked) ticked.add(server.id);
        else ticked.delete(server.id);
        changed();
      },
    });
    const label = el("label", { class: "lab-check" }, input, server.name);
    boxes.set(key, label);
    return label;
  }

  /** @param {RunRow} row */
  function line(row) {
    const name = [row.model, row.settings].filter(Boolean).join(" · ");
    const drop = () => settings.set(settings.rows.filter((one) => one.id !== row.id));
    const look = { class: "button small icon", type: "button", "aria-label": t("lab.benchmark.drop", { name }) };
    return el(
      "span",
      { class: "lab-check" },
      t("lab.benchmark.settings", { name }),
      el("button", { ...look, onclick: drop }, "×"),
    );
  }

  function show() {
    const empty = !running.length && !settings.rows.length;
    fill(
      element,
      el("legend", {}, t("lab.benchmark.targets")),
      running.map(box),
      settings.rows.map(line),
      empty && el("p", { class: "lab-hint" }, t("lab.benchmark.no_server")),
    );
  }

  const redraw = () => {
    show();
    changed();
  };
  show();
  return {
    element,
    /** @param {() => void} listener */
    watch(listener) {
      changed = listener;
      settings.listeners.add(redraw);
      onSnapshot(({ servers }) => {
        const now = servers.filter(({ state }) => state === "running");
        if (now.map(({ id, name }) => id + name).join() === running.map(({ id, name }) => id + name).join()) return;
        running = now;
        redraw();
      });
    },
    chosen: () => ({
      // In the order in which they were chosen: answers are held against the first one's.
      servers: [...ticked].filter((one) => running.some((server) => server.id === one)),
      runs: settings.rows.map((row) => row.id),
    }),
  };
}
