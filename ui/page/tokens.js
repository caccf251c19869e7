// @ts-check
/**
 * What a model wrote, token by token: how sure it was of each, and what it could have written instead.
 *
 * The first half is pure; `tokenView` shows it, wherever it is put (tokens.css).
 */

import { el, fill } from "./dom.js";
import { t } from "./texts.js";

/** @import { Children } from "./types.d.ts" */
/** @typedef {{text: string, logprob: number | null, raw: string}} Other */
/** @typedef {Other & {alternatives: Other[]}} Token as backend/chat/logprobs.py says */
/** @typedef {{text: string, tokens: Token[], logprob: number | null, whole: boolean}} Piece what one sees as one: a token, or those that make up a character */

const MOST_BYTES = 4; // of a character
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const CERTAIN = 0.9995;
const LEAST = 0.001;
export const SHADES = [1, 2, 3, 4, 5, 0]; // the surest first; 0 = not known
const FLOORS = [0.9, 0.5, 0.2, 0.05]; // of the shades 1 to 4
export const UNSURE = 3; // from this shade on
/** @type {Record<string, string>} */
const VISIBLE = { "\n": "↵\n", "\r": "␍", "\t": "⇥\t", "\0": "␀" };
/** @type {Record<string, string>} */
const NAMES = { " ": "tokens.space", "\n": "tokens.line_feed", "\t": "tokens.tab", "": "tokens.unnamed" };

/**
 * Of the text that `packed` in backend/chat/logprobs.py wrote; a token of which nothing is known where it is none.
 *
 * @param {string} packed
 * @returns {Token}
 */
export function readToken(packed) {
  try {
    const [text, logprob, others, raw = ""] = JSON.parse(packed);
    const alternatives = others.map((/** @type {unknown[]} */ [said, value, bytes = ""]) => other(said, value, bytes));
    return { ...other(text, logprob, raw), alternatives };
  } catch {
    return { text: "", logprob: null, raw: "", alternatives: [] };
  }
}

/** @param {unknown} text @param {unknown} logprob @param {unknown} raw @returns {Other} */
const other = (text, logprob, raw) => ({
  text: String(text ?? ""),
  logprob: typeof logprob === "number" && Number.isFinite(logprob) ? Math.min(logprob, 0) : null,
  raw: String(raw ?? ""),
});

/** How sure, 1 (sure) to 5; 0 = not known. @param {number | null} logprob */
export function shade(logprob) {
  if (logprob === null) return 0;
  const place = FLOORS.findIndex((floor) => Math.exp(logprob) >= floor - 1e-9);
  return place < 0 ? FLOORS.length + 1 : place + 1;
}

/** As a person reads it. @param {number | null} logprob */
export function chance(logprob) {
  if (logprob === null) return t("tokens.unknown");
  const share = Math.exp(logprob);
  if (logprob === 0) return "100%";
  if (share > CERTAIN) return "> 99.9%";
  if (share < LEAST) return "< 0.1%";
  return `${(share * 100).toFixed(share >= 0.1 ? 0 : 1)}%`;
}

/**
 * The tokens as one sees them: those that are parts of one character stand together. Where `whole` is false, the rest
 * of a character may still come.
 *
 * @param {readonly Token[]} tokens
 * @returns {Piece[]}
 */
export function piecesOf(tokens) {
  /** @type {Piece[]} */
  const found = [];
  for (let at = 0; at < tokens.length;) {
    const taken = tokens[at].raw ? character(tokens, at) : 1;
    const part = tokens.slice(at, at + Math.max(taken, 1));
    const open = taken === 0 && at + MOST_BYTES > tokens.length && tokens.slice(at).every(({ raw }) => raw);
    const text = taken > 1 ? /** @type {string} */ (decoded(part.map(({ raw }) => raw).join(""))) : part[0].text;
    const unknown = part.some(({ logprob }) => logprob === null);
    const logprob = unknown ? null : part.reduce((sum, token) => sum + /** @type {number} */ (token.logprob), 0);
    found.push({ text, tokens: part, logprob, whole: !open });
    at += part.length;
  }
  return found;
}

/** How many tokens from there on are whole characters together; 0 = none are. @param {readonly Token[]} tokens @param {number} at */
function character(tokens, at) {
  let bytes = "";
  for (let count = 1; count <= MOST_BYTES && tokens[at + count - 1]?.raw; count += 1) {
    bytes += tokens[at + count - 1].raw;
    if (decoded(bytes) !== null) return count;
  }
  return 0;
}

/** The text of bytes in hexadecimal digits; null where it is none. @param {string} hex */
function decoded(hex) {
  const bytes = (hex.match(/../g) ?? []).map((digits) => Number.parseInt(digits, 16));
  try {
    return utf8.decode(new Uint8Array(bytes));
  } catch {
    return null;
  }
}

/** @param {readonly Piece[]} pieces */
export function summary(pieces) {
  const tokens = pieces.flatMap((piece) => piece.tokens);
  return {
    count: tokens.length,
    known: tokens.filter(({ logprob }) => logprob !== null).length,
    unsure: pieces.filter(({ logprob }) => shade(logprob) >= UNSURE).length,
    chosen: tokens.some(({ alternatives }) => alternatives.length > 0),
  };
}

/** What stands on the page for it. @param {string} text */
export const visible = (text) => text.replace(/[\n\r\t\0]/g, (character) => VISIBLE[character]) || "∅";

/** In a list or aloud. @param {string} text */
export const named = (text) => (text in NAMES ? t(NAMES[text]) : visible(text).trimEnd());

/** What a screen reader says of it. @param {Piece} piece */
export function aloud({ text, tokens, logprob }) {
  const said = { token: named(text), chance: chance(logprob) };
  const others = tokens
    .flatMap(({ alternatives }) => alternatives)
    .map((one) => `${named(one.text)} ${chance(one.logprob)}`);
  return others.length ? t("tokens.aloud", { ...said, others: others.join(", ") }) : t("tokens.aloud.alone", said);
}

/**
 * Where the keys lead; `from` where they lead nowhere.
 *
 * @param {string} key
 * @param {number} from -1 = nothing was chosen yet
 * @param {readonly Piece[]} pieces
 */
export function moved(key, from, pieces) {
  const last = pieces.length - 1;
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key === "ArrowRight") return Math.min(from + 1, last);
  if (key === "ArrowLeft") return Math.max(from - 1, 0);
  const step = key === "ArrowDown" ? 1 : -1;
  for (let at = from + step; at >= 0 && at <= last; at += step) if (shade(pieces[at].logprob) >= UNSURE) return at;
  return from;
}

const KEYS = new Set(["Home", "End", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"]);
let made = 0;

/**
 * The tokens, coloured and underlined by how sure the model was; below them what one of them is, and its alternatives.
 * One stop of the Tab key: the arrows go from token to token.
 *
 * @returns {{element: HTMLElement, show: (tokens: readonly Token[], keep?: number) => ReturnType<typeof summary>}}
 *   `show`: these, of which the first `keep` were shown before
 */
export function tokenView() {
  const id = `tokens-${(made += 1)}`;
  const text = el("div", {
    class: "tokens-text",
    role: "listbox",
    tabindex: "0",
    "aria-label": t("tokens.label"),
    "aria-describedby": `${id}-hint`,
  });
  const hint = el("p", { class: "tokens-hint", id: `${id}-hint` }, t("tokens.hint"));
  const note = el("p", { class: "tokens-note", hidden: true }, t("tokens.certain"));
  const detail = el("div", { class: "tokens-detail" }, hint);
  const element = el("section", { class: "tokens" }, legend(), text, note, detail);
  /** @type {Piece[]} */
  let pieces = [];
  let chosen = -1;

  /** @param {number} at */
  function choose(at) {
    if (at < 0 || at >= pieces.length) return;
    text.children[chosen]?.removeAttribute("aria-selected");
    chosen = at;
    const token = /** @type {HTMLElement} */ (text.children[at]);
    token.setAttribute("aria-selected", "true");
    token.setAttribute("aria-label", aloud(pieces[at]));
    token.id ||= `${id}-${at}`;
    text.setAttribute("aria-activedescendant", token.id);
    fill(detail, about(pieces[at]));
  }

  text.addEventListener("keydown", (event) => {
    if (!KEYS.has(event.key) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    choose(moved(event.key, chosen, pieces));
    text.children[chosen]?.scrollIntoView({ block: "nearest" });
  });
  text.addEventListener("focus", () => choose(Math.max(chosen, 0)));
  for (const type of ["pointerover", "click"]) {
    text.addEventListener(type, ({ target }) => {
      const token = target instanceof Element ? target.closest(".token") : null;
      if (token) choose([...text.children].indexOf(token));
    });
  }

  /** @param {readonly Token[]} tokens @param {number} [keep] */
  function show(tokens, keep = 0) {
    let stay = 0; // pieces that are the same as before
    for (let count = 0; stay < pieces.length && pieces[stay].whole; stay += 1) {
      count += pieces[stay].tokens.length;
      if (count > keep) break;
    }
    const before = pieces.slice(0, stay);
    const more = piecesOf(tokens.slice(before.reduce((sum, piece) => sum + piece.tokens.length, 0)));
    while (text.children.length > stay) text.lastElementChild?.remove();
    text.append(...more.map(drawn));
    pieces = [...before, ...more];
    const now = summary(pieces);
    note.hidden = !(now.known && !now.chosen);
    if (chosen >= stay) choose(Math.min(chosen, pieces.length - 1));
    return now;
  }

  return { element, show };
}

/** @param {Piece} piece */
function drawn({ text, logprob, tokens }) {
  const parts = tokens.length > 1 ? tokens.length : null;
  return el("span", { class: "token", role: "option", dataset: { shade: shade(logprob), parts } }, visible(text));
}

/** What the colours and lines mean. */
function legend() {
  const shades = SHADES.map((value) =>
    el("span", {}, el("span", { class: "token", dataset: { shade: value } }, "abc"), ` ${t(`tokens.shade.${value}`)}`),
  );
  return el("div", { class: "tokens-legend" }, el("span", {}, t("tokens.legend")), shades);
}

/** @param {Piece} piece @returns {Children} */
function about({ text, tokens, logprob }) {
  const together = tokens.length > 1;
  return [
    el("p", { class: "tokens-chosen" }, el("code", {}, named(text)), ` ${chance(logprob)}`),
    together ? el("p", { class: "tokens-hint" }, t("tokens.character", { count: tokens.length })) : null,
    tokens.map((token) => choices(token, together)),
  ];
}

/** A token among its alternatives, the likeliest first. @param {Token} token @param {boolean} together */
function choices(token, together) {
  const { alternatives } = token;
  if (!alternatives.length && !together) return el("p", { class: "tokens-hint" }, t("tokens.alone"));
  const all = [token, ...alternatives].sort((one, two) => (two.logprob ?? -Infinity) - (one.logprob ?? -Infinity));
  return el(
    "ol",
    { class: "tokens-others" },
    all.map((one) => {
      const share = one.logprob === null ? 0 : Math.exp(one.logprob);
      return el(
        "li",
        { dataset: { written: one === token ? "" : null } },
        el("code", {}, named(one.text)),
        el("span", { class: "tokens-bar", "aria-hidden": "true" }, el("span", { style: { width: `${share * 100}%` } })),
        el("span", {}, chance(one.logprob)),
      );
    }),
  );
}
