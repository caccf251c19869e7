// @ts-check
/** Rows side by side, with what differs marked; a note on each, and "start it again". */

import { el } from "../../page/dom.js";
import { post, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { facts } from "./run_values.js";

/** @import { RunRow, WholeRow } from "./types.d.ts" */

/**
 * @param {WholeRow[]} rows
 * @param {boolean} cut whether more were chosen
 * @param {(row: RunRow) => void} startAgain
 * @param {() => void} changed after a note was written
 */
export function beside(rows, cut, startAgain, changed) {
  const compared = facts(rows);
  const several = rows.length > 1;
  const only = el("input", { type: "checkbox", onchange: () => table.toggleAttribute("data-only", only.checked) });
  const table = el(
    "table",
    { class: "table lab-beside" },
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col" }, t("lab.beside.what")),
        rows.map((row) => el("th", { scope: "col" }, row.name)),
      ),
    ),
    el(
      "tbody",
      {},
      compared.map(([name, values, differs]) =>
        el(
          "tr",
          { dataset: { differs: several && differs ? "1" : "0" } },
          el("th", { scope: "row" }, name),
          values.map((value) => el("td", {}, value)),
        ),
      ),
      el(
        "tr",
        { dataset: { differs: "1" } },
        el("th", { scope: "row" }, t("lab.column.note")),
        rows.map((row) => el("td", {}, noteOf(row, changed), againButton(row, startAgain))),
      ),
    ),
  );
  return [
    el("h3", {}, several ? t("lab.beside.title") : rows[0]?.name),
    cut && el("p", { class: "lab-hint" }, t("lab.beside.cut", { count: rows.length })),
    several && el("label", { class: "lab-check" }, only, t("lab.beside.only")),
    el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": t("lab.beside.title") }, table),
  ];
}

/** @param {RunRow} row @param {(row: RunRow) => void} startAgain */
const againButton = (row, startAgain) =>
  el(
    "button",
    { class: "button small primary", type: "button", dataset: { action: "again" }, onclick: () => startAgain(row) },
    t(row.kind === "server" ? "lab.beside.again" : "lab.beside.requantize"),
  );

/** @param {WholeRow} row @param {() => void} changed */
function noteOf(row, changed) {
  const said = el("span", { class: "lab-hint", role: "status" });
  const box = el("textarea", {
    class: "lab-input lab-note",
    rows: "2",
    "aria-label": `${t("lab.column.note")}: ${row.name}`,
  });
  box.value = row.note;
  box.addEventListener("change", async () => {
    try {
      await post("lab/runs/note", { id: row.id, note: box.value });
      said.textContent = t("lab.beside.noted");
      changed();
    } catch (error) {
      said.textContent = sentences(error).join(" ");
    }
  });
  return el("div", {}, box, said);
}
