// @ts-check
/** Servers side by side: figures, answers with the first difference marked, the tutorials' table. */

import { el } from "../../page/dom.js";
import { gib, number } from "../../page/format.js";
import { t } from "../../page/texts.js";

/** @import { Answer, Compared, QualityServer, TableLine } from "./types.d.ts" */

/** @param {number | null | undefined} share 0…1 */
const percent = (share) => (share === null || share === undefined ? "–" : `${number(share * 100, 1)} %`);
/** @param {number | null | undefined} factor */
const times = (factor) => (factor === null || factor === undefined ? "–" : `${number(factor, 2)} ×`);
/** @param {number | null | undefined} value @param {number} digits */
const figure = (value, digits) => (value === null || value === undefined ? "–" : number(value, digits));
/** @param {number | null | undefined} part @param {number | null | undefined} of */
const share = (part, of) => (part === null || part === undefined || !of ? "–" : `${part} / ${of}`);

/** @param {string} label @param {string} className @param {HTMLElement} head @param {HTMLElement[]} rows */
const scrolled = (label, className, head, rows) =>
  el(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": label, dataset: { focus: className } },
    el("table", { class: `table ${className}` }, el("thead", {}, head), el("tbody", {}, rows)),
  );

/** @param {Compared} compared */
export function comparedView({ servers, answers, table }) {
  const alone = table !== null && servers.length < 2; // its figures stand in the table
  return [
    table && [tableOf(table), el("p", { class: "lab-hint" }, t("lab.table.read"))],
    !alone && figures(servers),
    texts(servers, answers, table === null),
  ];
}

/** @param {QualityServer[]} servers */
function figures(servers) {
  if (!servers.some((server) => server.figures)) return null;
  const heads = ["right", "same", "agreement", "hits", "perplexity", "tokens_per_s", "bytes"];
  const rows = servers.map(({ name, figures: measured, bytes, problems }) => {
    const cells = measured
      ? [
          share(measured.right, measured.scored),
          share(measured.same, measured.answered),
          percent(measured.agreement),
          percent(measured.hits),
          figure(measured.perplexity, 3),
          figure(measured.tokens_per_s, 1),
          gib(bytes),
        ]
      : heads.map(() => "–");
    const why = Object.values(problems).join(" ");
    return el(
      "tr",
      { title: why || null },
      el("th", { scope: "row" }, name),
      cells.map((cell) => el("td", { class: "number" }, cell)),
    );
  });
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, t("lab.column.name")),
    heads.map((name) => el("th", { scope: "col", class: "number" }, t(`lab.quality.head.${name}`))),
  );
  const silent = servers.some(({ problems }) => Object.keys(problems).length > 0);
  return [
    scrolled(t("lab.quality.figures"), "lab-quality-figures", head, rows),
    el(
      "ul",
      { class: "lab-hint lab-notes" },
      el("li", {}, t("lab.quality.read")),
      silent && el("li", {}, t("lab.quality.silent")),
    ),
  ];
}

/** Each question with every server's answer. @param {QualityServer[]} servers @param {Compared["answers"]} answers @param {boolean} open */
function texts(servers, answers, open) {
  const given = answers.filter((row) => row.answers.some((one) => one !== null));
  if (!given.length) return null;
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, t("lab.quality.question")),
    servers.map(({ name }) => el("th", { scope: "col" }, name)),
  );
  const rows = given.map((row) =>
    el(
      "tr",
      { dataset: { question: row.id, kind: row.kind } },
      el("th", { scope: "row" }, row.text),
      row.answers.map((one) => el("td", {}, one && answerText(one))),
    ),
  );
  return el(
    "details",
    { class: "lab-menu wide", open, dataset: { fold: "answers" } },
    el("summary", { dataset: { focus: "answers" } }, t("lab.quality.answers")),
    scrolled(t("lab.quality.answers"), "lab-answers", head, rows),
  );
}

/**
 * An answer, marked from where it first differs from the first server's. A component that shows each token with its
 * probability takes this one's place.
 *
 * @param {Answer} answer
 */
export function answerText(answer) {
  const mark = answer.right === null ? null : answer.right ? "✓" : "✗";
  const label = t(answer.right ? "lab.quality.right" : "lab.quality.wrong");
  return [
    mark &&
      el(
        "span",
        { class: "lab-mark-right", role: "img", "aria-label": label, dataset: { right: answer.right ? "1" : "0" } },
        mark,
      ),
    el(
      "span",
      { class: "lab-answer", dataset: { differs: answer.differs ? "1" : "0" } },
      answer.same,
      answer.differs && el("mark", { title: t("lab.quality.differs") }, answer.rest || "∅"),
    ),
    answer.cut && el("span", { class: "lab-hint" }, ` ${t("lab.quality.cut")}`),
  ];
}

/** @param {TableLine[]} lines */
function tableOf(lines) {
  /** What was measured, with the course's word below it. @param {string} measured @param {string | null} claimed */
  const cell = (measured, claimed) =>
    el(
      "td",
      { class: "number" },
      measured,
      claimed && el("div", { class: "lab-hint" }, t("lab.table.claimed", { value: claimed })),
    );
  /** @param {TableLine} line */
  const cells = (line) => [
    cell(gib(line.planned_bytes), null),
    cell(gib(line.measured_bytes), line.claim.bytes === null ? null : gib(line.claim.bytes)),
    cell(figure(line.tokens ?? line.planned_tokens, 0), null),
    cell(times(line.tokens_times), line.claim.tokens_times === null ? null : times(line.claim.tokens_times)),
    cell(figure(line.speed, 1), null),
    cell(figure(line.speed_many, 1), null),
    cell(
      [line.speed_times, line.speed_many_times].map(times).join(" / "),
      line.claim.speed_times === null ? null : times(line.claim.speed_times),
    ),
    cell(figure(line.perplexity, 3), null),
    cell(share(line.right, line.scored), null),
  ];
  const heads = [
    "planned_bytes",
    "measured_bytes",
    "tokens",
    "tokens_times",
    "speed",
    "speed_many",
    "speed_times",
    "perplexity",
    "right",
  ];
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, t("lab.table.head.line")),
    heads.map((name) => el("th", { scope: "col", class: "number" }, t(`lab.table.head.${name}`))),
  );
  const rows = lines.map((line) => {
    const why = line.skipped ?? line.problem;
    return el(
      "tr",
      { dataset: { line: line.line, skipped: line.skipped ? "1" : "0" } },
      el("th", { scope: "row" }, line.name),
      why && line.speed === null ? el("td", { colspan: String(heads.length), class: "lab-hint" }, why) : cells(line),
    );
  });
  return scrolled(t("lab.table.title"), "lab-tutorials", head, rows);
}
