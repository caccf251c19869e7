// @ts-check
/** The empty conversation: what to do next, and samples to begin with. */

import { byId, el, fill, outer } from "../../page/dom.js";
import { link } from "../../page/request.js";
import { t } from "../../page/texts.js";

/** @typedef {{text: string, picture: string}} Sample */
/**
 * @typedef {object} Value
 * @property {boolean} [shown]
 * @property {string} [server]
 * @property {boolean} [pictures]
 * @property {boolean} [starting]
 * @property {boolean} [operator]
 * @property {Sample[]} [samples]
 */

/** @param {HTMLElement} element @param {(index: number) => void} ask @returns {(value: Value) => void} */
export function starter(element, ask) {
  const root = outer(element, "chat-starter");
  return ({ shown = false, server = "", pictures = false, starting = false, operator = false, samples = [] }) => {
    root.dataset.shown = String(shown);
    if (!shown) fill(element);
    else fill(element, server ? ready(server, pictures, samples, ask) : nobody(starting, operator));
  };
}

/** @param {string} server @param {boolean} pictures @param {Sample[]} samples @param {(index: number) => void} ask */
function ready(server, pictures, samples, ask) {
  const buttons = samples.map(({ text, picture }, index) => {
    const source = link(`chat/sample/${encodeURIComponent(picture)}`);
    return el(
      "button",
      { class: "chat-sample", type: "button", dataset: { sample: index }, onclick: () => ask(index) },
      picture ? el("img", { src: source, alt: "", width: 44, height: 44 }) : null,
      el("span", {}, text),
    );
  });
  return el(
    "div",
    { class: "chat-starter" },
    el("h2", {}, t("chat.starter.title", { name: server })),
    el("p", {}, t("chat.starter.how")),
    pictures ? null : el("p", { class: "chat-text-only" }, t("chat.starter.text_only")),
    el("div", { class: "chat-samples" }, buttons),
  );
}

/** @param {boolean} starting @param {boolean} operator */
function nobody(starting, operator) {
  const how = starting ? "chat.starter.starting" : operator ? "chat.starter.none_operator" : "chat.starter.none_class";
  const openDeploy = () => byId("deploy-tab-button")?.click();
  const deploy = el(
    "button",
    { class: "button primary", type: "button", onclick: openDeploy },
    t("chat.starter.deploy"),
  );
  return el(
    "div",
    { class: "chat-starter" },
    el("h2", {}, t("chat.starter.none")),
    el("p", {}, t(how)),
    operator ? deploy : null,
  );
}
