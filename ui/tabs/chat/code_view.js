// @ts-check
/** The same request as Python and as curl, through the console's own address, and how other programs are told it. */

import { copyButton } from "../../page/clipboard.js";
import { el, fill } from "../../page/dom.js";
import { apiAddress } from "../../page/request.js";
import { t } from "../../page/texts.js";

/** @import { Children } from "../../page/types.d.ts" */

/**
 * @typedef {{
 *   variants?: Record<string, Record<string, string>>,
 *   clients?: Record<string, string>,
 *   address?: string,
 *   key?: string,
 *   unlent?: string,
 * }} Code
 */

const OTHERS = "clients"; // the choice beside the variants
/** @type {Record<string, string>} */
const LANGUAGES = { langchain: "python" }; // of a client's lines; else the shell's

/** @param {HTMLElement} element @returns {(value: Code) => void} */
export function codeView(element) {
  let chosen = "stream";
  /** @type {Code} */
  let code = {};

  function draw() {
    const { variants, clients = {}, address = "", key = "", unlent = "" } = code;
    if (!variants) {
      fill(element, el("p", { class: "muted" }, t(unlent ? "chat.code.unlent" : "chat.code.none")));
      return;
    }
    /** @param {string} text */
    const here = (text) => text.replaceAll(address, apiAddress());
    const languages = chosen === OTHERS ? clients : variants[chosen];
    fill(
      element,
      el("p", { class: "muted" }, t("chat.code.where")),
      choice([...Object.keys(variants), OTHERS]),
      chosen in NOTES ? el("p", { class: "muted" }, t(NOTES[chosen])) : null,
      Object.entries(languages).map(([name, text]) =>
        section(t(`chat.code.as-${name}`), LANGUAGES[name] ?? name, here(text), key),
      ),
    );
  }

  /** @param {string[]} names */
  function choice(names) {
    return el(
      "div",
      { class: "chat-code-choice", role: "group", "aria-label": t("chat.code.choice") },
      names.map((name) =>
        el(
          "button",
          {
            class: "button small",
            type: "button",
            dataset: { variant: name },
            "aria-pressed": String(name === chosen),
            onclick: () => {
              chosen = name;
              draw();
              const button = element.querySelector(`[data-variant="${name}"]`);
              if (button instanceof HTMLElement) button.focus();
            },
          },
          t(`chat.code.${name}`),
        ),
      ),
    );
  }

  return (value) => {
    code = value;
    draw();
  };
}

/** @type {Record<string, string>} */
const NOTES = { tools: "chat.code.tools-note", [OTHERS]: "chat.code.clients-note" };

/** @param {string} title @param {string} language @param {string} code @param {string} key */
function section(title, language, code, key) {
  return el(
    "section",
    { class: "chat-code" },
    el("div", { class: "chat-code-head" }, el("h3", {}, title), copyButton(code)),
    el("pre", { tabindex: "0", dataset: { language }, "aria-label": title }, withKeyCovered(code, key)),
  );
}

/**
 * The code with its key blurred until somebody points at it: the page may be on a projector. What is copied is whole.
 *
 * @param {string} code
 * @param {string} key
 * @returns {Children}
 */
function withKeyCovered(code, key) {
  if (!key) return code;
  return code.split(key).flatMap((piece, number) => {
    const covered = number ? el("span", { class: "secret", title: t("chat.code.key") }, key) : null;
    return [covered, piece];
  });
}
