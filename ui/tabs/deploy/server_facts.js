// @ts-check
/** What is said of a server, on its card and in the status. */

import { now } from "../../page/clock.js";
import { el } from "../../page/dom.js";
import { duration } from "../../page/format.js";
import { progressBar } from "../../page/progress_bar.js";
import { t } from "../../page/texts.js";

/** @import { Children, Server } from "../../page/types.d.ts" */

/** @param {Server} server */
export const isExternal = (server) => server.engine === "external";

/** @param {Server} server */
export const isProxy = (server) => server.engine === "proxy";

/** @param {Server} server */
export const isAlive = ({ state }) => ["starting", "running", "stopping", "unreachable"].includes(state);

/** @param {Server} server */
export const canStop = (server) => !isExternal(server) && ["starting", "running", "unreachable"].includes(server.state);

/** Since when it is so. @param {Server} server */
export function when({ state, created_at: created, ready_at: ready, ended_at: ended }) {
  if (state === "running" || state === "unreachable") {
    return ready ? t("deploy.server.uptime", { duration: duration(now() - ready) }) : "";
  }
  if (state === "starting") return t("deploy.server.loading", { duration: duration(now() - created) });
  return ended ? t("deploy.server.ended", { duration: duration(now() - ended) }) : "";
}

/** The load's stage and, where the log tells it, its percent. */
export function loadProgress() {
  const bar = progressBar(t("deploy.server.progress"));
  const stage = el("span", { class: "deploy-stage" });
  const percent = el("span", { class: "deploy-percent" });
  const line = el("div", { class: "deploy-progress-text" }, stage, percent);
  const element = el("div", { class: "deploy-progress", hidden: true }, bar.element, line);
  return {
    element,
    /** @param {Server} server */
    show(server) {
      element.hidden = server.state !== "starting";
      if (element.hidden) return;
      stage.textContent = server.stage_text || t("deploy.server.stage.unknown");
      const whole = bar.show(server.progress ?? null);
      percent.textContent = whole === null ? "" : `${whole}%`;
    },
  };
}

/** How it ended: by which signal, with which code where nobody asked it to. @param {Server} server */
export function ending(server) {
  const { exit_code: code, stop_signal: signal, state } = server;
  if (isAlive(server)) return [];
  const byItself = code !== null && code !== undefined && state === "failed";
  return [
    byItself ? t("deploy.status.exit-code", { code }) : null,
    signal ? t("deploy.status.rung", { rung: signal }) : null,
  ].filter((part) => part !== null);
}

/** Its address, model, engine and GPUs. @param {Server} server @returns {Children[]} */
export function facts(server) {
  const gpus = server.config?.gpus ?? [];
  const onCpu = server.engine === "transformers";
  const where = onCpu ? t("deploy.server.cpu") : gpus.join(", ") || t("deploy.server.first-gpu");
  const open = onCpu && isAlive(server) ? el("span", { class: "deploy-open" }, t("deploy.server.open")) : null;
  return [
    server.address ? fact("address", el("code", {}, server.address), open) : null,
    server.model_id ? fact("model-id", el("code", {}, server.model_id)) : null,
    fact("engine", server.engine),
    isExternal(server) || isProxy(server) ? null : fact("gpu", where),
    isAlive(server) ? firstAnswer(server) : null,
  ];
}

/** What it said when it was asked for the first time, right after it was ready. @param {Server} server */
function firstAnswer({ first }) {
  if (!first || first.state === "failed") return null;
  const params = { text: first.text, seconds: first.seconds.toFixed(1) };
  const said = first.state === "asking" ? t("life.first.asking") : t("life.first.said", params);
  return el(
    "div",
    { dataset: { fact: "first", first: first.state } },
    el("dt", {}, t("life.first")),
    el("dd", {}, said),
  );
}

/** @param {string} name @param {...Children} value */
const fact = (name, ...value) =>
  el("div", { dataset: { fact: name } }, el("dt", {}, t(`deploy.server.${name}`)), el("dd", {}, value));
