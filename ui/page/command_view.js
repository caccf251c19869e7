// @ts-check
/** The command that a form would run: what a tutorial would show of it, the rest folded; what is copied is the whole. */

import { copyButton } from "./clipboard.js";
import { essence, whole } from "./command_text.js";
import { el, fill } from "./dom.js";
import { t } from "./texts.js";

/** @import { GradioElement } from "./types.d.ts" */

/**
 * Fills the element, and follows its value. A `note` stands in place of a command where there is none to run.
 *
 * @param {HTMLElement} element
 * @param {GradioElement} gradio
 * @param {{title: string, note?: string}} look
 */
export function commandView(element, gradio, { title, note = "" }) {
  const seen = el("code");
  const all = el("code");
  // For who reads the page without seeing it, and for programs: in one line.
  const text = el("textarea", { class: "unseen", readonly: true, tabindex: "-1", "aria-label": title });
  const copy = copyButton(() => whole(text.value));
  const fold = el(
    "details",
    { class: "command-whole" },
    el("summary", {}, t("common.command.whole")),
    el("pre", { class: "code", tabindex: "0" }, all),
  );
  const shown = el("pre", { class: "code", tabindex: "0", "aria-label": title }, seen);
  const head = el("div", { class: "command-head" }, el("span", {}, title), copy);
  const said = el("p", { class: "muted" }, note);
  fill(element, head, shown, fold, said, text);

  function show() {
    const line = String(gradio.props.value ?? "");
    const isNote = note !== "" && line === note;
    const short = essence(line);
    text.value = line;
    seen.textContent = short.text;
    all.textContent = whole(line);
    said.hidden = !isNote;
    for (const part of [head, shown]) part.hidden = isNote || line === "";
    fold.hidden = isNote || !short.folded;
  }
  gradio.watch("value", show);
  show();
}
