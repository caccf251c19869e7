// @ts-check
/** A job as a card: its state, its progress, and what can be done with it. */

import { actionRow, badge, problemLine } from "../../page/cards.js";
import { el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";
import { jobProgress, timing } from "./job_facts.js";

/** @import { Job } from "../../page/types.d.ts" */
/** @import { Tab } from "./job_facts.js" */

/** @param {Job} first @param {Tab} tab */
export function jobCard(first, { jobs, isOperator, act, tell }) {
  const { id } = first;
  const name = el("button", { class: "quantize-job-name", type: "button", onclick: () => jobs.choose(id) });
  const state = el("span");
  const time = el("span", { class: "muted" });
  const bar = jobProgress();
  const folder = el("p", { class: "muted mono quantize-folder" }, first.output ?? "");
  const actions = actionRow("quantize-actions");
  const problem = problemLine("quantize-problem");
  const element = el(
    "article",
    { class: "card quantize-job", dataset: { jobId: id } },
    el("header", { class: "line" }, name, state, el("span", { class: "spring" }), time),
    bar.element,
    folder,
    actions.element,
    problem.element,
  );
  let drawn = "";

  /** @param {Job} job */
  function buttons(job) {
    /** @param {string} key @param {string} action @param {object} [body] */
    const button = (key, action, body = {}) => {
      const label = t(`quantize.action.${key}`);
      const name = t("quantize.action.of", { action: label, name: job.name });
      const look = { class: "button small", type: "button", dataset: { action: key }, "aria-label": name };
      return el("button", { ...look, onclick: () => problem.attempt(() => act(job, action, body)) }, label);
    };
    if (!isOperator()) return [];
    if (job.state === "running") return [button("cancel", "cancel")];
    if (job.state === "queued") {
      const { position = 0, slot } = job;
      const last = Math.max(...jobs.items.filter((other) => other.slot === slot).map((other) => other.position ?? 0));
      return [
        position > 1 ? button("up", "move", { places: -1 }) : null,
        position < last ? button("down", "move", { places: 1 }) : null,
        button("remove", "cancel"),
      ];
    }
    const look = { class: "button small", type: "button", dataset: { action: "edit" } };
    return [
      el("button", { ...look, onclick: () => tell("edit", job) }, t("quantize.edit")),
      button("forget", "forget"),
    ];
  }

  return {
    element,
    /** @param {Job} job */
    tick(job) {
      time.textContent = timing(job);
    },
    /** @param {Job} job */
    show(job) {
      element.dataset.state = job.state;
      element.toggleAttribute("data-chosen", jobs.current?.id === id);
      bar.element.hidden = job.state !== "running";
      bar.show(job);
      time.textContent = timing(job);
      const key = JSON.stringify([job.name, job.state, job.position, isOperator(), jobs.items.length]);
      if (key === drawn) return;
      drawn = key;
      name.textContent = job.name;
      fill(state, badge(job.state));
      actions.show(buttons(job), name);
    },
  };
}
