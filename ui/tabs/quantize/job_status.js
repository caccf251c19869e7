// @ts-check
/** Why the chosen job ended, and what would help; its card says how it is. */

import { problemLine } from "../../page/cards.js";
import { copy } from "../../page/clipboard.js";
import { el, fill } from "../../page/dom.js";
import { get } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { spokenOf } from "./job_facts.js";

/** @import { Job } from "../../page/types.d.ts" */
/** @import { Tab } from "./job_facts.js" */

/** @param {HTMLElement} element @param {HTMLElement} root Gradio's element, which carries the state @param {Tab} tab */
export function statusCard(element, root, tab) {
  let drawn = "";
  return {
    /** @param {Job | null} job */
    show(job) {
      root.hidden = !job;
      root.dataset.state = job?.state ?? "";
      root.dataset.jobId = job?.id ?? "";
      const key = job ? JSON.stringify([job.id, job.state, job.diagnosis, tab.isOperator(), spokenOf(job)]) : "";
      if (!job || key === drawn) return;
      drawn = key;
      const said = content(job, tab).filter(Boolean);
      fill(
        element,
        el("p", { class: "unseen", role: "status" }, spokenOf(job)),
        said.length ? el("div", { class: "card" }, said) : null,
      );
    },
  };
}

/** @param {Job} job @param {Tab} tab */
function content(job, tab) {
  const { diagnosis, state } = job;
  const problem = problemLine("quantize-problem");
  const lines = diagnosis?.lines ?? [];
  const buttons = remedies(job, tab, problem);
  return [
    diagnosis ? el("p", { class: "quantize-problem" }, diagnosis.reason) : null,
    state === "interrupted" ? el("p", { class: "quantize-problem" }, t("quantize.status.interrupted")) : null,
    state === "cancelled" && job.started_at ? el("p", { class: "muted" }, t("quantize.status.cancelled")) : null,
    buttons,
    buttons ? problem.element : null,
    lines.length
      ? el(
          "details",
          { class: "quantize-lines" },
          el("summary", {}, t("quantize.status.lines")),
          el("pre", { tabindex: "0" }, lines.join("\n")),
        )
      : null,
  ];
}

/**
 * "Start again", with each remedy that the diagnosis names, and as it was.
 *
 * @param {Job} job
 * @param {Tab} tab
 * @param {ReturnType<typeof problemLine>} problem
 */
function remedies(job, { isOperator, act, tell }, problem) {
  if (!isOperator() || !["failed", "interrupted", "cancelled"].includes(job.state)) return null;
  /** @param {object} body */
  const restart = (body) => () => problem.attempt(() => act(job, "restart", body));
  /** Copies what happened, for whom one asks; the button says so. @param {Event} event */
  const report = async ({ currentTarget }) => {
    const pressed = /** @type {HTMLElement} */ (currentTarget);
    const answer = await problem.attempt(() => get(`jobs/${encodeURIComponent(job.id)}/report`));
    if (answer) await copy(/** @type {{text: string}} */ (answer).text, pressed);
  };
  /** @param {string} kind @param {Record<string, unknown>} dataset @param {(event: Event) => void} onclick @param {string} label */
  const button = (kind, dataset, onclick, label) =>
    el("button", { class: kind, type: "button", dataset, onclick }, label);
  const offered = (job.diagnosis?.remedies ?? []).map(({ key }, remedy) =>
    button("button primary", { remedy: key.split(".").pop() }, restart({ remedy }), t(key)),
  );
  return el(
    "div",
    { class: "quantize-actions" },
    offered,
    button("button", { action: "restart" }, restart({}), t("quantize.action.restart")),
    button("button", { action: "edit" }, () => tell("edit", job), t("quantize.edit")),
    job.state === "failed" ? button("button", { action: "report" }, report, t("quantize.action.report")) : null,
  );
}
