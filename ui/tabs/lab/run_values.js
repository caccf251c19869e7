// @ts-check
/** The columns of the runs: how a value is read, which are shown, what differs between rows. Pure. */

import { remember, remembered } from "../../page/browser_storage.js";
import { duration, gib, number } from "../../page/format.js";
import { locale, t } from "../../page/texts.js";

/** @import { Cell, WholeRow } from "./types.d.ts" */

export const COLUMNS = [
  "name", "kind", "model", "engine", "settings", "gpu", "environment", "state", "started_at", "ended_at", "load_s",
  "planned_bytes", "measured_bytes", "weights_bytes", "context_bytes", "kv_bytes", "work_bytes", "host_bytes", "tokens",
  "tokens_per_s", "ttft_ms", "perplexity", "note",
]; // prettier-ignore
export const USUAL = [
  "name", "engine", "settings", "gpu", "state", "started_at", "load_s", "planned_bytes", "measured_bytes", "tokens",
  "tokens_per_s", "ttft_ms", "note",
]; // prettier-ignore
const CHOSEN = "lab-columns";

/** @param {string} column */
export const isNumber = (column) => /_(at|s|ms|bytes)$/.test(column) || ["tokens", "perplexity"].includes(column);

/** @param {number} seconds */
export const moment = (seconds) =>
  new Date(seconds * 1000).toLocaleString(locale, { dateStyle: "short", timeStyle: "medium" });

/**
 * A value as a person reads it; "–" where it isn't known.
 *
 * @param {string} column
 * @param {Cell | undefined} value
 */
export function read(column, value) {
  if (value === null || value === undefined || value === "") return "–";
  if (column === "kind") return t(`lab.kind.${value}`);
  if (column === "state") return t(`common.state.${value}`);
  if (typeof value !== "number") return value;
  if (column.endsWith("_at")) return moment(value);
  if (column.endsWith("_bytes")) return gib(value);
  if (column === "tokens_per_s") return number(value, value < 10 ? 2 : 1);
  if (column.endsWith("_ms")) return `${number(value, value < 10 ? 1 : 0)} ms`;
  if (column === "load_s") return value < 10 ? `${number(value)} ${t("common.seconds")}` : duration(value);
  return number(value, 3);
}

/** The columns that this browser shows. */
export function chosenColumns() {
  try {
    const kept = JSON.parse(remembered(CHOSEN) ?? "null");
    const known = Array.isArray(kept) ? COLUMNS.filter((name) => kept.includes(name)) : [];
    return known.length ? known : USUAL;
  } catch {
    return USUAL;
  }
}

/** @param {string[]} columns */
export const keepColumns = (columns) => remember(CHOSEN, JSON.stringify(columns));

/**
 * What rows are compared by: [what it is, its value in each row, whether these differ], without what none of them has.
 *
 * @param {WholeRow[]} rows
 * @returns {[string, string[], boolean][]}
 */
export function facts(rows) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const column of COLUMNS) {
    if (column === "note" || column === "name") continue;
    found.set(
      t(`lab.column.${column}`),
      rows.map((row) => read(column, row[column])),
    );
  }
  for (const part of /** @type {const} */ (["config", "versions", "planned", "after", "quality"])) {
    const names = new Set(rows.flatMap((row) => Object.keys(row.detail[part] ?? {})));
    for (const name of names)
      found.set(
        `${t(`lab.part.${part}`)}: ${name}`,
        rows.map((row) => inner(row, part, name)),
      );
  }
  for (const name of /** @type {const} */ (["planned_tokens", "exit_code", "stop_signal", "reason", "command"])) {
    found.set(
      t(`lab.part.${name}`),
      rows.map((row) => plain(row.detail[name], name)),
    );
  }
  return [...found]
    .filter(([, values]) => values.some((value) => value !== "–"))
    .map(([name, values]) => [name, values, new Set(values).size > 1]);
}

/** @param {WholeRow} row @param {string} part @param {string} name */
const inner = (row, part, name) => {
  const values = /** @type {Record<string, unknown>} */ (row.detail[part] ?? {});
  return plain(values[name], part === "after" ? `${name}_bytes` : name);
};

/** @param {unknown} value @param {string} name */
function plain(value, name) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "number") return name.endsWith("_bytes") ? gib(value) : String(value);
  if (Array.isArray(value)) return value.length ? value.join(" ") : "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
