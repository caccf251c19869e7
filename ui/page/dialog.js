// @ts-check
/** A window over the page: named, closed by Escape, its cross or a click beside it; the focus goes back afterwards. */

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
    onclick: () => dialog.close(),
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
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

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
