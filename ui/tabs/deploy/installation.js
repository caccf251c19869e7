// @ts-check
/** The installation of the engines, below the model: how far it is, what it wrote last, why it failed. */

import { actionRow, problemLine } from "../../page/cards.js";
import { everySecond, now } from "../../page/clock.js";
import { ask } from "../../page/dialog.js";
import { el, outer } from "../../page/dom.js";
import { duration } from "../../page/format.js";
import { latestReply, oneAtATime } from "../../page/latest_reply.js";
import { progressBar } from "../../page/progress_bar.js";
import { get, link, sentences } from "../../page/request.js";
import { change, onSnapshot } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";

/** @import { Installation } from "../../page/types.d.ts" */

const LOOK_S = 3; // between two looks at what it writes

/** Asks first: it is a long download. What stands against it is said in a window. */
export async function installEngines() {
  const id = "ask-install";
  const title = t("installation.title");
  if (!(await ask({ id, title, text: t("installation.text"), confirm: t("installation.offer"), calm: true }))) return;
  try {
    await change("installation/start");
  } catch (problem) {
    await ask({ id, title, text: sentences(problem).join(" "), confirm: t("common.close"), calm: true });
  }
}

/** How it stands, in a sentence. @param {Installation} one @param {number} time seconds since the epoch */
export const stateText = ({ state, started_at: began, ended_at: ended }, time) =>
  t(`installation.state.${state}`, { duration: duration((ended || time) - began) });

/** @param {HTMLElement} element @param {() => void} installed it is there */
export function installationCard(element, installed) {
  const root = outer(element, "deploy-installation");
  const title = el("strong", { tabindex: "-1" }, t("installation.title"));
  const bar = progressBar(t("installation.progress"));
  const said = el("span", { class: "muted", role: "status" });
  const why = el("p", { class: "deploy-problem", hidden: true });
  const lines = el("pre", { class: "installation-lines", hidden: true });
  const log = el("a", { class: "muted" }, t("common.log.name"));
  const actions = actionRow("get-acts");
  const problem = problemLine("deploy-problem");
  element.append(
    el(
      "article",
      { class: "get-row" },
      el("header", { class: "line" }, title, el("span", { class: "spring" }), actions.element),
      bar.element,
      said,
      why,
      lines,
      log,
      problem.element,
    ),
  );
  bar.show(null);
  root.hidden = true;
  /** @type {Installation | null} */
  let newest = null;
  let drawn = "";
  let looks = 0;

  /** @param {string} act the route @param {string} label */
  const button = (act, label) =>
    el(
      "button",
      {
        class: `button small${act === "start" ? " primary" : ""}`,
        type: "button",
        dataset: { action: act },
        onclick: () => problem.attempt(() => change(`installation/${act}`)),
      },
      t(label),
    );

  /** @param {Installation} one */
  function buttons({ state }) {
    if (state === "running") return [button("cancel", "installation.cancel")];
    const close = button("forget", "installation.close");
    return state === "succeeded" ? [close] : [button("start", "installation.again"), close];
  }

  /** What it wrote last, and why it failed. */
  const look = oneAtATime(
    latestReply(
      () => get("installation"),
      (/** @type {{lines: string[], problem: string | null}} */ told) => {
        lines.hidden = told.lines.length === 0;
        lines.textContent = told.lines.join("\n");
        why.hidden = !told.problem;
        why.textContent = told.problem ?? "";
      },
    ),
  );

  onSnapshot((snapshot) => {
    const one = snapshot.installation ?? null;
    const was = newest;
    newest = one;
    root.hidden = one === null;
    if (one === null) {
      drawn = "";
      return;
    }
    element.dataset.state = one.state;
    bar.element.hidden = one.state !== "running";
    said.textContent = stateText(one, now());
    const key = `${one.id} ${one.state}`;
    if (key === drawn) return;
    drawn = key;
    log.href = link(`log/${encodeURIComponent(one.id)}/file`);
    actions.show(buttons(one), title);
    void look();
    if (was?.state === "running" && one.state === "succeeded") installed();
  });
  everySecond(() => {
    if (newest?.state !== "running") return;
    said.textContent = stateText(newest, now());
    if (++looks % LOOK_S === 0) void look();
  });
}
