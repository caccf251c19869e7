// @ts-check
/** Settings and prompts under a name: chosen, kept, deleted. */

import { openDialog } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";

/** @typedef {{key: string, name: string, prompt: boolean}} Preset `key`: "" of a person's own */
/** @typedef {"apply" | "keep" | "forget"} Event */

/**
 * @param {HTMLElement} element
 * @param {(event: Event, data: {prompt: boolean, name: string, key?: string}) => void} tell
 * @returns {(value: {presets?: Preset[]}) => void}
 */
export function presets(element, tell) {
  return ({ presets: offered = [] }) =>
    fill(
      element,
      el("div", { class: "chat-presets", id: "chat-preset-rows" }, row(offered, true, tell), row(offered, false, tell)),
    );
}

/** @param {Preset[]} offered @param {boolean} prompt @param {Parameters<typeof presets>[1]} tell */
function row(offered, prompt, tell) {
  const mine = offered.filter((one) => one.prompt === prompt);
  const kind = prompt ? "prompts" : "settings";
  /** @param {boolean} own */
  const group = (own) => {
    const options = mine
      .map((one, place) => ({ one, place }))
      .filter(({ one }) => (one.key === "") === own)
      .map(({ one, place }) => el("option", { value: String(place) }, one.name));
    const label = t(own ? "chat.preset.own" : "chat.preset.shipped");
    return options.length ? el("optgroup", { label }, options) : null;
  };
  const choice = el(
    "select",
    {
      id: `chat-preset-${kind}`,
      "aria-label": t(`chat.preset.${kind}`),
      onchange() {
        const chosen = mine[Number(choice.value)];
        forget.hidden = !chosen || chosen.key !== "";
        if (chosen && choice.value !== "") tell("apply", { prompt, name: chosen.name, key: chosen.key });
      },
    },
    el("option", { value: "" }, t("chat.preset.choose")),
    group(true),
    group(false),
  );
  const keep = el(
    "button",
    { class: "button small", type: "button", dataset: { keep: kind }, onclick: () => ask(prompt, tell) },
    t("chat.preset.keep"),
  );
  const name = t("chat.preset.forget");
  const forget = el("button", {
    class: "button small icon",
    type: "button",
    hidden: true,
    title: name,
    "aria-label": name,
    dataset: { icon: "delete" },
    onclick() {
      const chosen = mine[Number(choice.value)];
      if (chosen) tell("forget", { prompt, name: chosen.name });
    },
  });
  const label = el("span", { class: "chat-preset-label" }, t(`chat.preset.${kind}`));
  return el("div", { class: "chat-preset", dataset: { kind } }, label, choice, forget, keep);
}

/** Asks for the name. @param {boolean} prompt @param {Parameters<typeof presets>[1]} tell */
function ask(prompt, tell) {
  const input = el("input", { type: "text", id: "chat-preset-name", maxlength: 60, required: true });
  const form = el(
    "form",
    {
      method: "dialog",
      class: "chat-preset-form",
      onsubmit() {
        if (input.value.trim()) tell("keep", { prompt, name: input.value });
      },
    },
    el("label", {}, t("chat.preset.name"), " ", input),
    el("button", { class: "button primary", type: "submit" }, t("chat.preset.keep")),
  );
  const title = t(prompt ? "chat.preset.keep_prompt" : "chat.preset.keep_settings");
  openDialog({ id: "chat-keep-preset", title, look: "small" }, form);
  input.focus();
}
