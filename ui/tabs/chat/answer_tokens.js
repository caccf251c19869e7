// @ts-check
/** "Why this word" under an answer: its tokens, as they come while it is written, asked for when it is opened later. */

import { el, fill } from "../../page/dom.js";
import { get, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { readToken, tokenView } from "../../page/tokens.js";
import { shownHeader } from "./conversation.js";

/** @import { Token } from "../../page/tokens.js" */
/** @import { NewTokens } from "./conversation.js" */
/**
 * @typedef {{
 *   tokens: Token[],
 *   known: boolean,
 *   details: HTMLDetailsElement,
 *   line: HTMLElement,
 *   view: ReturnType<typeof tokenView>,
 * }} Entry
 */

/**
 * The tokens with what came: those before it stay.
 *
 * @param {Token[]} tokens
 * @param {NewTokens} change
 * @returns {Token[]}
 */
export const grown = (tokens, { keep, more }) => [...tokens.slice(0, keep), ...more.map(readToken)];

/** @param {() => string} shown the conversation */
export function answerTokens(shown) {
  /** @type {Map<string, Entry>} by the answer's place: its exchange and lane */
  const entries = new Map();
  let conversation = "";

  /** @param {string} place @returns {Entry} */
  function of(place) {
    if (shown() !== conversation) entries.clear();
    conversation = shown();
    const entry = entries.get(place) ?? made(place);
    entries.set(place, entry);
    return entry;
  }

  /** @param {string} place @returns {Entry} */
  function made(place) {
    const view = tokenView();
    const line = el("span", { class: "chat-why-count" });
    const details = el(
      "details",
      { class: "chat-why", ontoggle: () => details.open && opened(place, entry) },
      el("summary", {}, t("chat.logprobs.label"), line),
      view.element,
    );
    /** @type {Entry} */
    const entry = { tokens: [], known: false, details, line, view };
    return entry;
  }

  /** @param {string} place @param {Entry} entry */
  async function opened(place, entry) {
    if (entry.known) return;
    try {
      const told = /** @type {{tokens: string[]}} */ (
        await get(`chat/tokens/${place}`, { headers: shownHeader(conversation) })
      );
      if (entry.known) return; // they came by themselves
      entry.tokens = told.tokens.map(readToken);
      entry.known = true;
      show(entry, 0);
    } catch (problem) {
      fill(entry.line, sentences(problem).join(" "));
    }
  }

  /** @param {Entry} entry @param {number} keep */
  function show({ tokens, line, view }, keep) {
    const { count, unsure } = view.show(tokens, keep);
    line.textContent = t("tokens.count", { count, unsure });
  }

  return {
    /** While an answer is under way. @param {NewTokens[]} changes */
    take(changes) {
      for (const change of changes) {
        const entry = of(change.place);
        if (!entry.known) entry.details.open = true;
        entry.known = true;
        entry.tokens = grown(entry.tokens, change);
        show(entry, change.keep);
      }
    },
    /** Puts each answer's tokens into its message, however often Gradio draws that anew. @param {Element} root */
    mount(root) {
      for (const place of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-chat-tokens]"))) {
        const { details } = of(place.dataset.chatTokens ?? "");
        if (details.parentElement !== place) place.replaceChildren(details);
      }
    },
  };
}
