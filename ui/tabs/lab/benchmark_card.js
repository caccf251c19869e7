// @ts-check
/** One benchmark: how far it is, its curves with the knee marked, its table. */

import { actionRow, badge, problemLine } from "../../page/cards.js";
import { el, fill } from "../../page/dom.js";
import { duration, gib, number } from "../../page/format.js";
import { latestReply, oneAtATime } from "../../page/latest_reply.js";
import { keepPlace, whenChanged } from "../../page/redraw.js";
import { get, link, post } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { comparedView } from "./compared_view.js";
import { chart, COLOURS } from "./plot.js";
import { moment } from "./run_values.js";

/** @import { Benchmark, Compared, Level, Target } from "./types.d.ts" */

const CURVES = /** @type {const} */ ([
  "tokens_per_s",
  "requests_per_s",
  "ttft_ms",
  "tpot_ms",
  "kv_usage",
  "gpu_bytes",
  "watts",
]);
/** @typedef {(typeof CURVES)[number]} Curve */
const GIB = 2 ** 30;

/** @param {Benchmark} one */
export const isOver = ({ state }) => state !== "queued" && state !== "running";

/** A figure of a level for a curve: the middle one of three percentiles; KV cache in %, memory in GiB. @param {Level} level @param {Curve} name */
export function figure(level, name) {
  if (name === "ttft_ms" || name === "tpot_ms") return level[name][0];
  const value = level[name];
  if (value === null || value === undefined) return null;
  return name === "kv_usage" ? value * 100 : name === "gpu_bytes" ? value / GIB : value;
}

/** @param {string} id @param {() => void} changed */
export function benchmarkCard(id, changed) {
  const head = el("div", { class: "lab-actions" });
  const bar = el("progress", { max: "1", "aria-label": t("lab.benchmark.progress") });
  const compared = el("div", { class: "lab-compared" });
  const stage = el("div", {});
  const drawing = el("div", {});
  const levels = el("div", {});
  const choose = el("select", {
    class: "lab-input",
    onchange() {
      curve = /** @type {Curve} */ (choose.value);
      if (shown) drawCurve(shown);
    },
  });
  const choice = el("label", { class: "lab-pick", hidden: true }, t("lab.benchmark.curve.label"), choose);
  const actions = actionRow("lab-actions");
  const problem = problemLine("lab-problem");
  const element = el(
    "article",
    { class: "lab-card", dataset: { benchmark: id } },
    head,
    bar,
    problem.element,
    compared,
    stage,
    choice,
    drawing,
    levels,
    actions.element,
  );
  let asked = "";
  const compare = oneAtATime(
    latestReply(
      () => get(`lab/benchmarks/${id}/compared`),
      (/** @type {Compared} */ reply) => keepPlace(compared, () => fill(compared, comparedView(reply))),
      () => {
        asked = ""; // the next change asks again; the page says by itself that the console is away
      },
    ),
  );
  let curve = /** @type {Curve} */ ("tokens_per_s");
  /** @type {Benchmark | null} */
  let shown = null;

  /** @param {string} path */
  const act = (path) => async () => {
    await problem.attempt(() => post(`lab/benchmarks/${id}/${path}`));
    changed();
  };

  /** @param {Benchmark} one */
  function draw(one) {
    shown = one;
    element.dataset.state = one.state;
    const { config, targets } = one;
    const measured = targets.filter(({ skipped }) => !skipped);
    const steps = (/** @type {Target[]} */ some) =>
      some.reduce((sum, one) => sum + one.levels.length + one.answered, 0);
    const of = (config.users.length + one.questions) * measured.length;
    const done = steps(measured);
    const sizes = { prompt: config.prompt_tokens, answer: config.answer_tokens, seconds: config.seconds };
    const what = config.users.length
      ? [t("lab.benchmark.sizes", sizes), config.picture ? t("lab.benchmark.with_picture") : ""]
          .filter(Boolean)
          .join(", ")
      : t("lab.quality.asked", { questions: one.questions });
    fill(
      head,
      el("strong", {}, one.name),
      badge(one.state),
      el("span", { class: "lab-hint" }, moment(one.created_at), " · ", what),
    );
    bar.hidden = isOver(one);
    bar.value = done / Math.max(1, of);
    if (one.questions) showCompared(one, done);
    fill(
      stage,
      stages(one, done, of),
      targets.map((target) => target.problem && el("p", { class: "lab-problem" }, target.problem)),
    );
    choice.hidden = !targets.some((target) => target.levels.length > 0);
    if (!choice.hidden) {
      offerCurves(CURVES.filter((name) => hasCurve(one, name)));
      drawCurve(one);
      keepPlace(levels, () => fill(levels, table(targets), notes(targets)));
    }
    /** @param {string} action @param {string} text */
    const button = (action, text) =>
      el("button", { class: "button small", type: "button", dataset: { action }, onclick: act(action) }, text);
    const files = /** @type {const} */ (["csv", "json", "md"]).map((format) => {
      const look = {
        class: "button small",
        href: link(`lab/benchmarks/${id}/file?format=${format}`),
        download: `benchmark-${id}.${format}`,
      };
      return el("a", look, t(`lab.runs.file.${format}`));
    });
    actions.show(
      [
        isOver(one) ? button("forget", t("lab.benchmark.forget")) : button("cancel", t("lab.benchmark.cancel")),
        done > 0 ? files : null,
      ],
      element,
    );
  }

  /** The servers side by side, asked for when there is more to see. @param {Benchmark} one @param {number} done */
  function showCompared(one, done) {
    const now = `${one.state} ${done}`;
    if (now === asked || (!done && !one.config.table)) return;
    asked = now;
    void compare();
  }

  /** Somebody may have it open. */
  const offerCurves = whenChanged((/** @type {Curve[]} */ names) => {
    fill(
      choose,
      names.map((name) => el("option", { value: name }, t(`lab.benchmark.curve.${name}`))),
    );
    choose.value = curve;
  });

  /** @param {Benchmark} one */
  function drawCurve(one) {
    /** @param {Target} target @returns {[number, number | null][]} */
    const pointsOf = ({ levels }) => levels.map((level) => [level.users, figure(level, curve)]);
    const measured = one.targets.filter(({ levels }) => levels.length > 0);
    const series = measured.map((target) => ({ name: nameOf(target), points: pointsOf(target) }));
    const knees = one.targets.filter(({ knee }) => knee !== null);
    const mark =
      knees.length === 1 && knees[0].knee !== null ? { x: knees[0].knee, text: t("lab.benchmark.knee") } : null;
    fill(
      drawing,
      chart(series, {
        x: { name: t("lab.benchmark.field.users"), from: 0 },
        y: { name: t(`lab.benchmark.curve.${curve}`), from: 0 },
        mark,
        label: t(`lab.benchmark.curve.${curve}`),
      }),
      el(
        "ul",
        { class: "lab-legend" },
        measured.map((target, index) => el("li", {}, swatch(index), nameOf(target), " · ", kneeText(target))),
      ),
    );
  }
  return { element, show: whenChanged(draw), tick: () => {} };
}

/** Whether anything was measured for it. @param {Benchmark} one @param {Curve} name */
const hasCurve = ({ targets }, name) =>
  targets.some(({ levels }) => levels.some((level) => figure(level, name) !== null));

/** A line of the tutorials' table is named by what it stands for. @param {Target} target */
const nameOf = ({ line, engine, name }) =>
  line ? t(`lab.table.line.${engine === "transformers" ? "cpu" : line}`) : name;

/** @param {number} index */
const swatch = (index) => el("span", { class: "lab-swatch", style: { background: COLOURS[index % COLOURS.length] } });

/** @param {Target} target */
const kneeText = ({ knee, levels }) =>
  knee !== null
    ? t("lab.benchmark.knee-at", { users: knee })
    : levels.length > 1
      ? t("lab.benchmark.no-knee")
      : t("lab.benchmark.one-level");

/** @param {Benchmark} one @param {number} done @param {number} of */
function stages(one, done, of) {
  if (one.state === "queued") return el("p", { class: "lab-hint" }, t("lab.benchmark.queued"));
  if (isOver(one)) return null;
  const target = one.targets.find(({ stage }) => stage !== "over");
  const stage = target ? t(`lab.benchmark.stage.${target.stage}`, { name: nameOf(target) }) : "";
  return el(
    "p",
    { class: "lab-hint" },
    stage,
    " ",
    t("lab.benchmark.done", { done, of, time: duration(one.estimate_s) }),
  );
}

/** @param {Target[]} targets */
function table(targets) {
  const heads = [
    "users",
    "tokens_per_s",
    "requests_per_s",
    "ttft_ms",
    "tpot_ms",
    "kv_usage",
    "gpu_bytes",
    "watts",
    "requests",
  ];
  const three = (/** @type {(number | null)[]} */ values, /** @type {number} */ digits) =>
    values.map((value) => number(value, digits)).join(" / ");
  /** @param {Level} level */
  const cells = (level) => [
    String(level.users),
    number(level.tokens_per_s, 1),
    number(level.requests_per_s, 2),
    three(level.ttft_ms, 0),
    three(level.tpot_ms, 1),
    level.kv_usage === null || level.kv_usage === undefined ? "–" : `${number(level.kv_usage * 100, 0)} %`,
    gib(level.gpu_bytes),
    level.watts === null || level.watts === undefined ? "–" : `${number(level.watts, 0)} W`,
    level.failed ? t("lab.benchmark.failed", { count: level.requests, failed: level.failed }) : String(level.requests),
  ];
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, t("lab.column.name")),
    heads.map((name) => el("th", { scope: "col", class: "number" }, t(`lab.benchmark.head.${name}`))),
  );
  const rows = targets.flatMap((target) =>
    target.levels.map((level) =>
      el(
        "tr",
        { dataset: { users: level.users, knee: target.knee === level.users ? "1" : "0" } },
        el("th", { scope: "row" }, nameOf(target)),
        cells(level).map((cell) => el("td", { class: "number" }, cell)),
      ),
    ),
  );
  return el(
    "div",
    {
      class: "table-scroll",
      tabindex: "0",
      role: "region",
      "aria-label": t("lab.benchmark.list"),
      dataset: { focus: "levels" },
    },
    el("table", { class: "table lab-levels" }, el("thead", {}, head), el("tbody", {}, rows)),
  );
}

/** What must be known to read the figures. @param {Target[]} targets */
function notes(targets) {
  const levels = targets.flatMap((target) => target.levels);
  return el(
    "ul",
    { class: "lab-hint lab-notes" },
    levels.some((level) => level.client_limited) && el("li", { class: "lab-warning" }, t("lab.benchmark.limited")),
    levels.some((level) => level.approximate) && el("li", {}, t("lab.benchmark.approximate")),
    el("li", {}, t("lab.benchmark.percentiles")),
  );
}
