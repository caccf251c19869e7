// @ts-check
/** Presets as files: saved from this console, taken in from another. */

import { el, fill } from "../../page/dom.js";
import { link, post, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";

const MOST_BYTES = 512 * 1024; // what the console takes (backend/presets/preset.py)

/** @param {HTMLElement} element @param {() => void} taken called when the list of presets has changed */
export function presetFiles(element, taken) {
  const said = el("p", { class: "deploy-note", role: "status" });
  const input = el("input", { type: "file", accept: ".json,application/json", class: "sr-only" });
  input.addEventListener("change", async () => {
    const [file] = input.files ?? [];
    input.value = ""; // the same file may be chosen again
    if (!file) return;
    const { text, good } = await take(file);
    said.textContent = text;
    said.classList.toggle("deploy-problem", !good);
    if (good) taken();
  });
  const choose = el("label", { class: "button small" }, t("deploy.preset.import"), input);
  const save = el("a", { class: "button small", href: link("presets"), download: "presets.json" });
  save.textContent = t("deploy.preset.export");
  fill(element, el("div", { class: "deploy-preset-files" }, save, choose, input), said);
}

/** @param {File} file */
async function take(file) {
  if (file.size > MOST_BYTES) {
    return { text: t("deploy.preset.large", { name: file.name, kib: MOST_BYTES / 1024 }), good: false };
  }
  try {
    /** @type {{names: string[]}} */
    const { names } = await post("presets/import", { text: await file.text() });
    return { text: t("deploy.preset.imported", { names: names.join(", ") }), good: true };
  } catch (problem) {
    return { text: sentences(problem).join(" "), good: false };
  }
}
