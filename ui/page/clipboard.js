// @ts-check
/** Copies text, and says so on the button. */

import { el } from "./dom.js";
import { hideNotice, showNotice, topmost } from "./notice.js";
import { t } from "./texts.js";

const SAID_MS = 1500;
const PROBLEM = "console-problem";
const READ_MS = 10_000;

/**
 * Puts `text` on the clipboard, and says where that didn't go.
 *
 * @param {string} text
 * @param {HTMLElement | null} [button]
 */
export async function copy(text, button = null) {
  if (!(await written(text))) {
    say(button, t("common.copy.failed"));
    return;
  }
  if (!button) return;
  if (button.dataset.icon) {
    button.dataset.icon = "done";
    setTimeout(() => {
      button.dataset.icon = "copy";
    }, SAID_MS);
    return;
  }
  const label = button.dataset.label ?? button.textContent ?? "";
  Object.assign(button.dataset, { label, copied: "true" });
  button.textContent = t("common.copied");
  setTimeout(() => {
    button.textContent = label;
    delete button.dataset.copied;
  }, SAID_MS);
}

/** @param {string} text */
async function written(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return writtenAsSelection(text);
  }
}

/** Over plain http browsers copy only what is selected, and select nothing below an open window. @param {string} text */
function writtenAsSelection(text) {
  const focused = document.activeElement;
  const area = el("textarea", { value: text, style: { position: "fixed", opacity: "0" } });
  topmost().append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return done;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** When a button's mark goes. @type {WeakMap<HTMLElement, ReturnType<typeof setTimeout>>} */
const marks = new WeakMap();

/**
 * Says what went wrong with what a button does, long enough to be read; the button is marked meanwhile.
 *
 * @param {HTMLElement | null} button
 * @param {string} text
 */
export function say(button, text) {
  showNotice(PROBLEM, text);
  if (button) {
    button.setAttribute("data-failed", "");
    clearTimeout(marks.get(button));
    marks.set(
      button,
      setTimeout(() => button.removeAttribute("data-failed"), READ_MS),
    );
  }
  clearTimeout(timer);
  timer = setTimeout(() => hideNotice(PROBLEM), READ_MS);
}

/**
 * A button that copies a text, or what a function gives when it is pressed.
 *
 * @param {string | (() => string)} text
 * @param {Record<string, unknown>} [attributes]
 */
export function copyButton(text, attributes = {}) {
  const button = el("button", { class: "button small", type: "button", ...attributes }, t("common.copy"));
  button.addEventListener("click", () => copy(typeof text === "function" ? text() : text, button));
  return button;
}
