// @ts-check
/** A word over the whole page, where it is seen whatever is open. */

import { byId, el } from "./dom.js";

/** What lies over everything else: an open window covers the page, and nothing below it can be used or is read out. */
export const topmost = () =>
  document.fullscreenElement ?? [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;

/** @param {string} id the notice of that id says this now @param {string} text */
export function showNotice(id, text) {
  const notice = byId(id) ?? el("div", { id, class: "console-notice", role: "alert" });
  if (notice.textContent !== text) notice.textContent = text;
  const over = topmost();
  if (notice.parentElement !== over) over.append(notice);
}

/** @param {string} id */
export const hideNotice = (id) => byId(id)?.remove();
