// @ts-check
/** The Lab tab: its sections, and which of them a visitor has. */

import { Bridge } from "../../page/bridge.js";
import { el, fill, outer } from "../../page/dom.js";
import { keepPlace } from "../../page/redraw.js";
import { onSnapshot } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";
import { benchmarkPanel } from "./benchmark.js";
import { lessonPanel } from "./lesson.js";
import { qualityPanel } from "./quality.js";
import { runsPanel } from "./runs.js";
import { settingsToMeasure } from "./targets.js";

/** @import { AreaScript, Role } from "../../page/types.d.ts" */
/** @import { RunRow } from "./types.d.ts" */

/** The run, or the model, that another tab's form is filled with. @type {Bridge<string>} */
const bridge = new Bridge();
const SECTIONS = /** @type {const} */ (["runs", "benchmark", "quality", "lesson"]);
/** @typedef {(typeof SECTIONS)[number]} Section */
const FOR_CLASS = /** @type {readonly string[]} */ (["lesson"]);

/** @type {Partial<Record<Section, HTMLElement>>} */
const places = {};
/** @type {HTMLElement | null} */
let buttons = null;
/** The page knows who looks before the first snapshot tells. @type {Role | null} */
let role = /** @type {Role | null} */ (globalThis.document?.documentElement.dataset.role ?? null);
/** @type {Section} */
let shown = SECTIONS[0];

const allowed = () => SECTIONS.filter((name) => role === "operator" || FOR_CLASS.includes(name));

/** @param {RunRow} row */
function startAgain(row) {
  bridge.share(row.id);
  if (row.kind === "server") bridge.tell("again");
  else bridge.tell("requantize");
}

/** Opens the Quantize form for it. @param {string} model its folder */
function quantize(model) {
  bridge.share(model);
  bridge.tell("quantize");
}

function show() {
  const sections = allowed();
  if (!sections.includes(shown) && sections.length) shown = sections[0];
  for (const name of SECTIONS) {
    const place = places[name];
    if (place) outer(place, `lab-${name}`).hidden = name !== shown || !sections.includes(name);
  }
  if (!buttons) return;
  const row = buttons;
  keepPlace(row, () => fill(row, sectionButtons(sections)));
}

/** @param {readonly Section[]} sections */
function sectionButtons(sections) {
  const choose = (/** @type {Section} */ name) => () => {
    shown = name;
    show();
  };
  return el(
    "div",
    { class: "lab-sections", role: "group", "aria-label": t("lab.sections") },
    sections.map((name) =>
      el(
        "button",
        {
          type: "button",
          class: "lab-section",
          "aria-pressed": String(name === shown),
          dataset: { section: name, focus: name },
          onclick: choose(name),
        },
        t(`lab.section.${name}`),
      ),
    ),
  );
}

onSnapshot((snapshot) => {
  if (snapshot.role === role) return;
  role = snapshot.role;
  show();
});

/** @type {AreaScript["parts"]} */
export const parts = {
  bridge: bridge.attach,
  sections(element) {
    buttons = element;
    show();
  },
  runs(element) {
    places.runs = element;
    runsPanel(element, startAgain, (ids) => {
      settingsToMeasure.add(ids);
      shown = "benchmark";
      show();
    });
    show();
  },
  lesson(element) {
    places.lesson = element;
    lessonPanel(element, (name) => {
      shown = allowed().find((known) => known === name) ?? shown;
      show();
    });
    show();
  },
  benchmark(element) {
    places.benchmark = element;
    benchmarkPanel(element, quantize);
    show();
  },
  quality(element) {
    places.quality = element;
    qualityPanel(element);
    show();
  },
};
