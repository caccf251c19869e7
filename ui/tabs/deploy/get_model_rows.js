// @ts-check
/** The downloads, below the model: how far each is, and what can be done with it. */

import { actionRow, badge, cardList, problemLine } from "../../page/cards.js";
import { el, outer } from "../../page/dom.js";
import { duration, size } from "../../page/format.js";
import { progressBar } from "../../page/progress_bar.js";
import { link } from "../../page/request.js";
import { change, onSnapshot } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";

/** @import { Download } from "../../page/types.d.ts" */

const ACTS = /** @type {const} */ ({
  queued: ["pause", "cancel"],
  running: ["pause", "cancel"],
  paused: ["resume", "cancel"],
  failed: ["resume", "cancel"],
  interrupted: ["resume", "cancel"],
  succeeded: ["use", "forget"],
  cancelled: ["forget"],
});

/**
 * @param {HTMLElement} element
 * @param {(folder: string) => void} got a model came, "" without choosing it
 */
export function downloadRows(element, got) {
  const root = outer(element, "deploy-downloads");
  const cards = cardList(element, (/** @type {Download} */ download) => row(download, got));
  /** Those that were on their way. @type {Set<string>} */
  let under = new Set();
  root.hidden = true;
  onSnapshot((snapshot) => {
    const downloads = snapshot.downloads ?? [];
    root.hidden = downloads.length === 0;
    cards.show(downloads);
    // A model that has just come is in the list at once.
    if (downloads.some(({ id, state }) => state === "succeeded" && under.has(id))) got("");
    under = new Set(downloads.filter(({ state }) => state === "running" || state === "queued").map(({ id }) => id));
  });
}

/** @param {Download} first @param {(folder: string) => void} got */
function row(first, got) {
  const state = el("span");
  const said = el("span", { class: "muted" });
  const bar = progressBar(t("downloads.progress", { model: first.name }));
  const log = el("a", { class: "muted", hidden: true }, t("common.log.name"));
  const why = el("p", { class: "deploy-problem", hidden: true });
  const actions = actionRow("get-acts");
  const problem = problemLine("deploy-problem");
  const name = el("strong", { tabindex: "-1" }, first.name);
  const element = el(
    "article",
    { class: "get-row", dataset: { downloadId: first.id } },
    el("header", { class: "line" }, name, state, el("span", { class: "spring" }), actions.element),
    bar.element,
    said,
    why,
    log,
    problem.element,
  );
  let drawn = "";

  /** @param {Download} download @param {string} act */
  function button(download, act) {
    const label = t(`downloads.act.${act}`);
    const press = () =>
      act === "use"
        ? got(download.path)
        : problem.attempt(() => change(`downloads/${encodeURIComponent(download.id)}/${act}`));
    return el(
      "button",
      {
        class: `button small${act === "use" || act === "resume" ? " primary" : ""}`,
        type: "button",
        dataset: { action: act },
        "aria-label": t("downloads.act.of", { act: label, model: download.name }),
        onclick: press,
      },
      label,
    );
  }

  return {
    element,
    tick() {},
    /** @param {Download} download */
    show(download) {
      element.dataset.state = download.state;
      bar.element.hidden = download.state === "succeeded" || download.state === "cancelled";
      bar.show(download.total_bytes ? Math.min(download.done_bytes / download.total_bytes, 1) : 0);
      said.textContent = progressText(download);
      why.hidden = !download.problem;
      why.textContent = download.problem ?? "";
      // Why it failed stands in its log.
      log.hidden = download.state !== "failed";
      log.href = link(`log/${encodeURIComponent(download.run_id)}/file`);
      const key = `${download.state} ${download.position} ${download.wish}`;
      if (key === drawn) return;
      drawn = key;
      state.replaceChildren(
        download.state === "paused"
          ? el("span", { class: "badge", dataset: { state: "paused" } }, t("downloads.paused"))
          : badge(download.state),
      );
      actions.show(
        ACTS[download.state].map((act) => button(download, act)),
        name,
      );
    },
  };
}

/** "1.2 of 2.4 GiB · 30 MiB/s · 40 s left". @param {Download} download */
export function progressText(download) {
  const { state, done_bytes: done, total_bytes: total, speed, remaining_s: left, position } = download;
  if (state === "succeeded") return `${size(total)} · ${download.path}`;
  if (state === "cancelled") return t("downloads.nothing-left");
  const parts = [t("downloads.done", { done: size(done), total: size(total) })];
  if (state === "queued") parts.push(t("downloads.position", { position }));
  if (state === "running" && download.wish) parts.push(t("downloads.stopping"));
  else if (state === "running") {
    if (done >= total) parts.push(t("downloads.finishing"));
    else if (speed !== null) parts.push(t("downloads.speed", { speed: size(speed) }));
    if (left !== null && left > 0) parts.push(t("downloads.left", { time: duration(left) }));
  }
  parts.push(download.source);
  return parts.join(" · ");
}
