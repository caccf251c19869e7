// @ts-check
/** The quality microscope: a question or a shipped set at several servers, and each comparison as a card. */

import { el, fill } from "../../page/dom.js";
import { duration } from "../../page/format.js";
import { t } from "../../page/texts.js";
import { benchmarkList } from "./benchmark_list.js";
import { jobForm } from "./job_form.js";
import { settingsToMeasure, targetChooser } from "./targets.js";

const SETS = /** @type {const} */ (["en", "zh"]);

/** @param {HTMLElement} element */
export function qualityPanel(element) {
  const set = el("select", { class: "lab-input", id: "lab-quality-questions", onchange: () => form.changed() });
  fill(
    set,
    SETS.map((name) => el("option", { value: name }, t(`lab.quality.set.${name}`))),
    el("option", { value: "" }, t("lab.quality.set.none")),
  );
  set.value = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
  /** @param {string} name */
  const area = (name) =>
    el("textarea", {
      class: "lab-input lab-note",
      rows: "3",
      id: `lab-quality-${name}`,
      oninput: () => form.changed(),
    });
  const [question, text] = [area("question"), area("text")];
  const list = benchmarkList(
    element,
    "lab-qualities",
    t("lab.quality.list"),
    ({ config }) => config.users.length === 0,
  );
  const targets = targetChooser("lab-quality-targets");
  const form = jobForm({
    id: "lab-quality",
    start: t("lab.quality.start"),
    asked: () => ({
      kind: "quality",
      ...targets.chosen(),
      questions: set.value,
      question: question.value,
      text: text.value,
    }),
    can: () => Object.values(targets.chosen()).some((ids) => ids.length > 0),
    say: ({ seconds, questions, targets: names }) => [
      t("lab.quality.cost", { time: duration(seconds), servers: names.length, questions }),
    ],
    started: () => {
      settingsToMeasure.set([]);
      return list.load();
    },
  });
  targets.watch(form.changed);
  fill(
    element,
    el("p", { class: "lab-hint" }, t("lab.quality.what")),
    targets.element,
    el(
      "div",
      { class: "lab-fields" },
      el("label", { class: "lab-field" }, t("lab.quality.field.questions"), set),
      el("label", { class: "lab-field" }, t("lab.quality.field.question"), question),
      el(
        "label",
        { class: "lab-field" },
        t("lab.quality.field.text"),
        text,
        el("span", { class: "lab-hint" }, t("lab.quality.hint.text")),
      ),
    ),
    form.elements,
    list.elements,
  );
}
