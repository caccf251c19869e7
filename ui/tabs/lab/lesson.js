// @ts-check
/** Lessons: the shelf, one lesson with its steps, the report; for the operator also files and how far each visitor is. */

import { remember, remembered } from "../../page/browser_storage.js";
import { problemLine } from "../../page/cards.js";
import { el, fill } from "../../page/dom.js";
import { outbox } from "../../page/outbox.js";
import { get, post } from "../../page/request.js";
import { onSnapshot } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";
import { lessonView } from "./lesson_view.js";
import { moment } from "./run_values.js";

/** @import { ClassReply, LessonLine, ShelfReply, WholeLesson } from "./types.d.ts" */

const LOOK_MS = 2000;
const CHOSEN = "lab-lesson";

/** @param {HTMLElement} element @param {(name: string) => void} openSection */
export function lessonPanel(element, openSection) {
  let isOperator = false;
  /** @type {string} */
  let chosen = remembered(CHOSEN, "sessionStorage") ?? "";
  let wanted = ""; // the last one that was clicked; it is chosen once the console knows that it is begun
  const problem = problemLine("lab-problem");
  const lost = problemLine("lab-lost"); // why what is shown may be old
  const shelf = el("div", { class: "lab-shelf", id: "lab-lessons" });
  const place = el("div", { class: "lab-lesson", id: "lab-lesson-open" });
  const teacher = el("div", { id: "lab-lesson-teacher" });
  const given = outbox((path, /** @type {object} */ body) => post(`lab/lessons/${path}`, body), failed);
  const view = lessonView(act, given, openSection);

  /** @param {unknown} error */
  function failed(error) {
    if (problem.isShown()) return problem.say(error);
    problem.say(error);
    problem.element.scrollIntoView({ block: "nearest" });
  }

  /** Sends it until it has arrived, then draws anew. @param {string} path below the lessons @param {object} [body] */
  async function act(path, body = {}) {
    problem.clear();
    if (!(await given.put(path, body))) return false;
    problem.clear();
    await look();
    return true;
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let looks = 0;
  /** What is true now is ticked off as it is asked for. */
  async function look() {
    clearTimeout(timer);
    const mine = ++looks;
    try {
      const reply = /** @type {ShelfReply} */ (await get("lab/lessons"));
      if (mine !== looks) return; // what it tells may be older than what was done since
      if (chosen && !reply.lessons.some(({ id, begun }) => id === chosen && begun)) chosen = "";
      showShelf(reply);
      if (chosen) {
        const lesson = /** @type {WholeLesson} */ (await get(`lab/lessons/${encodeURIComponent(chosen)}`));
        if (mine !== looks) return;
        if (lesson.id === chosen) view.show(lesson, reply.name);
      }
      place.hidden = !chosen;
      lost.clear();
    } catch (error) {
      if (mine !== looks) return;
      lost.say(error);
    }
    clearTimeout(timer);
    if (element.offsetParent && document.visibilityState === "visible") timer = setTimeout(look, LOOK_MS);
  }

  let drawn = "";
  /** @param {ShelfReply} reply */
  function showShelf(reply) {
    const now = JSON.stringify([reply, chosen, isOperator]);
    if (now === drawn) return;
    drawn = now;
    const focused = shelf.contains(document.activeElement) ? document.activeElement : null;
    const kept = focused instanceof HTMLElement ? focused.dataset.lesson : undefined;
    fill(
      shelf,
      reply.lessons.map(line),
      reply.problems.map((text) => el("p", { class: "lab-problem" }, text)),
    );
    if (kept) /** @type {HTMLElement | null} */ (shelf.querySelector(`[data-lesson="${kept}"]`))?.focus();
  }

  /** @param {LessonLine} lesson */
  function line(lesson) {
    const state = lesson.done === lesson.of ? "succeeded" : lesson.begun ? "running" : "queued";
    return el(
      "button",
      {
        class: "lab-book",
        type: "button",
        dataset: { lesson: lesson.id, state },
        "aria-pressed": String(lesson.id === chosen),
        onclick: () => open(lesson.id),
      },
      el("strong", {}, lesson.title),
      el(
        "span",
        { class: "lab-hint" },
        t("lab.lesson.progress", { done: lesson.done, of: lesson.of }),
        lesson.minutes ? t("lab.lesson.minutes", { minutes: lesson.minutes }) : null,
        lesson.own ? t("lab.lesson.own") : null,
      ),
    );
  }

  /** @param {string} id */
  async function open(id) {
    wanted = id;
    problem.clear();
    if (!(await given.put(`${encodeURIComponent(id)}/begin`, {}))) return;
    problem.clear();
    if (wanted !== id) return;
    chosen = id;
    remember(CHOSEN, id, "sessionStorage");
    await look();
    place.scrollIntoView({ block: "nearest" });
  }

  async function showTeacher() {
    if (!isOperator) {
      fill(teacher);
      return;
    }
    const table = el("div", {
      class: "table-scroll",
      id: "lab-class",
      tabindex: "0",
      role: "region",
      "aria-label": t("lab.class.title"),
    });
    const details = el(
      "details",
      { class: "lab-menu wide", ontoggle: () => details.open && showClass(table, failed) },
      el("summary", {}, t("lab.class.title")),
      table,
    );
    const said = el("span", { class: "lab-hint", role: "status" });
    const file = el("input", {
      type: "file",
      accept: ".md,.markdown,text/markdown",
      id: "lab-lesson-file",
      "aria-label": t("lab.lesson.add"),
    });
    file.addEventListener("change", async () => {
      const [one] = file.files ?? [];
      if (!one) return;
      problem.clear();
      try {
        await post("lab/lessons/add", { name: one.name, content: await base64(one) });
        said.textContent = t("lab.lesson.added", { name: one.name });
        await look();
      } catch (error) {
        failed(error);
      }
      file.value = "";
    });
    fill(teacher, details, el("label", { class: "lab-field" }, t("lab.lesson.add"), file), said);
  }

  fill(
    element,
    el("p", { class: "lab-hint" }, t("lab.lesson.what")),
    shelf,
    problem.element,
    lost.element,
    place,
    teacher,
  );
  fill(place, view.element);
  place.hidden = true;
  onSnapshot(({ role }) => {
    if (isOperator === (role === "operator")) return;
    isOperator = role === "operator";
    showTeacher();
  });
  new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && look()).observe(element);
  document.addEventListener("visibilitychange", () => element.offsetParent && look());
}

/** @param {HTMLElement} place @param {(error: unknown) => void} failed */
async function showClass(place, failed) {
  try {
    const { lessons, people } = /** @type {ClassReply} */ (await get("lab/lessons/class"));
    if (!people.length) {
      fill(place, el("p", { class: "lab-hint" }, t("lab.class.none")));
      return;
    }
    const heads = [t("lab.class.who"), ...lessons.map(({ title }) => title), t("lab.class.last")];
    fill(
      place,
      el(
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
        el(
          "tbody",
          {},
          people.map((one) =>
            el(
              "tr",
              { dataset: { who: one.who, here: one.here } },
              el(
                "th",
                { scope: "row" },
                el("bdi", {}, one.name || t("lab.class.nameless", { id: one.who })),
                one.here && el("span", { class: "badge", dataset: { state: "running" } }, t("lab.class.here")),
              ),
              lessons.map(({ id }) => {
                const way = one.ways.find((known) => known.id === id);
                return el("td", {}, way ? `${way.done} / ${way.of}` : "–");
              }),
              el("td", {}, moment(one.last_at)),
            ),
          ),
        ),
      ),
    );
  } catch (error) {
    failed(error);
  }
}

/** @param {File} file @returns {Promise<string>} */
const base64 = (file) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onerror = () => reject(reader.error);
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
    reader.readAsDataURL(file);
  });
