// @ts-check
/** Settings that a question goes to one after another, where their servers don't fit at once: chosen in a dialog. */

import { openDialog } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { duration, gib } from "../../page/format.js";
import { get, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";

/** @typedef {{id: string, name: string}} Named a start that Lab keeps */
/** @typedef {Named & {load_s: number | null, bytes: number | null, running: boolean}} Startable `running`: a server that is asked as it is */

const LEAST = 2;
const MOST = 4;

/** In the order in which they were ticked, as they are asked. @param {string[]} chosen @param {string} id @param {boolean} on */
export const ticked = (chosen, id, on) => [...chosen.filter((one) => one !== id), ...(on ? [id] : [])];

/** Whether they can be compared. @param {string[]} chosen */
export const comparable = (chosen) => chosen.length >= LEAST && chosen.length <= MOST;

/**
 * What is chosen, or the button to choose.
 *
 * @param {Named[]} turn
 * @param {(runs: string[]) => void} tell
 */
export function turnChoice(turn, tell) {
  if (!turn.length) {
    const name = t("chat.turn.label");
    return el("button", {
      class: "button icon",
      type: "button",
      id: "chat-turn",
      title: name,
      "aria-label": name,
      dataset: { icon: "turn" },
      onclick: () => choose(tell),
    });
  }
  const end = t("chat.turn.end");
  const names = turn.map(({ name }) => name).join(" → ");
  return el(
    "span",
    { class: "chat-turn", id: "chat-turn", dataset: { count: turn.length } },
    el("span", { class: "chat-turn-names", title: names }, t("chat.turn.chosen", { names })),
    el("button", {
      class: "button icon",
      type: "button",
      title: end,
      "aria-label": end,
      dataset: { icon: "close" },
      onclick: () => tell([]),
    }),
  );
}

/** @param {(runs: string[]) => void} tell */
async function choose(tell) {
  const body = el("div", { class: "chat-turn-list" }, t("chat.turn.looking"));
  const use = el(
    "button",
    {
      class: "button primary",
      type: "button",
      disabled: true,
      onclick() {
        tell(chosen);
        dialog.close();
      },
    },
    t("chat.turn.use"),
  );
  /** @type {string[]} */
  let chosen = [];
  const dialog = openDialog(
    { id: "chat-turn-dialog", title: t("chat.turn.label") },
    el("p", {}, t("chat.turn.about", { most: MOST })),
    body,
  );
  dialog.querySelector(".dialog-frame")?.append(el("footer", {}, use));
  try {
    const { settings } = /** @type {{settings: Startable[]}} */ (await get("chat/turn"));
    if (!settings.length) {
      fill(body, el("p", { class: "muted" }, t("chat.turn.none")));
      return;
    }
    fill(
      body,
      settings.map((one) => row(one, tick)),
    );
  } catch (problem) {
    fill(body, sentences(problem).join(" "));
  }

  /** @param {string} id @param {boolean} on */
  function tick(id, on) {
    chosen = ticked(chosen, id, on);
    use.disabled = !comparable(chosen);
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (body.querySelectorAll("[data-place]"))) {
      const at = chosen.indexOf(place.dataset.place ?? "");
      place.textContent = at < 0 ? "" : String(at + 1);
    }
  }
}

/** @param {Startable} settings @param {(id: string, on: boolean) => void} tick */
function row({ id, name, load_s, bytes, running }, tick) {
  const box = el("input", { type: "checkbox", value: id, onchange: () => tick(id, box.checked) });
  const figures = [
    running ? t("chat.turn.runs") : "",
    load_s === null ? "" : duration(load_s),
    bytes === null ? "" : gib(bytes),
  ]
    .filter(Boolean)
    .join(" · ");
  return el(
    "label",
    { class: "chat-turn-row" },
    box,
    el("span", {}, name),
    el("small", {}, figures),
    el("span", { class: "chat-turn-place", dataset: { place: id } }),
  );
}
