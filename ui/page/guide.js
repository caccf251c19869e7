// @ts-check
/** A short user guide in the page: what to do, in order, for who looks. */

import { openDialog } from "./dialog.js";
import { el } from "./dom.js";
import { showShortcuts } from "./shortcuts.js";
import { t } from "./texts.js";

/** Its chapters, by role: a heading each, and one text or several steps. @type {Record<string, [string, string[]][]>} */
const CHAPTERS = {
  operator: [
    ["guide.first", ["guide.first.1", "guide.first.2", "guide.first.3"]],
    ["guide.memory", ["guide.memory.1", "guide.memory.2", "guide.memory.3"]],
    ["guide.quantize", ["guide.quantize.1", "guide.quantize.2"]],
    ["guide.chat", ["guide.chat.1", "guide.chat.2", "guide.chat.3"]],
    ["guide.classroom", ["guide.classroom.1", "guide.classroom.2", "guide.classroom.3"]],
    ["guide.away", ["guide.away.1"]],
  ],
  class: [
    ["guide.chat", ["guide.chat.1", "guide.chat.2", "guide.chat.3"]],
    ["guide.vram", ["guide.vram.1"]],
    ["guide.student", ["guide.student.1", "guide.student.2"]],
  ],
};

export function openGuide() {
  const role = document.documentElement.dataset.role === "class" ? "class" : "operator";
  const chapters = CHAPTERS[role].map(([heading, steps]) => [
    el("h3", {}, t(heading)),
    el(
      steps.length > 1 ? "ol" : "ul",
      {},
      steps.map((step) => el("li", {}, t(step))),
    ),
  ]);
  const keys = el("button", { class: "button", type: "button", onclick: () => showKeys() }, t("keys.title"));
  const dialog = openDialog({ id: "guide", title: t("header.guide"), tools: keys }, chapters);
  const showKeys = () => {
    dialog.close();
    void showShortcuts();
  };
}
