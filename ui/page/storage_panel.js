// @ts-check
/** What the state folder keeps, how large it is and for how long, with a Clear for each kind that asks first. */

import { problemLine } from "./cards.js";
import { el, fill } from "./dom.js";
import { number, size } from "./format.js";
import { get, post, sentences } from "./request.js";
import { onSnapshot } from "./snapshot.js";
import { t } from "./texts.js";

/**
 * @typedef {object} Kind
 * @property {string} kind
 * @property {string} title
 * @property {string} until for how long it is kept
 * @property {number} files
 * @property {number} size_bytes
 * @property {number} clearable_bytes
 */

/** @typedef {{folder: string, free_bytes: number | null, kinds: Kind[]}} Kept */

/** @param {HTMLElement} element */
export function storagePanel(element) {
  /** @type {string | null} the kind whose Clear was pressed */
  let asked = null;
  let busy = false;
  /** @type {Kept | null} */
  let newest = null;
  const intro = el("p", { class: "muted" }, t("storage.reading"));
  const rows = el("tbody");
  const total = el("tfoot");
  const heads = ["what", "size", "until", "act"].map((key) => el("th", { scope: "col" }, t(`storage.${key}`)));
  const table = el(
    "table",
    { class: "storage-table", hidden: true },
    el("thead", {}, el("tr", {}, heads)),
    rows,
    total,
  );
  const said = el("p", { role: "status", class: "storage-said", hidden: true });
  const problem = problemLine("storage-problem");
  const again = el(
    "button",
    { class: "button small", type: "button", onclick: look, hidden: true },
    t("storage.again"),
  );
  const details = el(
    "details",
    { class: "storage-details", hidden: true, ontoggle: () => details.open && look() },
    el("summary", {}, t("storage.title")),
    intro,
    table,
    said,
    problem.element,
    again,
  );
  fill(element, details);

  async function look() {
    if (busy) return;
    busy = true;
    try {
      show(await get("storage"));
    } catch (failed) {
      // Old figures would pass for today's.
      newest = null;
      table.hidden = true;
      again.hidden = false;
      intro.textContent = [t("storage.unknown"), ...sentences(failed)].join(" ");
    } finally {
      busy = false;
    }
  }

  /** @param {Kept} kept */
  function show(kept) {
    newest = kept;
    table.hidden = false;
    again.hidden = true;
    const free = kept.free_bytes === null ? "" : t("storage.free", { size: size(kept.free_bytes) });
    fill(intro, el("span", {}, t("storage.intro", { folder: kept.folder })), el("br"), free);
    fill(rows, kept.kinds.map(row));
    const bytes = kept.kinds.reduce((sum, kind) => sum + kind.size_bytes, 0);
    const count = kept.kinds.reduce((sum, kind) => sum + kind.files, 0);
    fill(total, line(t("storage.total"), amount(bytes, count), "", ""));
  }

  /** @param {Kind} kind */
  function row(kind) {
    const drawn = line(kind.title, amount(kind.size_bytes, kind.files), kind.until, actions(kind));
    Object.assign(drawn.dataset, { kind: kind.kind, bytes: kind.size_bytes, clearable: kind.clearable_bytes });
    return drawn;
  }

  /** @param {Kind} kind */
  function actions(kind) {
    if (!kind.clearable_bytes) return "–";
    const bytes = size(kind.clearable_bytes);
    if (asked !== kind.kind) {
      const label = t("storage.clear-of", { size: bytes, what: kind.title });
      return button("clear", t("storage.clear", { size: bytes }), () => ask(kind.kind), { "aria-label": label });
    }
    return el(
      "div",
      { class: "storage-confirm", role: "group" },
      el("span", {}, t(busy ? "storage.clearing" : "storage.confirm", { size: bytes })),
      button("yes", t("storage.yes"), () => clear(kind.kind), { class: "button small danger", disabled: busy }),
      button("no", t("storage.no"), () => ask(null), { disabled: busy }),
    );
  }

  /** @param {string | null} kind */
  function ask(kind) {
    const before = asked;
    asked = kind;
    said.hidden = true;
    redraw();
    const place = rows.querySelector(`[data-kind="${kind ?? before}"] ${kind ? '[data-action="no"]' : "button"}`);
    /** @type {HTMLElement | null} */ (place)?.focus();
  }

  /** @param {string} kind */
  async function clear(kind) {
    busy = true;
    redraw();
    /** @type {Kept & {freed_bytes: number} | null} */
    const done = await problem.attempt(() => post(`storage/${encodeURIComponent(kind)}/clear`));
    busy = false;
    asked = null;
    if (!done) {
      await look(); // some of it may be gone all the same
      return;
    }
    show(done);
    said.textContent = t("storage.freed", { size: size(done.freed_bytes) });
    said.hidden = false;
  }

  function redraw() {
    if (newest) show(newest);
  }

  onSnapshot(({ role }) => {
    details.hidden = role === "class";
  });
}

/** @param {string} action @param {string} text @param {() => void} onclick @param {Record<string, unknown>} more */
const button = (action, text, onclick, more) =>
  el("button", { class: "button small", type: "button", dataset: { action }, onclick, ...more }, text);

/** @param {import("./types.d.ts").Children[]} cells */
const line = (...cells) =>
  el(
    "tr",
    {},
    cells.map((cell, index) => (index ? el("td", {}, cell) : el("th", { scope: "row" }, cell))),
  );

/** @param {number} bytes @param {number} files */
function amount(bytes, files) {
  if (!files) return t("storage.none");
  return `${size(bytes)}, ${files === 1 ? t("storage.files.one") : t("storage.files", { count: number(files) })}`;
}
