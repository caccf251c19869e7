// @ts-check
/** For how long conversations are kept: the operator sets it for the class, the class reads it. */

import { el } from "../../page/dom.js";
import { post } from "../../page/request.js";
import { t } from "../../page/texts.js";

const DAYS = [1, 7, 30, 90, 180, 365];

/**
 * @param {<Reply>(action: () => Promise<Reply>) => Promise<Reply | null>} attempt
 * @param {() => void} changed
 */
export function keptChoice(attempt, changed) {
  /** @type {number | null} */
  let days = null;
  let role = "";
  const choice = el("select", { id: "chat-kept", "aria-label": t("chat.kept.label"), onchange: set });
  const label = el("label", { class: "chat-kept", hidden: true }, t("chat.kept.label"), " ", choice);
  const note = el("p", { class: "chat-kept-note", hidden: true });
  const element = el("div", { class: "chat-kept-place" }, label, note);

  /** @param {number | null} value */
  const words = (value) =>
    value === null ? t("chat.kept.always") : t(value === 1 ? "chat.kept.day" : "chat.kept.days", { days: value });

  function draw() {
    const offered = days === null || DAYS.includes(days) ? DAYS : [...DAYS, days].sort((a, b) => a - b);
    const options = [null, ...offered].map((value) => {
      const option = el("option", { value: String(value ?? "") }, words(value));
      option.selected = value === days;
      return option;
    });
    choice.replaceChildren(...options);
    label.hidden = role !== "operator";
    note.hidden = role !== "class";
    note.textContent = days === null ? t("chat.kept.class") : t("chat.kept.class_days", { time: words(days) });
  }

  async function set() {
    const wanted = choice.value === "" ? null : Number(choice.value);
    const done = await attempt(() => post("chat/kept", { days: wanted }));
    if (done) days = wanted;
    draw();
    changed();
  }

  return {
    element,
    /** @param {number | null} now */
    show(now) {
      if (now === days && choice.options.length) return;
      days = now;
      draw();
    },
    /** @param {string} now */
    forRole(now) {
      if (now === role) return;
      role = now;
      draw();
    },
  };
}
