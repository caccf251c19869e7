// @ts-check
/** What a model wrote, as Gradio draws it: links that lead nowhere they shouldn't. */

import { copyButton } from "../../page/clipboard.js";

// Gradio drops scripts and handlers, but lets a javascript: address through where an unclosed <svg> stands before the
// link. So links here lead to other pages or nowhere.
const PROTOCOLS = ["http:", "https:", "mailto:"];
const XLINK = "http://www.w3.org/1999/xlink";

/** @param {string} link */
export function isSafe(link) {
  try {
    return PROTOCOLS.includes(new URL(link, globalThis.document?.baseURI ?? "http://localhost/").protocol);
  } catch {
    return false;
  }
}

/**
 * Each block of code says what it is written in, and can be copied: Gradio gives a button to blocks that stand by
 * themselves, not to those in lists and quotes.
 *
 * @param {Element} root
 */
export function nameCode(root) {
  for (const code of root.querySelectorAll("#chat-boxes pre:not([data-language]) > code")) {
    const block = /** @type {HTMLElement} */ (code.parentElement);
    block.dataset.language = languageOf(code.className);
    if (block.parentElement?.querySelector(":scope > button")) continue;
    block.prepend(copyButton(() => code.textContent ?? "", { class: "button small chat-code-copy" }));
  }
}

/** The language in the class that Markdown gives a block: "language-python" → "python". @param {string} names */
export const languageOf = (names) => /(?:^|\s)language-(\S+)/.exec(names)?.[1] ?? "";

/** Listens to clicks; returns what takes the danger out of a part of the page. @returns {(root: Element) => void} */
export function guardAnswers() {
  for (const type of ["click", "auxclick"]) document.addEventListener(type, refuseUnsafeLink, true);
  return disarm;
}

/** @param {Element} root */
function disarm(root) {
  for (const link of root.querySelectorAll("#chat-boxes [*|href]")) {
    for (const attribute of [...link.attributes]) {
      if (attribute.localName === "href" && !isSafe(attribute.value)) link.removeAttributeNode(attribute);
    }
  }
  for (const element of root.querySelectorAll("#chat-boxes :is(animate, set, foreignObject)")) element.remove();
}

/** @param {Event} event @param {string} selector @returns {HTMLElement | null} */
const closest = ({ target }, selector) => (target instanceof Element ? target.closest(selector) : null);

/** @param {Event} event */
function refuseUnsafeLink(event) {
  const link = closest(event, "#chat-boxes a");
  const address = link?.getAttribute("href") ?? link?.getAttributeNS(XLINK, "href") ?? null;
  if (link && (address === null || !isSafe(address))) event.preventDefault();
}
