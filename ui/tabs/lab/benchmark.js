// @ts-check
/** Benchmarks: a form with what it costs, and each one as a card with curves and a table. */

import { cardList, problemLine } from "../../page/cards.js";
import { ask } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { duration } from "../../page/format.js";
import { get, post, sentences } from "../../page/request.js";
import { onSnapshot } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";
import { benchmarkCard, isOver } from "./benchmark_card.js";

/** @import { Server } from "../../page/types.d.ts" */
/** @import { Benchmark, Cost, RunRow } from "./types.d.ts" */
/** @typedef {{rows: RunRow[], changed: () => void}} Settings */

const TYPING_MS = 400;
const BUSY_MS = 1500;
const CALM_MS = 15_000;
const FIELDS = /** @type {const} */ ([
  ["users", "1, 2, 4, 8"],
  ["prompt_tokens", "128"],
  ["answer_tokens", "128"],
  ["seconds", "20"],
]);

/** @param {HTMLElement} element @param {Settings} settings */
export function benchmarkPanel(element, settings) {
  /** @type {Server[]} */
  let running = [];
  /** @type {Set<string>} */
  const chosen = new Set();
  const targets = el("fieldset", { class: "lab-targets", id: "lab-benchmark-targets" });
  const cost = el("p", { class: "lab-cost", id: "lab-benchmark-cost", role: "status" });
  const start = el(
    "button",
    { class: "button primary", type: "button", id: "lab-benchmark-start", onclick: begin },
    t("lab.benchmark.start"),
  );
  const picture = el("input", { type: "checkbox", id: "lab-benchmark-picture", onchange: changed });
  const inputs = Object.fromEntries(
    FIELDS.map(([name, value]) => [
      name,
      el("input", { class: "lab-input", id: `lab-benchmark-${name}`, value, oninput: changed }),
    ]),
  );
  const problem = problemLine("lab-problem");
  const list = el("div", { class: "lab-benchmarks", id: "lab-benchmarks" });
  const none = el("p", { class: "lab-hint" }, t("lab.benchmark.none"));
  const cards = cardList(list, (/** @type {Benchmark} */ one) => benchmarkCard(one.id, load));

  const asked = () => ({
    servers: running.map(({ id }) => id).filter((id) => chosen.has(id)),
    runs: settings.rows.map(({ id }) => id),
    picture: picture.checked,
    ...Object.fromEntries(FIELDS.map(([name]) => [name, inputs[name].value])),
  });

  function showTargets() {
    const boxes = running.map((server) => {
      const box = el("input", {
        type: "checkbox",
        checked: chosen.has(server.id),
        dataset: { server: server.id },
        onchange: () => {
          if (box.checked) chosen.add(server.id);
          else chosen.delete(server.id);
          changed();
        },
      });
      return el("label", { class: "lab-check" }, box, server.name);
    });
    const rows = settings.rows.map((row) => {
      const drop = () => {
        settings.rows = settings.rows.filter(({ id }) => id !== row.id);
        showTargets();
        changed();
      };
      const name = [row.model, row.settings].filter(Boolean).join(" · ");
      const look = { class: "button small icon", type: "button", "aria-label": t("lab.benchmark.drop", { name }) };
      return el(
        "span",
        { class: "lab-check" },
        t("lab.benchmark.settings", { name }),
        el("button", { ...look, onclick: drop }, "×"),
      );
    });
    const empty = !boxes.length && !rows.length && el("p", { class: "lab-hint" }, t("lab.benchmark.no_server"));
    fill(targets, el("legend", {}, t("lab.benchmark.targets")), boxes, rows, empty);
    start.disabled = !asked().servers.length && !settings.rows.length;
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  let turn = 0;
  function changed() {
    const { servers, runs } = asked();
    start.disabled = !servers.length && !runs.length;
    clearTimeout(typing);
    typing = setTimeout(async () => {
      const mine = ++turn;
      if (start.disabled) {
        fill(cost);
        return;
      }
      try {
        const reply = /** @type {Cost} */ (await post("lab/benchmarks/cost", asked()));
        const { seconds, levels, most_users: users } = reply;
        const text = t("lab.benchmark.cost", { time: duration(seconds), targets: reply.targets.length, levels, users });
        if (mine === turn) showCost([text, ...reply.asked], false);
      } catch (error) {
        if (mine === turn) showCost(sentences(error), true);
      }
    }, TYPING_MS);
  }

  /** @param {string[]} lines @param {boolean} wrong */
  function showCost(lines, wrong) {
    cost.dataset.wrong = wrong ? "1" : "0";
    fill(
      cost,
      lines.map((line) => el("span", {}, line)),
    );
  }

  async function begin() {
    start.disabled = true;
    await problem.attempt(async () => {
      const { asked: questions } = /** @type {Cost} */ (await post("lab/benchmarks/cost", asked()));
      if (questions.length) {
        const text = questions.join(" ");
        const title = t("lab.benchmark.ask");
        if (!(await ask({ id: "lab-benchmark-ask", title, text, confirm: t("lab.benchmark.start") }))) return;
      }
      await post("lab/benchmarks/start", { ...asked(), confirmed: questions.length > 0 });
      settings.rows = [];
    });
    showTargets();
    await load();
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  async function load() {
    clearTimeout(timer);
    let pause = CALM_MS;
    try {
      const { benchmarks } = /** @type {{benchmarks: Benchmark[]}} */ (await get("lab/benchmarks"));
      none.hidden = benchmarks.length > 0;
      cards.show(benchmarks);
      if (benchmarks.some((one) => !isOver(one))) pause = BUSY_MS;
    } catch {
      // the page says by itself that the console is away
    }
    clearTimeout(timer);
    if (element.offsetParent && document.visibilityState === "visible") timer = setTimeout(load, pause);
  }

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
    targets,
    el(
      "div",
      { class: "lab-fields" },
      FIELDS.map(([name]) => field(name)),
    ),
    el("label", { class: "lab-check" }, picture, t("lab.benchmark.field.picture")),
    cost,
    start,
    problem.element,
    el("h3", {}, t("lab.benchmark.list")),
    none,
    list,
  );
  settings.changed = () => {
    showTargets();
    changed();
  };
  onSnapshot(({ servers }) => {
    const now = servers.filter(({ state }) => state === "running");
    if (now.map(({ id, name }) => id + name).join() === running.map(({ id, name }) => id + name).join()) return;
    running = now;
    showTargets();
    changed();
  });
  showTargets();
  new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && load()).observe(element);
  document.addEventListener("visibilitychange", () => element.offsetParent && load());
}
