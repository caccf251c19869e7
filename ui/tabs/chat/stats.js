// @ts-check
/** The state of the last answer; its figures stand on the message, here they are read aloud. */

import { el, fill, outer } from "../../page/dom.js";
import { t } from "../../page/texts.js";

/** @typedef {{state?: string, data?: Record<string, unknown>, label?: string, text?: string, aloud?: string}} Value */

/**
 * Each figure stands on Gradio's element too, as a data-attribute. The function draws a value; of one that stays nothing
 * is set, since each thing that is set costs the page a look at its styles.
 *
 * @param {HTMLElement} element
 * @returns {(value: Value) => void}
 */
export function stats(element) {
  const root = outer(element, "chat-stats");
  const badge = el("span", { class: "badge" });
  const line = el("span", { class: "chat-stats-text" });
  const look = { class: "chat-stats-line", role: "status", title: t("chat.figure.explain") };
  const heard = el("span", { class: "sr-only" });
  fill(element, el("div", look, badge, line, heard));
  /** @type {string[]} */
  let names = [];
  return ({ state = "idle", data = {}, label = t("chat.state.idle"), text = "", aloud = "" }) => {
    for (const name of names) if (!(name in data)) root.removeAttribute(`data-${name}`);
    names = Object.keys(data);
    for (const name of names) setData(root, name, String(data[name]));
    setData(badge, "state", state);
    setText(badge, label);
    setText(line, text);
    setText(heard, state === "streaming" ? "" : aloud); // else it would be read aloud twenty times a second
    setData(root, "state", state);
  };
}

/** @param {HTMLElement} element @param {string} name @param {string} value */
function setData(element, name, value) {
  if (element.getAttribute(`data-${name}`) !== value) element.setAttribute(`data-${name}`, value);
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
