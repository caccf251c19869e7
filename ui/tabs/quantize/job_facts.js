// @ts-check
/** What is said of a job, on its card and in the status. */

import { now } from "../../page/clock.js";
import { el } from "../../page/dom.js";
import { duration, gib, number } from "../../page/format.js";
import { progressBar } from "../../page/progress_bar.js";
import { t } from "../../page/texts.js";

/** @import { Job } from "../../page/types.d.ts" */
/** @import { Selection } from "../../page/selection.js" */

/**
 * What the tab's parts have in common (quantize.js).
 *
 * @typedef {object} Tab
 * @property {Selection<Job>} jobs
 * @property {() => boolean} isOperator
 * @property {() => boolean} servesResults
 * @property {(job: Job, action: string, body?: object) => Promise<void>} act
 * @property {(event: string, job: Job) => void} tell
 */

/** @param {Job} job */
export const isLive = ({ state }) => state === "queued" || state === "running";

/** @param {number} fraction */
export const percent = (fraction) => number(fraction * 100, 1);

/** What stands beside the state: queue place, time left, time taken. @param {Job} job */
export function timing({ state, position, slot, remaining_s: remaining, started_at: started, ended_at: ended }) {
  if (state === "queued") {
    return t("quantize.waiting", { position, device: slot === "cpu" ? "CPU" : `GPU ${slot}` });
  }
  if (state === "running") {
    if (remaining !== null && remaining !== undefined) {
      return t("quantize.remaining", { duration: duration(remaining) });
    }
    return started ? t("quantize.running-for", { duration: duration(now() - started) }) : "";
  }
  return started && ended ? t("quantize.took", { duration: duration(ended - started) }) : "";
}

/** What is read aloud of a job, at each change: not a time that runs. @param {Job} job */
export const spokenOf = (job) =>
  [job.name, t(`common.state.${job.state}`), job.state === "running" ? null : timing(job)].filter(Boolean).join(", ");

/** "calibrating, layer 3 of 24". @param {Job} job */
export function stageText(job) {
  const { stage = "", done = 0, of = 0, sample = 0, samples = 0 } = job.progress ?? {};
  const name = job.stage_text || (stage ? t(`quantize.stage.${stage}`) : "");
  if (!of) return name;
  const inLayer = stage === "calibrate" && samples > 0;
  const counted = t(stage === "pack" ? "quantize.count.matrices" : "quantize.count.layers", {
    done: inLayer ? Math.min(done + 1, of) : done,
    of,
  });
  const parts = [name, counted, inLayer ? t("quantize.count.samples", { done: sample, of: samples }) : null];
  return parts.filter(Boolean).join(t("quantize.count.between"));
}

/** A bar that never goes back, with stage and percent. */
export function jobProgress() {
  const bar = progressBar(t("quantize.progress.name"));
  const stage = el("span");
  const figures = el("span", { class: "quantize-figures" });
  const line = el("div", { class: "line" }, stage, el("span", { class: "spring" }), figures);
  return {
    element: el("div", { class: "quantize-progress" }, bar.element, line),
    /** Draws it; returns the whole percent. @param {Job} job */
    show(job) {
      const { fraction = 0, peak_gpu_bytes: peak = 0 } = job.progress ?? {};
      const whole = job.state === "succeeded" ? 100 : Math.floor(fraction * 100);
      bar.show(whole / 100);
      stage.textContent = job.state === "running" ? stageText(job) : "";
      const most = peak ? t("quantize.peak", { gib: gib(peak) }) : null;
      figures.textContent = [most, `${whole}%`].filter(Boolean).join(" · ");
      return whole;
    },
  };
}
