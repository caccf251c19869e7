// @ts-check
/** Keys of the console's own API address: made, shown once, limited, withdrawn; and which external servers it lends. */

import { copyButton } from "../../page/clipboard.js";
import { everySecond } from "../../page/clock.js";
import { el, fill } from "../../page/dom.js";
import { number } from "../../page/format.js";
import { keepPlace, whenChanged } from "../../page/redraw.js";
import { apiAddress, get, post, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";

/** @import { Server } from "../../page/types.d.ts" */

/**
 * @typedef {object} Key
 * @property {string} id
 * @property {string} name
 * @property {string} hint
 * @property {{requests_a_minute: number | null, tokens_a_day: number | null, servers: string[]}} limits
 * @property {{requests: number, tokens: number, tokens_today: number}} usage
 */

/** @typedef {{keys: Key[], servers: Record<string, string>, lent: string[]}} Keys */

const LOOK_AGAIN_S = 5;

/** @param {HTMLElement} element */
export function keysPanel(element) {
  /** @type {Keys} */
  let keys = { keys: [], servers: {}, lent: [] };
  /** @type {Server[]} */
  let external = [];
  let seconds = 0;
  const name = field("key-name", { required: true, maxlength: "60" });
  const requests = field("requests-a-minute", { inputmode: "numeric", placeholder: "60" });
  const tokens = field("tokens-a-day", { inputmode: "numeric", placeholder: "100000" });
  const problem = el("p", { class: "deploy-problem", role: "alert", hidden: true });
  const fresh = el("div", { class: "card deploy-key-fresh", role: "status", hidden: true });
  const rows = el("tbody");
  const none = el("p", { class: "muted" }, t("deploy.keys.none"));
  const heads = ["name", "hint", "limits", "usage", "act"].map((key) =>
    el("th", { scope: "col" }, t(`deploy.keys.${key}`)),
  );
  const table = el("table", { class: "deploy-keys-table", hidden: true }, el("thead", {}, el("tr", {}, heads)), rows);
  const lending = el("div", { class: "deploy-lending" });
  const make = el("button", { class: "button small primary", type: "submit" }, t("deploy.keys.make"));
  const form = el(
    "form",
    { class: "deploy-key-form", onsubmit: submitted },
    name.label,
    requests.label,
    tokens.label,
    make,
  );
  const address = el("code", { id: "deploy-api-v1" }, apiAddress());
  const where = el(
    "p",
    {},
    t("deploy.keys.where"),
    " ",
    address,
    " ",
    copyButton(() => apiAddress()),
  );
  fill(element, where, form, problem, fresh, none, table, lending);

  /** @param {() => Promise<unknown>} doing */
  async function attempt(doing) {
    problem.hidden = true;
    try {
      await doing();
    } catch (error) {
      problem.textContent = sentences(error).join(" ");
      problem.hidden = false;
    }
    await look();
  }

  /** @param {Event} event */
  function submitted(event) {
    event.preventDefault();
    attempt(async () => {
      const limits = { requests_a_minute: requests.input.value, tokens_a_day: tokens.input.value };
      /** @type {{secret: string, key: Key} | null} */
      const made = await post("keys", { name: name.input.value, ...limits });
      if (made) showFresh(made.secret, made.key.name);
      for (const { input } of [name, requests, tokens]) input.value = "";
    });
  }

  /** @param {string} secret @param {string} named */
  function showFresh(secret, named) {
    const close = el(
      "button",
      { class: "button small", type: "button", onclick: () => (fresh.hidden = true) },
      t("deploy.keys.close"),
    );
    const text = el("code", { class: "deploy-key-secret secret", tabindex: "0" }, secret);
    fill(fresh, el("p", {}, t("deploy.keys.once", { name: named })), text, " ", copyButton(secret), " ", close);
    fresh.hidden = false;
  }

  async function look() {
    try {
      keys = await get("keys");
      show();
    } catch {
      // the page's own poll says that nobody answers
    }
  }

  function show() {
    none.hidden = keys.keys.length > 0;
    table.hidden = keys.keys.length === 0;
    drawRows(keys.keys);
    showLending();
  }

  const drawRows = whenChanged((/** @type {Key[]} */ all) => keepPlace(rows, () => fill(rows, all.map(row))));

  /** @param {Key} key */
  function row(key) {
    const withdraw = el(
      "button",
      {
        class: "button small",
        type: "button",
        dataset: { focus: key.id },
        "aria-label": t("deploy.keys.withdraw-of", { name: key.name }),
        onclick: () => attempt(() => post(`keys/${encodeURIComponent(key.id)}/withdraw`)),
      },
      t("deploy.keys.withdraw"),
    );
    const used = t("deploy.keys.used", { requests: number(key.usage.requests), tokens: number(key.usage.tokens) });
    return el(
      "tr",
      { dataset: { keyId: key.id } },
      [key.name, `…${key.hint}`, limitsOf(key), used, withdraw].map((cell) => el("td", {}, cell)),
    );
  }

  function showLending() {
    drawLending(external.map(({ id, name: named }) => [id, named]));
    for (const box of lending.querySelectorAll("input")) box.checked = keys.lent.includes(box.dataset.focus ?? "");
  }

  const drawLending = whenChanged((/** @type {string[][]} */ servers) =>
    keepPlace(lending, () => fill(lending, servers.map(lendingBox))),
  );

  /** @param {string[]} server */
  function lendingBox([id, named]) {
    const box = el("input", {
      type: "checkbox",
      dataset: { focus: id },
      onchange: () => attempt(() => post(`servers/${encodeURIComponent(id)}/lend`, { lent: box.checked })),
    });
    return el("label", { dataset: { serverId: id } }, box, " ", t("deploy.keys.lend", { name: named }));
  }

  const isSeen = () => document.visibilityState === "visible" && element.offsetParent !== null;
  everySecond(() => {
    seconds += 1;
    if (isSeen() && seconds % LOOK_AGAIN_S === 1) look();
  });
  return {
    /** @param {Server[]} servers those of other machines */
    show(servers) {
      external = servers;
      if (isSeen()) showLending();
    },
  };
}

/** @param {Key} key */
function limitsOf({ limits }) {
  const parts = [
    limits.requests_a_minute === null ? null : t("deploy.keys.minute", { count: number(limits.requests_a_minute) }),
    limits.tokens_a_day === null ? null : t("deploy.keys.day", { count: number(limits.tokens_a_day) }),
    ...limits.servers,
  ].filter((part) => part !== null);
  return parts.join(", ") || t("deploy.keys.unlimited");
}

/** @param {string} name @param {Record<string, unknown>} attributes */
function field(name, attributes) {
  const input = el("input", { type: "text", id: `deploy-${name}`, autocomplete: "off", ...attributes });
  return { input, label: el("label", {}, el("span", {}, t(`deploy.${name}.label`)), input) };
}
