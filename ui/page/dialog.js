// @ts-check
/**
 * A window over the page: named, closed by Escape, its cross or a click beside it; the focus goes back afterwards. Where
 * a text was typed that would be lost, it asks first.
 */

import { el } from "./dom.js";
import { t } from "./texts.js";

/** @import { Children } from "./types.d.ts" */

/**
 * Opens one; it is gone once it is closed.
 *
 * @param {{id: string, title: string, look?: string, tools?: Children, closed?: () => void}} options
 * @param {...Children} children
 */
export function openDialog({ id, title, look = "", tools = null, closed = () => {} }, ...children) {
  document.getElementById(id)?.remove();
  const heading = `${id}-title`;
  const name = t("common.close");
  const close = el("button", {
    class: "button",
    type: "button",
    "aria-label": name,
    title: name,
    dataset: { icon: "close" },
    onclick: () => void leave(dialog),
  });
  const dialog = el(
    "dialog",
    { id, class: `console-dialog ${look}`, "aria-labelledby": heading },
    // A frame of its own: browsers show no dialog in full screen, but what is in it.
    el(
      "div",
      { class: "dialog-frame", id: `${id}-frame` },
      el("header", {}, el("h2", { id: heading }, title), tools, close),
      el("div", { class: "dialog-body" }, children),
    ),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  });
  // A selection that is drawn out of the window ends in a click beside it.
  let pressed = /** @type {EventTarget | null} */ (null);
  dialog.addEventListener("pointerdown", ({ target }) => (pressed = target));
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog && pressed === dialog) void leave(dialog);
  });
  const leaves = (/** @type {Event} */ event) => {
    if (event.target !== dialog && event.type === "cancel") return; // a list's own, or that of a choice of files
    event.preventDefault();
    void leave(dialog);
  };
  dialog.addEventListener("cancel", leaves); // a telephone's gesture
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) leaves(event);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Closes it, if that is meant. @param {HTMLDialogElement} dialog */
async function leave(dialog) {
  const question = {
    id: "ask-discard",
    title: t("common.discard.title"),
    text: t("common.discard.text"),
    confirm: t("common.discard.confirm"),
  };
  if (!hasTyped(dialog) || (await ask(question))) dialog.close();
}

const TEXTS = "textarea, input:not([type=checkbox], [type=radio], [type=range], [type=file])";

/** Whether a text in it is another than the one that it began with, or that was saved. @param {HTMLElement} within */
const hasTyped = (within) =>
  [.../** @type {NodeListOf<HTMLInputElement | HTMLTextAreaElement>} */ (within.querySelectorAll(TEXTS))]
    .filter((field) => !field.readOnly && !field.disabled)
    .some((field) => field.value !== field.defaultValue.replace(/\r\n?/g, "\n")); // as browsers tell a value

/**
 * Asks, and resolves with whether it was confirmed. `calm`: nothing is lost by it.
 *
 * @param {{id: string, title: string, text: string, confirm: string, calm?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function ask({ id, title, text, confirm, calm = false }) {
  return new Promise((resolve) => {
    let confirmed = false;
    const answer = (/** @type {boolean} */ value) => () => {
      confirmed = value;
      dialog.close();
    };
    const no = el(
      "button",
      { class: "button", type: "button", autofocus: true, onclick: answer(false) },
      t("common.cancel"),
    );
    const look = calm ? "primary" : "danger";
    const yes = el("button", { class: `button ${look}`, type: "button", onclick: answer(true) }, confirm);
    const dialog = openDialog({ id, title, look: "small", closed: () => resolve(confirmed) }, el("p", {}, text));
    dialog.append(el("footer", {}, no, yes));
    no.focus();
  });
}
