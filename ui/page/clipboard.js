// @ts-check
/** Copies text, and says so on the button. */

import { el } from "./dom.js";
import { t } from "./texts.js";

const SAID_MS = 1500;

/**
 * Puts `text` on the clipboard. Without a secure context the old way still works.
 *
 * @param {string} text
 * @param {HTMLElement | null} [button]
 */
export async function copy(text, button = null) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { value: text, style: { position: "fixed", opacity: "0" } });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (!button) return;
  if (button.dataset.icon) {
    button.dataset.icon = "done";
    setTimeout(() => {
      button.dataset.icon = "copy";
    }, SAID_MS);
    return;
  }
  button.dataset.copied = "true";
  say(button, t("common.copied"));
}

/**
 * Says something on a button for a moment.
 *
 * @param {HTMLElement} button
 * @param {string} text
 */
export function say(button, text) {
  const label = button.dataset.label ?? button.textContent ?? "";
  button.dataset.label = label;
  button.textContent = text;
  setTimeout(() => {
    button.textContent = label;
    delete button.dataset.copied;
  }, SAID_MS);
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
