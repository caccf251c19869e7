// @ts-check
/** For the operator: who of the class is here with what each has used, and the limits that hold for each. */

import { problemLine } from "./cards.js";
import { el, fill } from "./dom.js";
import { number } from "./format.js";
import { get, post, sentences } from "./request.js";
import { t } from "./texts.js";

/** @typedef {{who: string, name: string, here: boolean, answering: number, requests: number, tokens: number, pictures: number}} Person */
/** @typedef {Record<string, number | null>} Limits */
/** @typedef {{limits: Limits, people: Person[]}} ClassView */

const LOOK_AGAIN_MS = 2000;
const FIELDS = ["requests_a_minute", "tokens_an_hour", "pictures_a_question", "pictures_an_hour"];
const FIGURES = /** @type {const} */ (["answering", "requests", "tokens", "pictures"]);

/**
 * Both are folded at first: a teacher shows this window to the class. `end` ends its looking.
 *
 * @returns {{element: HTMLElement, end: () => void}}
 */
export function classPanel() {
  const problem = problemLine("class-problem");
  const place = el("div", { class: "class-people" });
  const people = el(
    "details",
    { id: "class-people", ontoggle: () => look() },
    el("summary", {}, t("classroom.people.title")),
    place,
  );
  const limits = limitsForm();
  const element = el("div", { class: "class-panel" }, people, limits.element, problem.element);
  let drawn = "";
  const timer = setInterval(() => {
    const wanted = people.open || !limits.known();
    if (wanted && document.visibilityState === "visible") look();
  }, LOOK_AGAIN_MS);
  look();

  async function look() {
    try {
      const view = /** @type {ClassView} */ (await get("class"));
      limits.show(view.limits);
      const now = JSON.stringify(view.people);
      if (now !== drawn) fill(place, table(view.people));
      drawn = now;
      problem.clear();
    } catch (error) {
      problem.say(error);
    }
  }

  return { element, end: () => clearInterval(timer) };
}

/** @param {Person[]} people */
function table(people) {
  if (!people.length) return el("p", { class: "muted" }, t("classroom.people.none"));
  const heads = [t("classroom.people.name"), ...FIGURES.map((name) => t(`classroom.people.${name}`))];
  return el(
    "table",
    { class: "table" },
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        heads.map((head) => el("th", { scope: "col" }, head)),
      ),
    ),
    el("tbody", {}, people.map(row)),
  );
}

/** @param {Person} person */
function row(person) {
  const name = el("bdi", {}, person.name || t("classroom.people.nameless", { id: person.who }));
  const left = person.here ? null : el("span", { class: "muted" }, " · ", t("classroom.people.left"));
  const figures = FIGURES.map((figure) => el("td", { dataset: { figure } }, number(person[figure])));
  return el("tr", { dataset: { who: person.who, here: person.here } }, el("th", { scope: "row" }, name, left), figures);
}

function limitsForm() {
  const inputs = new Map(
    FIELDS.map((name) => [
      name,
      el("input", {
        type: "text",
        inputmode: "numeric",
        autocomplete: "off",
        disabled: true,
        id: `class-${name.replaceAll("_", "-")}`,
      }),
    ]),
  );
  const said = el("span", { role: "status", class: "class-said" });
  const button = el(
    "button",
    { class: "button small primary", type: "submit", disabled: true },
    t("classroom.limits.save"),
  );
  let known = "";
  const form = el(
    "form",
    { class: "class-limits-form", onsubmit: save },
    [...inputs].map(([name, input]) => el("label", {}, el("span", {}, t(`classroom.limits.${name}`)), input)),
    button,
    said,
  );
  const element = el(
    "details",
    { id: "class-limits" },
    el("summary", {}, t("classroom.limits.title")),
    form,
    el("p", { class: "muted" }, t("classroom.limits.what")),
  );

  /** What is being typed stays. Until the limits are known nothing can be: an empty box is no limit. @param {Limits} limits */
  function show(limits) {
    const now = JSON.stringify(limits);
    if (now === known) return;
    known = now;
    for (const [name, input] of inputs) {
      input.value = input.defaultValue = String(limits[name] ?? "");
      input.disabled = false;
    }
    button.disabled = false;
  }

  /** @param {Event} event */
  async function save(event) {
    event.preventDefault();
    const values = Object.fromEntries([...inputs].map(([name, input]) => [name, input.value]));
    try {
      const { limits } = /** @type {ClassView} */ (await post("class/limits", values));
      known = "";
      show(limits);
      said.dataset.level = "info";
      fill(said, t("classroom.limits.saved"));
    } catch (error) {
      said.dataset.level = "error";
      fill(said, sentences(error).join(" "));
    }
  }

  return { element, show, known: () => known !== "" };
}
