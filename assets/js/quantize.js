/**
 * The Quantize tab's live part: the chosen job with its progress, result and log, and all jobs as cards. Everything is
 * drawn from the one snapshot; nothing here polls. `window.lmQuantize` is what the tab's Gradio events ask.
 */

const lm = window.lmConsole;
const { el, t, format, now } = lm;

const PARTS = ["embeddings", "decoder", "vision"];
const LIVE = ["queued", "running"];
const MIB = 2 ** 20;

let jobs = [];
let role = "operator";
let chosen = null; // an id that a person chose, or null: the first of the list
const watchers = new Set();

const selected = () => jobs.find((job) => job.id === chosen) ?? jobs[0] ?? null;
const byId = (id) => document.getElementById(id);
const isLive = (job) => LIVE.includes(job.state);
const isOperator = () => role === "operator";

function select(id) {
  chosen = id || null;
  announce();
}

/** What Gradio draws anew comes without it. */
function allowCancel() {
  const job = selected();
  const cancel = byId("quantize-cancel");
  if (cancel) cancel.disabled = !isOperator() || !job || !isLive(job);
}

function announce() {
  for (const watcher of watchers) watcher();
  allowCancel();
}

lm.onSnapshot((snapshot) => {
  jobs = snapshot.jobs;
  role = snapshot.role;
  announce();
});

window.lmQuantize = {
  /** The form changed: the commands and what is said of them follow. */
  changed: lm.presses("quantize-changed"),
  /** The calibration text or what reads it changed: its tokens are counted. */
  recount: lm.presses("quantize-recount"),
  /** The id of the chosen job, "" without one. */
  selected: () => selected()?.id ?? "",
  /** Chooses a job, which may not be in the snapshot yet; polls at once. */
  select(id) {
    if (id) {
      select(id);
      lm.refresh();
    }
  },
};

/** Presses one of the tab's hidden Gradio buttons for that job. */
function press(buttonId, job) {
  select(job.id);
  byId(buttonId)?.click();
}

/** Sizes of small models would all be 0.00 GiB. */
const size = (bytes) => (bytes < 100 * MIB ? `${format.number(bytes / MIB, 2)} MiB` : format.gib(bytes));
const total = (sizes) => PARTS.reduce((sum, part) => sum + (sizes[part] ?? 0), 0);
const percent = (fraction) => format.number(fraction * 100, 1);
const deviceName = (job) => (job.slot === "cpu" ? "CPU" : `GPU ${job.slot}`);

/** What stands beside the state: time left, queue place, time taken. */
function timing(job) {
  if (job.state === "queued") return t("quantize.waiting", { position: job.position, device: deviceName(job) });
  if (job.state === "running") {
    if (job.remaining_s !== null && job.remaining_s !== undefined) {
      return t("quantize.remaining", { duration: format.duration(job.remaining_s) });
    }
    return job.started_at ? t("quantize.running-for", { duration: format.duration(now() - job.started_at) }) : "";
  }
  if (!job.started_at || !job.ended_at) return "";
  return t("quantize.took", { duration: format.duration(job.ended_at - job.started_at) });
}

/** "calibrating, layer 3 of 24". */
function stageText(job) {
  const { stage, done, of } = job.progress ?? {};
  const name = job.stage_text || (stage ? t(`quantize.stage.${stage}`) : "");
  if (!of) return name;
  const counted = t(stage === "pack" ? "quantize.count.matrices" : "quantize.count.layers", { done, of });
  return `${name}, ${counted}`;
}

// ---------------------------------------------------------------------------------------------- the chosen job

function watch(name, draw) {
  lm.register(name, (element) => {
    const root = element.closest(`#${name}`) ?? element;
    const show = () => draw(element, root);
    watchers.add(show);
    show();
  });
}

let drawnStatus = "";

watch("quantize-status", (element, root) => {
  const job = selected();
  root.hidden = !job;
  root.dataset.state = job?.state ?? "";
  root.dataset.jobId = job?.id ?? "";
  if (!job) {
    drawnStatus = "";
    return;
  }
  const key = JSON.stringify([job.id, job.state, job.diagnosis, role, timing(job)]);
  if (key === drawnStatus) return;
  drawnStatus = key;
  const diagnosis = job.diagnosis;
  const error = el("p", { class: "quantize-problem", role: "alert", hidden: true });
  element.replaceChildren(el(
    "div", { class: "card" },
    el("div", { class: "line" }, el("strong", {}, job.name), lm.badge(job.state), el("span", { class: "muted" }, timing(job))),
    diagnosis ? el("p", { class: "quantize-problem" }, diagnosis.reason) : null,
    job.state === "interrupted" ? el("p", { class: "quantize-problem" }, t("quantize.status.interrupted")) : null,
    job.state === "cancelled" && job.started_at ? el("p", { class: "muted" }, t("quantize.status.cancelled")) : null,
    remedies(job, error),
    error,
    diagnosis?.lines?.length
      ? el("details", { class: "quantize-lines" }, el("summary", {}, t("quantize.status.lines")), el("pre", { tabindex: "0" }, diagnosis.lines.join("\n")))
      : null,
  ));
});

/** "Start again", with each remedy that the diagnosis names, and as it was. */
function remedies(job, error) {
  if (!isOperator() || !["failed", "interrupted", "cancelled"].includes(job.state)) return null;
  const offered = (job.diagnosis?.remedies ?? []).map((remedy, number) => el("button", {
    class: "button primary", type: "button", dataset: { remedy: remedy.key.split(".").pop() },
    onclick: () => act(job, "restart", { remedy: number }, error),
  }, t(remedy.key)));
  return el(
    "div", { class: "quantize-actions" }, offered,
    el("button", { class: "button", type: "button", dataset: { action: "restart" }, onclick: () => act(job, "restart", {}, error) }, t("quantize.action.restart")),
    el("button", { class: "button", type: "button", dataset: { action: "edit" }, onclick: () => press("quantize-edit", job) }, t("quantize.edit")),
  );
}

async function act(job, action, body, error) {
  error.hidden = true;
  try {
    const answer = await lm.post(`jobs/${encodeURIComponent(job.id)}/${action}`, body);
    if (answer?.id) window.lmQuantize.select(answer.id);
  } catch (problem) {
    error.textContent = problem.messages.join(" ");
    error.hidden = false;
  }
}

/** A bar that never goes back, with stage and percent. */
function progressBar() {
  const filled = el("span", {});
  const bar = el("div", { class: "progress-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": t("quantize.progress.name") }, filled);
  const stage = el("span", {});
  const figures = el("span", { class: "quantize-figures" });
  const box = el("div", { class: "quantize-progress" }, bar, el("div", { class: "line" }, stage, el("span", { class: "spring" }), figures));
  return {
    box,
    show(job) {
      const { fraction = 0, peak_gpu_bytes: peak = 0 } = job.progress ?? {};
      const whole = job.state === "succeeded" ? 100 : Math.floor(fraction * 100);
      filled.style.width = `${whole}%`;
      bar.setAttribute("aria-valuenow", whole);
      stage.textContent = job.state === "running" ? stageText(job) : "";
      figures.textContent = [peak ? t("quantize.peak", { gib: format.gib(peak) }) : null, `${whole}%`].filter(Boolean).join(" · ");
      return whole;
    },
  };
}

lm.register("quantize-progress", (element) => {
  const root = element.closest("#quantize-progress") ?? element;
  const bar = progressBar();
  element.replaceChildren(bar.box);
  const draw = () => {
    const job = selected();
    root.hidden = !job || job.state === "queued" || job.state === "interrupted";
    root.dataset.state = job?.state ?? "";
    if (!root.hidden) {
      root.dataset.percent = bar.show(job);
      root.dataset.stage = job.progress?.stage ?? "";
    }
  };
  watchers.add(draw);
  draw();
});

// ---------------------------------------------------------------------------------------------- the result

let drawnResult = "";

watch("quantize-result", (element, root) => {
  const job = selected();
  const result = job?.result;
  root.hidden = !result;
  if (!result) {
    drawnResult = "";
    return;
  }
  root.dataset.errors = result.errors_state;
  root.dataset.perplexity = result.perplexity_state;
  const key = JSON.stringify([job.id, result, role]);
  if (key === drawnResult) return;
  drawnResult = key;
  element.replaceChildren(el(
    "section", { class: "card" },
    el(
      "div", { class: "line" },
      el("h2", { class: "quantize-heading" }, t("quantize.result.title")),
      el("span", { class: "muted mono" }, job.output),
      el("span", { class: "spring" }),
      isOperator() ? el("button", { class: "button primary", type: "button", dataset: { action: "deploy" }, onclick: () => press("quantize-deploy", job) }, t("quantize.deploy")) : null,
    ),
    sizesChart(result), sizesTable(result),
    el("p", { class: "hint" }, t("quantize.vram-note")),
    errorsPart(result),
    perplexityPart(job, result),
  ));
});

function sizesChart(result) {
  const widest = Math.max(total(result.before), total(result.after), 1);
  const bar = (label, sizes) => el(
    "div", { class: "quantize-size-row" },
    el("span", { class: "quantize-size-label" }, t(`quantize.result.${label}`)),
    el("div", { class: "quantize-size-bar" }, PARTS.map((part) => (sizes[part] ? el("span", {
      dataset: { part }, style: { width: `${(100 * sizes[part]) / widest}%` }, title: `${t(`quantize.part.${part}`)}: ${size(sizes[part])}`,
    }) : null))),
    el("span", { class: "quantize-size-total", dataset: { size: label, bytes: total(sizes) } }, size(total(sizes))),
  );
  return el("div", { class: "quantize-sizes", role: "img", "aria-label": t("quantize.result.chart") }, bar("before", result.before), bar("after", result.after));
}

function sizesTable(result) {
  const shown = PARTS.filter((part) => result.before[part] || result.after[part]);
  const row = (name, before, after, part = null) => el(
    "tr", {},
    el("td", {}, part ? el("span", { class: "quantize-key", dataset: { part } }) : null, name),
    el("td", { class: "number" }, size(before)), el("td", { class: "number" }, size(after)),
    el("td", { class: "number" }, before && after ? `${percent(after / before)}%` : "–"),
  );
  const ratio = total(result.before) / Math.max(total(result.after), 1);
  return el(
    "div", { class: "table-scroll" },
    el(
      "table", { class: "table" },
      el("thead", {}, el("tr", {}, ["part", "before", "after"].map((name) => el("th", { class: name === "part" ? null : "number" }, t(`quantize.result.${name}`))), el("th", { class: "number" }, "%"))),
      el(
        "tbody", {},
        shown.map((part) => row(t(`quantize.part.${part}`), result.before[part], result.after[part], part)),
        row(t("quantize.result.total"), total(result.before), total(result.after)),
      ),
    ),
    el("p", { class: "muted quantize-line" }, [
      t("quantize.result.ratio", { ratio: format.number(ratio, 2) }),
      t("quantize.took", { duration: format.duration(result.seconds) }),
      result.peak_gpu_bytes ? t("quantize.peak", { gib: format.gib(result.peak_gpu_bytes) }) : null,
    ].filter(Boolean).join(" · ")),
  );
}

function errorsPart(result) {
  if (!result.errors_state) return null;
  const title = el("h3", { class: "quantize-heading" }, t("quantize.errors.title"));
  if (result.errors_state !== "done") return [title, el("p", { class: "muted" }, t(`quantize.errors.${result.errors_state}`))];
  const said = (layer) => t("quantize.errors.layer", { layer: layer.layer, percent: percent(layer.error) });
  const count = Math.min(3, Math.max(1, Math.floor(result.errors.length / 4)));
  const worst = [...result.errors].sort((a, b) => b.error - a.error).slice(0, count);
  return [
    title, errorsPlot(result.errors, new Set(worst.map((layer) => layer.layer)), said),
    el("p", { class: "quantize-line", dataset: { worst: worst.map((layer) => layer.layer).join(",") } }, t("quantize.errors.worst", { layers: worst.map(said).join("; ") })),
    el("p", { class: "muted quantize-line" }, t("quantize.errors.explain")),
  ];
}

/** One bar a layer, from zero; what a bar means stands in its title. */
function errorsPlot(errors, worst, said) {
  const top = Math.max(...errors.map((layer) => layer.error), 1e-9);
  const step = 10 ** Math.floor(Math.log10(top));
  const high = Math.ceil(top / step) * step;
  const bars = errors.map((layer) => el("span", {
    class: "quantize-error-bar", title: said(layer), dataset: { layer: layer.layer, error: layer.error, worst: worst.has(layer.layer) ? "true" : null },
    style: { height: `${(100 * layer.error) / high}%` },
  }));
  for (const bar of bars) if (bar.dataset.worst === "null") delete bar.dataset.worst;
  const first = errors[0]?.layer ?? 0;
  const last = errors[errors.length - 1]?.layer ?? 0;
  return el(
    "figure", { class: "quantize-errors", role: "img", "aria-label": t("quantize.errors.title") },
    el("div", { class: "quantize-error-axis" }, el("span", {}, `${percent(high)}%`), el("span", {}, "0")),
    el("div", { class: "quantize-error-bars" }, bars),
    el("div", { class: "quantize-error-ends" }, el("span", {}, first), el("span", {}, last)),
  );
}

function perplexityPart(job, result) {
  const title = el("h3", { class: "quantize-heading" }, t("quantize.perplexity.title"));
  const measured = result.perplexity;
  if (measured) {
    const change = 100 * (measured.after / measured.before - 1);
    return [title, el("p", { class: "quantize-line", dataset: { before: measured.before, after: measured.after } }, t("quantize.perplexity.result", {
      before: format.number(measured.before, 3), after: format.number(measured.after, 3),
      percent: `${change >= 0 ? "+" : ""}${format.number(change, 2)}`, tokens: format.number(measured.tokens, 0),
    }))];
  }
  if (["queued", "running"].includes(result.perplexity_state)) {
    return [title, el("p", { class: "muted" }, t(`quantize.perplexity.${result.perplexity_state}`))];
  }
  const failed = result.perplexity_state === "failed";
  if (job.slot === "cpu") return [title, el("p", { class: "muted quantize-line" }, t("quantize.perplexity.needs-gpu"))];
  const error = el("p", { class: "quantize-problem", role: "alert", hidden: !failed }, failed ? t("quantize.perplexity.failed", { error: result.perplexity_problem ?? "" }) : "");
  return [
    title, el("p", { class: "muted quantize-line" }, t("quantize.perplexity.explain")),
    isOperator() ? el("button", { class: "button", type: "button", dataset: { action: "perplexity" }, onclick: () => act(job, "perplexity", {}, error) }, t("quantize.perplexity.measure")) : null,
    error,
  ];
}

// ---------------------------------------------------------------------------------------------- the log

lm.register("quantize-log", (element) => {
  const root = element.closest("#quantize-log") ?? element;
  const title = el("h2", { class: "quantize-heading" });
  const place = el("div", {});
  element.replaceChildren(title, place);
  let view = null;
  const draw = () => {
    const job = selected();
    root.hidden = !isOperator() || !job?.run_id;
    if (root.hidden) return;
    title.textContent = `${t("quantize.log.title")}: ${job.name}`;
    view ??= lm.logView(place);
    view.setRun(job.run_id);
  };
  watchers.add(draw);
  draw();
});

// ---------------------------------------------------------------------------------------------- all jobs

function card(first) {
  const name = el("button", { class: "quantize-job-name", type: "button", onclick: () => select(first.id) });
  const state = el("span", {});
  const time = el("span", { class: "muted" });
  const bar = progressBar();
  const folder = el("p", { class: "muted mono quantize-folder" }, first.output ?? "");
  const actions = el("div", { class: "quantize-actions" });
  const error = el("p", { class: "quantize-problem", role: "alert", hidden: true });
  const element = el(
    "article", { class: "card quantize-job", dataset: { jobId: first.id } },
    el("header", { class: "line" }, name, state, el("span", { class: "spring" }), time), bar.box, folder, actions, error,
  );
  let drawn = "";

  function action(key, job, onclick) {
    const label = t(`quantize.action.${key}`);
    return el("button", {
      class: "button small", type: "button", dataset: { action: key }, "aria-label": t("quantize.action.of", { action: label, name: job.name }), onclick,
    }, label);
  }

  function buttons(job) {
    if (!isOperator()) return [];
    if (job.state === "running") return [action("cancel", job, () => act(job, "cancel", {}, error))];
    if (job.state === "queued") {
      const last = Math.max(...jobs.filter((other) => other.slot === job.slot).map((other) => other.position));
      return [
        job.position > 1 ? action("up", job, () => act(job, "move", { places: -1 }, error)) : null,
        job.position < last ? action("down", job, () => act(job, "move", { places: 1 }, error)) : null,
        action("remove", job, () => act(job, "cancel", {}, error)),
      ];
    }
    const edit = el("button", { class: "button small", type: "button", dataset: { action: "edit" }, onclick: () => press("quantize-edit", job) }, t("quantize.edit"));
    return [edit, action("forget", job, () => act(job, "forget", {}, error))];
  }

  return {
    element,
    tick(job) {
      time.textContent = timing(job);
    },
    show(job) {
      element.dataset.state = job.state;
      element.toggleAttribute("data-chosen", selected()?.id === job.id);
      bar.box.hidden = job.state !== "running";
      bar.show(job);
      time.textContent = timing(job);
      const key = JSON.stringify([job.name, job.state, job.position, role, jobs.length]);
      if (key === drawn) return;
      drawn = key;
      name.textContent = job.name;
      state.replaceChildren(lm.badge(job.state));
      const focused = actions.contains(document.activeElement) ? document.activeElement.dataset.action : null;
      actions.replaceChildren(...buttons(job).filter(Boolean));
      if (focused) (actions.querySelector(`[data-action="${focused}"]`) ?? actions.firstElementChild ?? name).focus();
    },
  };
}

lm.register("quantize-jobs", (element) => {
  const list = el("div", { class: "quantize-cards" });
  const cards = lm.cardList(list, card);
  const empty = el("div", { class: "empty-state" });
  element.replaceChildren(el("h2", { class: "quantize-heading" }, t("quantize.jobs.title")), empty, list);

  function draw() {
    empty.hidden = jobs.length > 0;
    if (!empty.hidden) {
      const text = t(isOperator() ? "quantize.jobs.empty.text" : "quantize.jobs.empty.class");
      empty.replaceChildren(el("strong", {}, t("quantize.jobs.empty.title")), el("p", {}, text));
    }
    cards.show(jobs);
  }

  watchers.add(draw);
  draw();
  setInterval(() => {
    allowCancel();
    cards.tick(jobs.filter((job) => job.state === "running"));
  }, 1000);
});

window.lmQuantize.changed(); // what changed before this script was there
