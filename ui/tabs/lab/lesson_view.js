// @ts-check
/** One lesson: its steps, each ticked off by the real state; predictions; the student's words; the report. */

import { byId, el, fill } from "../../page/dom.js";
import { gib, number } from "../../page/format.js";
import { link } from "../../page/request.js";
import { showTab } from "../../page/tabs.js";
import { t } from "../../page/texts.js";

/** @import { LessonStep, MeasuredServer, WholeLesson } from "./types.d.ts" */
/** @typedef {(path: string, body?: object) => Promise<boolean>} Act sends it to that address below the lessons */
/** @typedef {{waiting: (path: string) => object | undefined}} Given what hasn't arrived there */

const NAME = "name"; // where the name goes under which they hand in
const MARKED_MS = 6000;
const SOON_MS = 150;
const MOST_LOOKS = 100;
const ENOUGH_LOOKS = 4; // at an open tab: what isn't shown by then is folded away, or comes late
const PARTS = /** @type {const} */ (["weights", "context", "kv", "work"]);

/**
 * @param {Act} act
 * @param {Given} given
 * @param {(name: string) => void} openSection shows a part of the Lab by its name
 */
export function lessonView(act, given, openSection) {
  const title = el("h3", {});
  const intro = el("p", { class: "lab-intro" });
  const steps = el("ol", { class: "lab-steps" });
  const measured = el("div", { id: "lab-lesson-measured" });
  const words = el("textarea", {
    class: "lab-input lab-note",
    rows: "4",
    id: "lab-lesson-words",
    placeholder: t("lab.lesson.words"),
    "aria-label": t("lab.lesson.words"),
  });
  const name = el("input", {
    class: "lab-input",
    id: "lab-lesson-name",
    "aria-label": t("lab.lesson.name"),
    placeholder: t("lab.lesson.name"),
  });
  const said = el("span", { class: "lab-hint", role: "status" });
  const report = el("div", { class: "lab-actions", id: "lab-report" });
  const anew = el(
    "button",
    { class: "button small", type: "button", onclick: () => act(below("begin"), { anew: true }) },
    t("lab.lesson.anew"),
  );
  const element = el(
    "div",
    {},
    title,
    intro,
    steps,
    measured,
    el("h4", {}, t("lab.report.title")),
    el("p", { class: "lab-hint" }, t("lab.report.what")),
    el("div", { class: "lab-actions" }, name, said),
    words,
    report,
    anew,
  );
  /** @param {string} path @param {object} body */
  async function note(path, body) {
    said.textContent = "";
    if (await act(path, body)) said.textContent = t("lab.beside.noted");
  }
  words.addEventListener("change", () => note(below("words"), { words: words.value }));
  name.addEventListener("change", () => note(NAME, { name: name.value }));
  let drawn = "";
  let open = "";
  /** @param {string} what of the open lesson */
  const below = (what) => `${encodeURIComponent(open)}/${what}`;
  /** What is done with a step has an address of its own. @param {string} step @returns {Act} */
  const ofStep = (step) => (what, body) => act(below(`${what}?step=${encodeURIComponent(step)}`), body);
  /** What was written there and hasn't arrived. @param {string} path @returns {Record<string, string>} */
  const written = (path) => /** @type {Record<string, string>} */ (given.waiting(path) ?? {});
  return {
    element,
    /** @param {WholeLesson} lesson @param {string} known the name that they gave before */
    show(lesson, known) {
      const now = JSON.stringify([lesson, known]);
      if (now === drawn) return;
      drawn = now;
      const other = open !== lesson.id;
      open = lesson.id;
      element.dataset.lesson = lesson.id;
      element.dataset.done = String(lesson.done);
      title.textContent = lesson.title;
      fill(intro, rich(lesson.intro));
      if (other || document.activeElement !== words) words.value = written(below("words")).words ?? lesson.words;
      if (document.activeElement !== name) name.value = written(NAME).name ?? known;
      keepTyping(steps, () =>
        fill(
          steps,
          lesson.steps.map((step) => line(step, ofStep(step.id), openSection)),
        ),
      );
      fill(
        measured,
        lesson.measured.length ? [el("h4", {}, t("lab.report.measured")), lesson.measured.map(bars)] : null,
      );
      const files = /** @type {const} */ (["html", "md", "json"]).map((format) => {
        const href = link(`lab/lessons/${lesson.id}/report?format=${format}`);
        const look = {
          class: `button small ${format === "html" ? "primary" : ""}`,
          href,
          download: `${lesson.id}.${format}`,
          dataset: { format },
        };
        return el("a", look, t(`lab.report.file.${format}`));
      });
      fill(report, files);
    },
  };
}

/** What is being typed into a step stays, and so does the focus. @param {HTMLElement} place @param {() => void} draw */
function keepTyping(place, draw) {
  const typed = new Map([...place.querySelectorAll("input")].map((box) => [box.dataset.step, box.value]));
  const focused =
    document.activeElement instanceof HTMLElement && place.contains(document.activeElement)
      ? document.activeElement.dataset.focus
      : undefined;
  draw();
  for (const box of place.querySelectorAll("input")) {
    const value = typed.get(box.dataset.step);
    if (value) box.value = value;
  }
  if (focused) /** @type {HTMLElement | null} */ (place.querySelector(`[data-focus="${focused}"]`))?.focus();
}

/**
 * A lesson's text: what stands between backquotes is code, and nothing else is markup.
 *
 * @param {string} text
 */
export const rich = (text) => text.split("`").map((piece, index) => (index % 2 ? el("code", {}, piece) : piece));

/** @param {LessonStep} step @param {Act} act @param {(name: string) => void} openSection */
function line(step, act, openSection) {
  const state = step.done ? "succeeded" : "queued";
  return el(
    "li",
    { class: "lab-step", dataset: { step: step.id, kind: step.kind, state, how: step.done } },
    el(
      "span",
      { class: "lab-tick", role: "img", "aria-label": t(step.done ? "lab.lesson.done" : "lab.lesson.open") },
      step.done ? "✓" : "○",
    ),
    el(
      "div",
      {},
      el("p", {}, rich(step.text)),
      step.explained && el("p", { class: "lab-explained" }, step.explained),
      step.replay && el("p", { class: "lab-replay" }, step.replay),
      step.why && el("p", { class: "lab-hint" }, rich(step.why)),
      el("div", { class: "lab-actions" }, buttons(step, act, openSection)),
    ),
  );
}

/** @param {LessonStep} step @param {Act} act @param {(name: string) => void} openSection */
function buttons(step, act, openSection) {
  /** @param {string} what @param {string} text @param {() => unknown} onclick */
  const button = (what, text, onclick) =>
    el(
      "button",
      { class: "button small", type: "button", dataset: { action: what, focus: `${step.id}-${what}` }, onclick },
      text,
    );
  const made = [];
  if (step.kind === "predict") {
    const box = el("input", {
      class: "lab-input lab-number",
      inputmode: "decimal",
      dataset: { step: step.id, focus: `${step.id}-box` },
      "aria-label": t("lab.lesson.prediction"),
    });
    const send = () => act("predict", { step: step.id, value: box.value });
    box.addEventListener("keydown", (event) => event.key === "Enter" && send());
    made.push(box, button("predict", t(step.done ? "lab.lesson.again" : "lab.lesson.predict"), send));
  }
  const show = () => {
    if (step.tab === "lab") openSection(step.control.replace(/^lab-/, ""));
    showControl(step.tab, step.control);
  };
  if (step.tab) made.push(button("show", t("lab.lesson.show"), show));
  if (step.kind === "read" && !step.done)
    made.push(button("read", t("lab.lesson.read"), () => act("read", { step: step.id })));
  if (step.can_replay) made.push(button("replay", t("lab.lesson.look-replay"), () => act("replay", { step: step.id })));
  return made;
}

/**
 * Opens the tab and marks the control there, once it is on the page. One that is folded away, or that the chosen engine
 * hides, is marked by what stands around it until it is seen.
 *
 * @param {string} tab @param {string} id
 */
function showControl(tab, id) {
  showTab(tab);
  if (!id) return;
  let [looks, looksAtTab] = [0, 0];
  let marked = /** @type {HTMLElement | null} */ (null);
  const mark = (/** @type {HTMLElement | null} */ place) => {
    if (place === marked) return;
    marked?.classList.remove("lab-marked");
    marked = place;
    place?.scrollIntoView({ block: "center" });
    place?.classList.add("lab-marked");
    setTimeout(() => place?.classList.remove("lab-marked"), MARKED_MS);
  };
  const look = () => {
    const control = byId(id);
    if (control && byId(`${tab}-tab`)?.offsetParent) looksAtTab += 1;
    const isSeen = Boolean(control?.offsetParent);
    if (control && (isSeen || looksAtTab >= ENOUGH_LOOKS)) mark(shownPart(control));
    if (!isSeen && ++looks < MOST_LOOKS) setTimeout(look, SOON_MS);
  };
  look();
}

/** The element, or the nearest around it that a person sees. @param {HTMLElement} element */
function shownPart(element) {
  let place = /** @type {HTMLElement | null} */ (element);
  while (place && !place.offsetParent) place = place.parentElement;
  return place;
}

/** Planned above measured, part by part, in one scale. @param {MeasuredServer} server */
function bars(server) {
  const sum = (/** @type {Record<string, number>} */ parts) => PARTS.reduce((all, part) => all + (parts[part] ?? 0), 0);
  const most = Math.max(sum(server.planned), sum(server.measured), 1);
  /** @param {"planned" | "measured"} which */
  const bar = (which) =>
    sum(server[which]) > 0 &&
    el(
      "div",
      { class: "lab-bar" },
      el("span", {}, t(`lab.report.head.${which}`)),
      el(
        "div",
        { class: "lab-bar-parts" },
        PARTS.map((part) =>
          el("i", {
            dataset: { part },
            style: { width: `${((server[which][part] ?? 0) / most) * 100}%`, background: "var(--part)" },
            title: `${t(`lab.column.${part}_bytes`)}: ${gib(server[which][part])}`,
          }),
        ),
      ),
      el("span", {}, gib(sum(server[which]))),
    );
  const tokens = server.tokens === null ? null : ` · ${number(server.tokens, 0)} ${t("lab.column.tokens")}`;
  return el(
    "div",
    { class: "lab-measured" },
    el("p", {}, server.name, " · ", gib(server.total), tokens),
    bar("planned"),
    bar("measured"),
  );
}
