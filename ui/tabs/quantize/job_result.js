// @ts-check
/** What a finished job gave: sizes before and after, the error of each layer, the perplexity. */

import { problemLine } from "../../page/cards.js";
import { el, fill } from "../../page/dom.js";
import { duration, gib, number, sizesUpTo } from "../../page/format.js";
import { t } from "../../page/texts.js";
import { percent } from "./job_facts.js";

/** @import { Job, JobResult, LayerError, Part } from "../../page/types.d.ts" */
/** @import { Tab } from "./job_facts.js" */

/** @type {Part[]} */
const PARTS = ["embeddings", "decoder", "vision"];

/** @param {JobResult["before"]} sizes */
const total = (sizes) => PARTS.reduce((sum, part) => sum + (sizes[part] ?? 0), 0);

/** @param {string} key */
const heading = (key) => el("h3", { class: "quantize-heading" }, t(key));

/** @param {HTMLElement} element @param {HTMLElement} root Gradio's element, which carries the states @param {Tab} tab */
export function resultCard(element, root, tab) {
  let drawn = "";
  return {
    /** @param {Job | null} job */
    show(job) {
      const result = job?.result;
      root.hidden = !result;
      if (!job || !result) {
        drawn = "";
        return;
      }
      root.dataset.errors = result.errors_state;
      root.dataset.perplexity = result.perplexity_state;
      const key = JSON.stringify([job.id, result, tab.isOperator(), tab.servesResults()]);
      if (key === drawn) return;
      drawn = key;
      fill(element, el("section", { class: "card" }, content(job, result, tab)));
    },
  };
}

/** @param {Job} job @param {JobResult} result @param {Tab} tab */
function content(job, result, tab) {
  const look = { class: "button primary", type: "button", dataset: { action: "deploy" } };
  const label = tab.servesResults() ? "quantize.deploy" : "quantize.next.plan";
  const go = () => (tab.servesResults() ? tab.tell("deploy", job) : tab.tell("plan", job));
  const next = tab.isOperator() ? el("button", { ...look, onclick: go }, t(label)) : null;
  return [
    el(
      "div",
      { class: "line" },
      el("h2", { class: "quantize-heading" }, t("quantize.result.title")),
      el("span", { class: "muted mono" }, job.output),
      el("span", { class: "spring" }),
      next,
    ),
    tab.servesResults() ? null : el("p", { class: "muted quantize-line" }, t("quantize.next.no-gpu")),
    sizesChart(result),
    sizesTable(result),
    el("p", { class: "hint" }, t("quantize.vram-note")),
    layerErrors(result, usualError(job)),
    perplexity(job, result, tab),
  ];
}

/** @param {JobResult} result */
function sizesChart({ before, after }) {
  const widest = Math.max(total(before), total(after), 1);
  const size = sizesUpTo(widest);
  /** @param {string} label @param {JobResult["before"]} sizes */
  const bar = (label, sizes) => {
    const shares = PARTS.map((part) => {
      const bytes = sizes[part];
      if (!bytes) return null;
      const title = t("common.pair", { label: t(`quantize.part.${part}`), value: size(bytes) });
      return el("span", { dataset: { part }, style: { width: `${(100 * bytes) / widest}%` }, title });
    });
    const bytes = total(sizes);
    return el(
      "div",
      { class: "quantize-size-row" },
      el("span", { class: "quantize-size-label" }, t(`quantize.result.${label}`)),
      el("div", { class: "quantize-size-bar" }, shares),
      el("span", { class: "quantize-size-total", dataset: { size: label, bytes } }, size(bytes)),
    );
  };
  return el(
    "div",
    { class: "quantize-sizes", role: "img", "aria-label": t("quantize.result.chart") },
    bar("before", before),
    bar("after", after),
  );
}

/** @param {JobResult} result */
function sizesTable(result) {
  const { before, after } = result;
  const size = sizesUpTo(Math.max(total(before), total(after)));
  /** @param {string} name @param {number} was @param {number} is @param {Part | null} [part] */
  const row = (name, was, is, part = null) =>
    el(
      "tr",
      {},
      el("td", {}, part ? el("span", { class: "quantize-key", dataset: { part } }) : null, name),
      el("td", { class: "number" }, size(was)),
      el("td", { class: "number" }, size(is)),
      el("td", { class: "number" }, was && is ? `${percent(is / was)}%` : "–"),
    );
  const columns = ["part", "before", "after"].map((name) =>
    el("th", { class: name === "part" ? null : "number" }, t(`quantize.result.${name}`)),
  );
  const rows = PARTS.filter((part) => before[part] || after[part]).map((part) =>
    row(t(`quantize.part.${part}`), before[part] ?? 0, after[part] ?? 0, part),
  );
  const figures = [
    t("quantize.result.ratio", { ratio: number(total(before) / Math.max(total(after), 1), 2) }),
    t("quantize.took", { duration: duration(result.seconds) }),
    result.peak_gpu_bytes ? t("quantize.peak", { gib: gib(result.peak_gpu_bytes) }) : null,
  ];
  return el(
    "div",
    { class: "table-scroll" },
    el(
      "table",
      { class: "table" },
      el("thead", {}, el("tr", {}, columns, el("th", { class: "number" }, "%"))),
      el("tbody", {}, rows, row(t("quantize.result.total"), total(before), total(after))),
    ),
    el("p", { class: "muted quantize-line" }, figures.filter(Boolean).join(" · ")),
  );
}

/** The layers of the largest errors: a quarter of them, three at most. @param {LayerError[]} errors */
export function worstLayers(errors) {
  const count = Math.min(3, Math.max(1, Math.floor(errors.length / 4)));
  return [...errors].sort((a, b) => b.error - a.error).slice(0, count);
}

/** @param {LayerError} layer */
const layerText = ({ layer, error }) => t("quantize.errors.layer", { layer, percent: percent(error) });

/** What a sound layer's error is about, in %; AWQ's 4 bits, and 8 bits in the two forms. @param {Job} job */
export function usualError({ config }) {
  if (config?.method !== "smooth_quant") return 10;
  return config.quant_dtype === "fp8" ? 3 : 1;
}

/** @param {JobResult} result @param {number} usual what a layer's error is about, in % */
function layerErrors({ errors, errors_state: state }, usual) {
  if (!state) return null;
  const title = heading("quantize.errors.title");
  if (state !== "done") return [title, el("p", { class: "muted" }, t(`quantize.errors.${state}`))];
  const worst = worstLayers(errors);
  const layers = worst.map(({ layer }) => layer);
  return [
    title,
    errorsPlot(errors, new Set(layers)),
    el(
      "p",
      { class: "quantize-line", dataset: { worst: layers.join(",") } },
      t("quantize.errors.worst", { layers: worst.map(layerText).join("; ") }),
    ),
    el("p", { class: "muted quantize-line", dataset: { usual } }, t("quantize.errors.explain", { usual })),
    usual < 10 ? el("p", { class: "muted quantize-line" }, t("quantize.errors.activations")) : null,
  ];
}

/** One bar a layer, from zero; what a bar means stands in its title. @param {LayerError[]} errors @param {Set<number>} worst */
function errorsPlot(errors, worst) {
  const top = Math.max(...errors.map(({ error }) => error), 1e-9);
  const step = 10 ** Math.floor(Math.log10(top));
  const high = Math.ceil(top / step) * step;
  const bars = errors.map((one) => {
    const dataset = { layer: one.layer, error: one.error, worst: worst.has(one.layer) ? "true" : null };
    const style = { height: `${(100 * one.error) / high}%` };
    return el("span", { class: "quantize-error-bar", title: layerText(one), dataset, style });
  });
  return el(
    "figure",
    { class: "quantize-errors", role: "img", "aria-label": t("quantize.errors.title") },
    el("div", { class: "quantize-error-axis" }, el("span", {}, `${percent(high)}%`), el("span", {}, "0")),
    el("div", { class: "quantize-error-bars" }, bars),
    el(
      "div",
      { class: "quantize-error-ends" },
      el("span", {}, errors[0]?.layer ?? 0),
      el("span", {}, errors.at(-1)?.layer ?? 0),
    ),
  );
}

/** @param {Job} job @param {JobResult} result @param {Tab} tab */
function perplexity(job, result, { isOperator, act }) {
  const title = heading("quantize.perplexity.title");
  const { perplexity: measured, perplexity_state: state } = result;
  if (measured) {
    const { before, after, tokens } = measured;
    const change = 100 * (after / before - 1);
    const text = t("quantize.perplexity.result", {
      before: number(before, 3),
      after: number(after, 3),
      percent: `${change >= 0 ? "+" : ""}${number(change, 2)}`,
      tokens: number(tokens, 0),
    });
    return [title, el("p", { class: "quantize-line", dataset: { before, after } }, text)];
  }
  if (state === "queued" || state === "running") {
    return [title, el("p", { class: "muted" }, t(`quantize.perplexity.${state}`))];
  }
  if (job.slot === "cpu") return [title, el("p", { class: "muted quantize-line" }, t("quantize.perplexity.needs-gpu"))];
  const problem = problemLine("quantize-problem");
  if (state === "failed") {
    problem.element.hidden = false;
    problem.element.textContent = t("quantize.perplexity.failed", { error: result.perplexity_problem ?? "" });
  }
  const look = { class: "button", type: "button", dataset: { action: "perplexity" } };
  const measure = () => problem.attempt(() => act(job, "perplexity"));
  return [
    title,
    el("p", { class: "muted quantize-line" }, t("quantize.perplexity.explain")),
    isOperator() ? el("button", { ...look, onclick: measure }, t("quantize.perplexity.measure")) : null,
    problem.element,
  ];
}
