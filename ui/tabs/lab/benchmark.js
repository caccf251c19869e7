// @ts-check
/** Benchmarks: a form with what it costs, the tutorials' table, and each one as a card with curves and a table. */

import { el, fill } from "../../page/dom.js";
import { duration } from "../../page/format.js";
import { t } from "../../page/texts.js";
import { benchmarkList } from "./benchmark_list.js";
import { jobForm } from "./job_form.js";
import { tableForm } from "./table_form.js";
import { settingsToMeasure, targetChooser } from "./targets.js";

const FIELDS = /** @type {const} */ ([
  ["users", "1, 2, 4, 8"],
  ["prompt_tokens", "128"],
  ["answer_tokens", "128"],
  ["seconds", "20"],
]);

/** @param {HTMLElement} element @param {(model: string) => void} quantize opens the Quantize form for a model's folder */
export function benchmarkPanel(element, quantize) {
  const picture = el("input", { type: "checkbox", id: "lab-benchmark-picture", onchange: () => form.changed() });
  const inputs = Object.fromEntries(
    FIELDS.map(([name, value]) => [
      name,
      el("input", { class: "lab-input", id: `lab-benchmark-${name}`, value, oninput: () => form.changed() }),
    ]),
  );
  const list = benchmarkList(
    element,
    "lab-benchmarks",
    t("lab.benchmark.list"),
    ({ config }) => config.users.length > 0,
  );
  const targets = targetChooser("lab-benchmark-targets");
  const form = jobForm({
    id: "lab-benchmark",
    start: t("lab.benchmark.start"),
    asked: () => ({
      ...targets.chosen(),
      picture: picture.checked,
      ...Object.fromEntries(FIELDS.map(([name]) => [name, inputs[name].value])),
    }),
    can: () => Object.values(targets.chosen()).some((ids) => ids.length > 0),
    say: ({ seconds, levels, most_users: users, targets: names }) => [
      t("lab.benchmark.cost", { time: duration(seconds), targets: names.length, levels, users }),
    ],
    started: () => {
      settingsToMeasure.set([]);
      return list.load();
    },
  });
  targets.watch(form.changed);

  const field = (/** @type {string} */ name) =>
    el(
      "label",
      { class: "lab-field" },
      t(`lab.benchmark.field.${name}`),
      inputs[name],
      el("span", { class: "lab-hint" }, t(`lab.benchmark.hint.${name}`)),
    );
  fill(
    element,
    el("p", { class: "lab-hint" }, t("lab.benchmark.what")),
    targets.element,
    el(
      "div",
      { class: "lab-fields" },
      FIELDS.map(([name]) => field(name)),
    ),
    el("label", { class: "lab-check" }, picture, t("lab.benchmark.field.picture")),
    form.elements,
    tableForm(element, list.load, quantize),
    list.elements,
  );
}
