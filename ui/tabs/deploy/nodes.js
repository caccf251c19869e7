// @ts-check
/** The servers behind a proxy, as a table on its card: state, load, latency and speed of each. */

import { el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";

/** @import { ProxyNode, Server } from "../../page/types.d.ts" */

const NOTHING = "–";
const COLUMNS = ["state", "requests", "latency", "speed"];

/** What a node generates where it tells; else how many answers it gave. @param {ProxyNode} node */
export function speed({ tokens_per_s: tokens, answers_a_minute: answers }) {
  if (tokens !== null) return t("deploy.node.tokens", { value: tokens });
  return answers === null ? NOTHING : t("deploy.node.answers", { value: answers });
}

/** @param {ProxyNode} node */
export const latency = ({ latency_s: seconds }) =>
  seconds === null
    ? NOTHING
    : t("deploy.node.seconds", { value: seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(0) });

/** @param {ProxyNode} node */
function said({ state }) {
  if (state === "running") return t("deploy.node.joined");
  return state === "failed" ? t("deploy.node.out") : t(`common.state.${state}`);
}

export function nodeTable() {
  const rows = el("tbody");
  const heads = ["title", ...COLUMNS].map((name) => el("th", { scope: "col" }, t(`deploy.node.${name}`)));
  const table = el("table", { class: "deploy-nodes" }, el("thead", {}, el("tr", {}, heads)), rows);
  const element = el("div", { class: "deploy-nodes-scroll", hidden: true, tabindex: "0", role: "region" }, table);
  let drawn = "";
  return {
    element,
    /** @param {Server} server */
    show({ name, nodes = [] }) {
      element.hidden = nodes.length === 0;
      const key = JSON.stringify([name, nodes]);
      if (key === drawn) return;
      drawn = key;
      element.setAttribute("aria-label", t("deploy.node.list", { name }));
      fill(rows, nodes.map(row));
    },
  };
}

/** @param {ProxyNode} node */
function row(node) {
  const state = el("span", { class: "badge", dataset: { state: node.state } }, said(node));
  const address = el("span", { class: "deploy-node-address" }, node.address.replace(/^http:\/\//, ""));
  const why = node.problem ? el("p", { class: "deploy-node-problem" }, node.problem) : null;
  const data = { state: node.state, node: node.address };
  return el(
    "tr",
    { dataset: data },
    el(
      "th",
      { scope: "row" },
      el("span", {}, node.name),
      node.name.includes(address.textContent ?? "") ? null : address,
      why,
    ),
    el("td", {}, state),
    el("td", { dataset: { figure: "requests" } }, String(node.requests ?? NOTHING)),
    el("td", { dataset: { figure: "latency" } }, latency(node)),
    el("td", { dataset: { figure: "speed" } }, speed(node)),
  );
}
