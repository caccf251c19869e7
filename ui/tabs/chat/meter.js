// @ts-check
/** What the question being written takes of the model's context, before it is sent: files, text, what was said before. */

import { byId, el, fill, outer } from "../../page/dom.js";
import { locale, t } from "../../page/texts.js";

/** @typedef {{name: string, tokens: number | null, pages: number, of_pages: number, problem: string, notices: string[]}} File */
/**
 * @typedef {object} Value
 * @property {File[]} [files]
 * @property {number} [question]
 * @property {number} [settings]
 * @property {number} [pictures]
 * @property {number} [earlier]
 * @property {number} [left_out]
 * @property {number} [answer]
 * @property {number} [total]
 * @property {number} [context]
 * @property {boolean} [exact]
 * @property {boolean} [fits]
 */

const PAUSE_MS = 500; // after the last key
const LONG = 400; // characters from which a question is weighed
const FULL = 0.5; // of the context, from which every question is

/** @param {number} value @param {boolean} exact */
const count = (value, exact) => `${exact ? "" : "≈"}${value.toLocaleString(locale)}`;

/**
 * The parts of a weight that a person reads, in order: a name, and tokens.
 *
 * @param {Value} value
 * @returns {[string, number][]}
 */
export function shares({ question = 0, settings = 0, pictures = 0, earlier = 0, answer = 0, files = [] }) {
  const read = files.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0);
  /** @type {[string, number][]} */
  const all = [
    ["earlier", earlier],
    ["settings", settings],
    ["files", read],
    ["pictures", pictures],
    ["question", question],
    ["answer", answer],
  ];
  return all.filter(([, tokens]) => tokens > 0);
}

/** @param {HTMLElement} element @returns {(value: Value) => void} */
export function meter(element) {
  const root = outer(element, "chat-meter");
  return (value) => {
    const { files = [], total, context = 0, left_out = 0, answer = 0, exact = false, fits = true } = value;
    root.dataset.shown = String(total !== undefined);
    if (total === undefined) {
      fill(element);
      return;
    }
    root.dataset.state = fits ? (left_out ? "left-out" : "fits") : "full";
    const whole = Math.max(context, total + answer, 1);
    const bar = shares(value).map(([name, tokens]) =>
      el("span", { class: "chat-meter-share", dataset: { share: name }, style: { flexGrow: String(tokens / whole) } }),
    );
    const legend = shares(value).map(([name, tokens]) =>
      el(
        "span",
        { class: "chat-meter-part", dataset: { share: name } },
        t(`chat.meter.${name}`, { tokens: count(tokens, exact || name === "answer") }),
      ),
    );
    const sum = { used: count(total, exact), context: context.toLocaleString(locale) };
    fill(
      element,
      el(
        "div",
        { class: "chat-meter", role: "status" },
        files.map((file) => fileLine(file, exact)),
        context
          ? el("div", { class: "chat-meter-bar", "aria-hidden": "true" }, bar, rest(total + answer, whole))
          : null,
        el(
          "div",
          { class: "chat-meter-legend" },
          el("strong", {}, context ? t("chat.meter.sum", sum) : t("chat.meter.sum_unknown", sum)),
          legend,
        ),
        left_out
          ? el(
              "p",
              { class: "chat-meter-warning" },
              t(left_out > 1 ? "chat.meter.left_out" : "chat.meter.left_out.one", { count: left_out }),
            )
          : null,
        fits ? null : el("p", { class: "chat-meter-warning", dataset: { level: "error" } }, t("chat.meter.full")),
      ),
    );
  };
}

/** @param {number} used @param {number} whole */
const rest = (used, whole) =>
  el("span", { class: "chat-meter-share", dataset: { share: "rest" }, style: { flexGrow: String(1 - used / whole) } });

/** @param {File} file @param {boolean} exact */
function fileLine({ name, tokens, pages, of_pages, problem, notices }, exact) {
  const told = [];
  if (of_pages)
    told.push(
      t(pages === of_pages ? "chat.document.pages" : "chat.document.some_pages", { taken: pages, pages: of_pages }),
    );
  if (tokens !== null) told.push(t("chat.meter.tokens", { tokens: count(tokens, exact) }));
  const level = problem ? "error" : notices.length ? "warning" : "info";
  return el(
    "div",
    { class: "chat-meter-file", dataset: { level } },
    problem ? null : el("span", {}, el("b", {}, name), ` ${told.join(" · ")}`),
    problem ? el("span", {}, problem) : notices.map((notice) => el("span", {}, notice)),
  );
}

/**
 * Watches the input, and asks for the weight where it matters: with files, with a long text, in a long conversation.
 *
 * @param {() => void} weigh
 * @param {() => void} clear
 * @param {() => number} used how full the context was with the last answer, 0…1
 */
export function watchInput(weigh, clear, used) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let asked = false;
  let known = "";
  const look = () => {
    const input = byId("chat-input");
    const text = input?.querySelector("textarea")?.value ?? "";
    const files = input?.querySelectorAll(".thumbnail-item").length ?? 0;
    const now = `${files} ${text}`;
    if (now === known) return;
    known = now;
    const matters = files > 0 || text.length >= LONG || (text !== "" && used() >= FULL);
    clearTimeout(timer);
    if (matters) {
      asked = true;
      timer = setTimeout(weigh, PAUSE_MS);
    } else if (asked) {
      asked = false;
      clear();
    }
  };
  document.addEventListener("input", ({ target }) => {
    if (target instanceof Element && target.closest("#chat-input")) look();
  });
  return { look, wanted: () => asked };
}
