// @ts-check
/** A server as a card: its state, what it is, and what can be done with it. */

import { mayStop } from "../../page/ask_first.js";
import { actionRow, badge, markChosen, problemLine } from "../../page/cards.js";
import { copy, copyButton } from "../../page/clipboard.js";
import { byId, el, fill } from "../../page/dom.js";
import { get, link } from "../../page/request.js";
import { change } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";
import { markChanged } from "./changed_marks.js";
import { nodeTable } from "./nodes.js";
import { lifePanel } from "./server_life.js";
import { stopToTheEnd } from "./server_end.js";
import { canStop, ending, facts, isAlive, isExternal, loadProgress, when } from "./server_facts.js";

/** @import { Bridge } from "../../page/bridge.js" */
/** @import { Selection } from "../../page/selection.js" */
/** @import { Server } from "../../page/types.d.ts" */

/**
 * @typedef {object} Tab
 * @property {Bridge<string>} bridge
 * @property {Selection<Server>} servers
 * @property {() => boolean} isOperator
 * @property {(server: Server, remedy: number) => void} correct fills the form with its settings, one remedy's in them
 */

/** @param {Server} server @param {Tab} tab */
export function serverCard({ id }, { bridge, servers, isOperator, correct }) {
  const name = el("button", { class: "deploy-server-name", type: "button", onclick: () => servers.choose(id) });
  const state = el("span");
  const time = el("span", { class: "deploy-when" });
  const progress = loadProgress();
  const end = el("span", { class: "deploy-when" });
  const why = el("div", { class: "deploy-why" });
  const nodes = nodeTable();
  const details = el("dl", { class: "deploy-facts" });
  const actions = actionRow("deploy-actions");
  const problem = problemLine("deploy-problem");
  const code = el("div", { class: "deploy-code", hidden: true });
  const life = lifePanel(id, act);
  const element = el(
    "article",
    { class: "card deploy-card", dataset: { serverId: id } },
    el("header", {}, name, state, end, el("span", { class: "spring" }), time),
    progress.element,
    why,
    life.lines,
    actions.element,
    problem.element,
    details,
    nodes.element,
    life.element,
    code,
  );
  let drawn = "";

  /** Resolves to whether it was done. @param {string} path @param {object} [body] */
  async function act(path, body = {}) {
    const answer = await problem.attempt(() => change(`servers/${encodeURIComponent(id)}/${path}`, body));
    const started = /** @type {{id?: string} | null} */ (answer)?.id;
    if (started) servers.choose(started);
    return answer !== null;
  }

  /** @param {string} name */
  async function stop(name) {
    if (await mayStop(id, name)) await act("stop");
  }

  /** Stops it where it runs, and starts it with that remedy's settings. @param {Server} server @param {number} remedy */
  async function startCorrected(server, remedy) {
    const wanted = server.remedies?.[remedy]?.text;
    if (isAlive(server) && !(await stopToTheEnd(id, server.name))) return;
    const now = servers.items.find((one) => one.id === id);
    // It may have died of something else meanwhile, which has other remedies: its card shows them.
    if (now?.remedies?.[remedy]?.text === wanted) await act("restart", { remedy });
  }

  /** Tells the bridge, with this server chosen. @param {string} event */
  function tell(event) {
    servers.choose(id);
    bridge.tell(event);
  }

  function takeOver() {
    markChanged([]);
    tell("edit");
  }

  async function toggleCode() {
    if (!code.hidden) {
      code.hidden = true;
      return;
    }
    const answer = await problem.attempt(() => get(`servers/${encodeURIComponent(id)}/code`));
    if (!answer) return;
    fill(code, codeLines(/** @type {Code} */ (answer)));
    code.hidden = false;
  }

  /** Copies what happened, for whom one asks; the button says so. @param {Event} event */
  async function copyReport({ currentTarget }) {
    const button = /** @type {HTMLElement} */ (currentTarget);
    const answer = await problem.attempt(() => get(`servers/${encodeURIComponent(id)}/report`));
    if (answer) await copy(/** @type {{text: string}} */ (answer).text, button);
  }

  function showLog() {
    servers.choose(id);
    byId("deploy-log")?.scrollIntoView({ behavior: "smooth", block: "nearest" });
  }

  /** @param {Server} server */
  function buttons(server) {
    /** @param {string} key @param {(event: Event) => void} onclick @param {string} [kind] */
    const action = (key, onclick, kind = "") => {
      const label = t(`deploy.action.${key}`);
      const name = t("deploy.action.of", { action: label, name: server.name });
      const look = { class: `button ${kind || "small"}`, type: "button", dataset: { action: key }, "aria-label": name };
      return el("button", { ...look, onclick }, label);
    };
    const running = server.state === "running";
    const external = isExternal(server);
    const alive = isAlive(server);
    const chat = running ? action("chat", () => tell("chat"), "primary") : null;
    if (!isOperator()) return [chat];
    const offered = alive && !server.first?.problem ? [] : (server.remedies ?? []);
    const remedies = offered.map(({ text }, remedy) => {
      const label = t(alive ? "remedy.stop-again" : "remedy.again", { remedy: text });
      const look = { class: "button primary", type: "button", dataset: { action: `remedy-${remedy}` } };
      return el("button", { ...look, onclick: () => startCorrected(server, remedy) }, label);
    });
    return [
      chat,
      remedies,
      offered.length ? action("correct", () => correct(server, 0)) : null,
      life.canWake(server) ? action("wake", () => act("wake")) : null,
      canStop(server) ? action("stop", () => stop(server.name)) : null,
      alive || external ? null : action("restart", () => act("restart"), offered.length ? "" : "primary"),
      external ? null : action("log", showLog),
      running ? apiLink(server) : null,
      running ? action("code", toggleCode) : null,
      server.state === "failed" ? action("report", copyReport) : null,
      action("edit", takeOver),
      alive && !external ? null : action("forget", () => act("forget")),
    ];
  }

  /** Why it ended, and the log's lines behind that. @param {Server} server */
  function reason(server) {
    const { reason: text, reason_lines: lines = [], first } = server;
    const problem = isAlive(server) ? first?.problem : null;
    return [
      problem ? el("p", { class: "deploy-reason", dataset: { first: first?.state } }, problem) : null,
      text ? el("p", { class: "deploy-reason" }, text) : null,
      lines.length ? el("pre", { class: "code deploy-reason-lines", tabindex: "0" }, lines.join("\n")) : null,
    ];
  }

  return {
    element,
    /** @param {Server} server */
    tick(server) {
      time.textContent = when(server);
      life.tick(server);
    },
    /** @param {Server} server */
    show(server) {
      const isChosen = servers.current?.id === id;
      element.dataset.state = server.state;
      element.toggleAttribute("data-chosen", isChosen);
      markChosen(name, isChosen);
      progress.show(server);
      nodes.show(server);
      life.show(server, isOperator());
      time.textContent = when(server);
      const operator = isOperator();
      const { name: named, state: is, address, model_id: model, reason: because, exit_code: exit, remedies } = server;
      const key = JSON.stringify([
        named,
        is,
        address,
        model,
        because,
        exit,
        remedies,
        operator,
        server.first,
        server.asleep,
      ]);
      if (key === drawn) return;
      drawn = key;
      name.textContent = server.name;
      fill(
        state,
        badge(server.state),
        server.asleep ? el("span", { class: "deploy-asleep" }, t("life.asleep.short")) : null,
      );
      fill(end, ending(server).join(", "));
      if (is === "failed" && exit !== null) end.dataset.exitCode = String(exit);
      else delete end.dataset.exitCode;
      fill(why, reason(server));
      fill(details, facts(server));
      actions.show(buttons(server), name);
      if (server.state !== "running") code.hidden = true;
    },
  };
}

/** @typedef {{lines: Record<string, string>, login: boolean}} Code */

/** How to ask the server from elsewhere, line by line. @param {Code} code */
function codeLines({ lines, login }) {
  const shown = Object.entries(lines).map(([kind, text]) =>
    el(
      "div",
      { dataset: { kind } },
      el("div", { class: "deploy-code-head" }, el("span", {}, t(`deploy.code.${kind}`)), copyButton(text)),
      el("pre", { class: "code", tabindex: "0" }, text),
    ),
  );
  return [shown, login || !lines.ssh ? null : el("p", { class: "deploy-note" }, t("deploy.code.login"))];
}

/** @param {Server} server */
function apiLink({ id, name }) {
  const label = t("deploy.action.api");
  return el(
    "a",
    {
      class: "button small",
      target: "_blank",
      rel: "noopener",
      dataset: { action: "api" },
      href: link(`servers/${encodeURIComponent(id)}/api`),
      "aria-label": t("deploy.action.of", { action: label, name }),
    },
    label,
  );
}
