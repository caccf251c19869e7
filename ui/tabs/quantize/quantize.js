// @ts-check
/**
 * The Quantize tab's live part: the chosen job with its progress, result and log, and all jobs as cards. Everything is
 * drawn from the one snapshot; nothing here polls.
 */

import { Bridge } from "../../page/bridge.js";
import { allowButton, cardList, cardSection } from "../../page/cards.js";
import { everySecond } from "../../page/clock.js";
import { commandView } from "../../page/command_view.js";
import { byId, el, fill, outer } from "../../page/dom.js";
import { logPanel } from "../../page/log_view.js";
import { onRemedy, withSettings } from "../../page/remedies.js";
import { Selection } from "../../page/selection.js";
import { change, onSnapshot, refresh } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";
import { jobCard } from "./job_card.js";
import { isLive, jobProgress } from "./job_facts.js";
import { resultCard } from "./job_result.js";
import { statusCard } from "./job_status.js";

/** @import { AreaScript, Job, Role } from "../../page/types.d.ts" */

/** The tab's bridge; Gradio gets the id of the chosen job, "" without one. @type {Bridge<string>} */
const bridge = new Bridge();
/** @type {Selection<Job>} */
const jobs = new Selection();
/** @type {Role} */
let role = "operator";

let hasGpu = false;
/** Which jobs there are, and how they are: the proposed folder follows. @type {string | null} */
let states = null;
/** The form's controls, in the order of the handlers' arguments. @type {string[]} */
let controls = [];
/** @type {Record<string, unknown>} */
let settings = {};

/** What cards and status do with a job. */
const tab = {
  jobs,
  /** Whether this machine could serve a result. */
  servesResults: () => hasGpu,
  isOperator: () => role === "operator",
  /** Asks the console to do it; a job that comes of it is chosen. @param {Job} job @param {string} action @param {object} body */
  async act(job, action, body = {}) {
    const answer = await change(`jobs/${encodeURIComponent(job.id)}/${action}`, body);
    const started = /** @type {{id?: string}} */ (answer).id;
    if (started) choose(started);
  },
  /** Tells the bridge, with this job chosen. @param {string} event @param {Job} job */
  tell(event, job) {
    jobs.choose(job.id);
    bridge.tell(event);
  },
};

/** A job that may not be in the snapshot yet. @param {string} id */
function choose(id) {
  jobs.choose(id);
  refresh();
}

/** Gradio draws its button anew after an event. */
function tidy() {
  const job = jobs.current;
  allowButton("quantize-cancel", tab.isOperator() && job !== null && isLive(job));
  // What comes next is the loudest: to wait, or what is done with the result.
  const quiet = job !== null && (isLive(job) || job.state === "succeeded");
  byId("quantize-start-panel")?.toggleAttribute("data-quiet", quiet);
}

onSnapshot((snapshot) => {
  role = snapshot.role;
  hasGpu = snapshot.header.gpus.length > 0;
  jobs.show(snapshot.jobs);
  const now = snapshot.jobs.map(({ id, state }) => `${id} ${state}`).join();
  if (states !== null && states !== now && tab.isOperator()) {
    bridge.tell("suggest");
    bridge.tell("preview");
  }
  states = now;
});

jobs.listen(() => {
  bridge.share(jobs.current?.id ?? "");
  tidy();
});

bridge.onShared((id) => {
  if (id) choose(id);
});

const changed = bridge.settled("preview");
const recount = bridge.settled("recount");

export const events = {
  /** The form changed: the commands and what is said of them follow. */
  changed,
  /** The calibration text or what reads it changed: its tokens are counted. */
  recount,
  /** Each method has settings of its own; the others' aren't there. @param {unknown} chosen */
  method: (chosen) => {
    const form = byId("quantize-form");
    if (form) form.dataset.method = String(chosen).split(" ")[0];
  },
  /** A remedy's button was pressed: the form as it is to be. @param {...unknown} values */
  withRemedy: (...values) => withSettings(controls, values, settings),
};

/** @type {AreaScript["parts"]} */
export const parts = {
  bridge(element, gradio) {
    controls = /** @type {string[]} */ (gradio.options.controls);
    bridge.attach(element, gradio);
    onRemedy(byId("quantize-tab") ?? document.body, (remedy) => {
      settings = remedy.settings ?? {};
      bridge.tell("remedy");
    });
    changed(); // what changed before this script was there
  },

  command(element, gradio) {
    commandView(element, gradio, { title: t("quantize.command.label") });
  },

  status(element) {
    const card = statusCard(element, outer(element, "quantize-status"), tab);
    jobs.listen(() => card.show(jobs.current));
  },

  progress(element) {
    const root = outer(element, "quantize-progress");
    const bar = jobProgress();
    fill(element, el("div", { class: "unseen" }, bar.element)); // the job's own card shows it
    jobs.listen(() => {
      const job = jobs.current;
      root.hidden = !job || job.state === "queued" || job.state === "interrupted";
      root.dataset.state = job?.state ?? "";
      if (!job || root.hidden) return;
      root.dataset.percent = String(bar.show(job));
      root.dataset.stage = job.progress?.stage ?? "";
    });
  },

  result(element) {
    const card = resultCard(element, outer(element, "quantize-result"), tab);
    jobs.listen(() => card.show(jobs.current));
  },

  log(element) {
    const root = outer(element, "quantize-log");
    const panel = logPanel(element, "quantize-heading", false);
    jobs.listen(() => {
      const job = jobs.current;
      root.hidden = !tab.isOperator() || !job?.run_id;
      if (job?.run_id && !root.hidden)
        panel.show(t("common.pair", { label: t("quantize.log.title"), value: job.name }), job.run_id);
    });
  },

  jobs(element) {
    const section = cardSection(element, {
      title: t("quantize.jobs.title"),
      heading: "quantize-heading",
      list: "quantize-cards",
      empty: "empty-state",
    });
    const cards = cardList(section.list, (/** @type {Job} */ job) => jobCard(job, tab));
    jobs.listen(() => {
      const text = tab.isOperator() ? "quantize.jobs.empty.text" : "quantize.jobs.empty.class";
      section.showEmpty(jobs.items.length === 0, t("quantize.jobs.empty.title"), t(text));
      cards.show(jobs.items);
    });
    everySecond(() => {
      tidy();
      cards.tick(jobs.items.filter(({ state }) => state === "running"));
    });
  },
};
