// @ts-check
/** The header on every tab: GPUs or memory, running servers, notices, language, light and dark. */

import { fetchAhead } from "./ahead.js";
import { Bridge } from "./bridge.js";
import { remember } from "./browser_storage.js";
import { nameButton } from "./class_name.js";
import { followClock } from "./clock.js";
import { el, fill } from "./dom.js";
import { shortGib } from "./format.js";
import { later } from "./later.js";
import { listenToKeys } from "./shortcuts.js";
import { settleTabs } from "./settle.js";
import { onSnapshot } from "./snapshot.js";
import { keepTabInAddress } from "./tabs.js";
import { language, t } from "./texts.js";

/** @import { HeaderFigures, Server } from "./types.d.ts" */

const COOKIE_SECONDS = 400 * 86400;
const HINT_CLOSED = "console-hint-closed";
// The script in <head> (start.js) applies these to the next page before it is drawn.
const THEME = "console-theme";
const TYPE = "console-type";

const bridge = new Bridge();

const openGuide = later(
  () => import("./guide.js"),
  (guide) => guide.openGuide(),
);
const openShare = later(
  () => import("./share.js"),
  (share) => void share.openShare(),
);

/** Light or dark, remembered. */
function toggleTheme() {
  const dark = !document.body.classList.contains("dark");
  remember(THEME, dark ? "dark" : "light");
  document.body.classList.toggle("dark", dark);
}

/** Type as it is or larger, remembered. @param {HTMLElement} button */
function toggleType(button) {
  const { dataset } = document.documentElement;
  if (dataset.type === "large") delete dataset.type;
  else dataset.type = "large";
  remember(TYPE, dataset.type ?? "normal");
  button.setAttribute("aria-pressed", String(dataset.type === "large"));
  dispatchEvent(new Event("resize")); // what was measured in pixels is measured anew
}

/**
 * A button of the header's right-hand side.
 *
 * @param {string} id
 * @param {string} name
 * @param {(button: HTMLElement) => void} press
 * @param {string} sign what stands on it; "" where it has an icon of the id's name
 */
function tool(id, name, press, sign = "") {
  const look = { class: "button small icon", type: "button", id: `header-${id}`, title: name, "aria-label": name };
  const button = el("button", { ...look, dataset: { icon: sign ? null : id }, onclick: () => press(button) }, sign);
  return button;
}

const isClass = () => document.documentElement.dataset.role === "class";

/** For the operator: how the class gets in, with how many are here. */
function shareButton() {
  const name = el("span", { class: "header-share-name" }, t("header.share"));
  const look = { class: "button small", type: "button", id: "header-share", dataset: { icon: "class" } };
  const element = el("button", { ...look, hidden: isClass(), onclick: () => void openShare() }, name);
  return {
    element,
    /** @param {HeaderFigures} figures */
    show({ class_here: count = 0 }) {
      element.dataset.here = String(count);
      const text = count ? t("header.share.here", { count }) : t("header.share");
      if (name.textContent !== text) name.textContent = text;
    },
  };
}

/**
 * @param {string} label
 * @param {string} title
 * @param {number | null} used
 * @param {number | null} total
 */
function gauge(label, title, used, total) {
  const share = used === null || !total ? 0 : Math.min(1, used / total);
  const level = share > 0.95 ? "full" : share > 0.8 ? "high" : "calm";
  const figures = used === null || total === null ? "–" : `${shortGib(used)} / ${shortGib(total)} GiB`;
  const filled = el("span", { style: { width: `${(share * 100).toFixed(1)}%` } });
  return el(
    "span",
    { class: "gauge", title, dataset: { level } },
    el("span", { class: "gauge-label" }, label),
    el("span", { class: "gauge-bar", "aria-hidden": "true" }, filled),
    el("span", { class: "gauge-figures" }, figures),
  );
}

/** @param {HeaderFigures} figures */
function gauges({ gpus, host_used_bytes: used, host_total_bytes: total }) {
  if (!gpus.length) return [gauge(t("header.memory"), t("header.no_gpu"), used, total)];
  return gpus.map((gpu, index) => {
    const label = gpus.length > 1 ? `GPU ${gpu.id ?? index}` : gpu.name;
    return gauge(label, gpu.name, gpu.used_bytes, gpu.total_bytes);
  });
}

/** @param {number} running @param {number} starting */
function serversText(running, starting) {
  if (starting) return t("header.servers.starting", { running, starting });
  if (running === 0) return t("header.servers.none");
  return running === 1 ? t("header.servers.one") : t("header.servers.running", { running });
}

/** @param {Server[]} servers @param {Server["state"]} state */
const count = (servers, state) => servers.filter((server) => server.state === state).length;

/** @param {HTMLElement} element */
function bar(element) {
  followClock();
  const gpus = el("div", { id: "header-gpu", class: "header-item" });
  const servers = el("div", { id: "header-servers", class: "header-item", role: "status" });
  const type = tool("type", t("header.type"), toggleType, "Aa");
  type.setAttribute("aria-pressed", String(document.documentElement.dataset.type === "large"));
  const theme = tool("theme", t("header.theme"), toggleTheme, "◐");
  const guide = tool("guide", t("header.guide"), () => void openGuide());
  const share = shareButton();
  const tools = el("div", { class: "header-tools" }, isClass() && nameButton(), share.element, guide, type, theme);
  const role = el(
    "span",
    { class: "badge", id: "header-role", hidden: !isClass(), title: t("header.class.title") },
    t("header.class"),
  );
  const notices = el("div", { id: "header-notices", class: "message-list" });
  const title = el("h1", {}, t("common.title"));
  const line = el("div", { class: "header-bar" }, title, role, el("span", { class: "spring" }), gpus, servers, tools);
  fill(element, line, notices);
  document.documentElement.dataset.header = "";
  onSnapshot((snapshot) => {
    fill(
      notices,
      snapshot.notices.map((text) =>
        el("div", { class: "console-message", role: "alert", "data-level": "error" }, text),
      ),
    );
    share.show(snapshot.header);
    gpus.dataset.state = snapshot.header.gpus.length ? "gpu" : "host";
    gpus.dataset.used = String(snapshot.header.gpus.reduce((sum, gpu) => sum + (gpu.used_bytes ?? 0), 0));
    fill(gpus, gauges(snapshot.header));
    const running = count(snapshot.servers, "running");
    const starting = count(snapshot.servers, "starting");
    servers.dataset.count = String(running);
    servers.dataset.state = starting ? "starting" : running ? "running" : "stopped";
    fill(servers, el("span", { class: "dot", "aria-hidden": "true" }), serversText(running, starting));
  });
}

/** What to do first, until it is closed for good. @param {HTMLElement} element */
function hint(element) {
  const { dataset } = document.documentElement;
  if (dataset.hint === "closed" || dataset.role === "class") return; // a class lands where all is said already
  const close = el("button", { class: "button small", type: "button" }, t("header.hint.close"));
  const shown = el("div", { class: "hint" }, el("span", {}, t("header.hint")), close);
  close.addEventListener("click", () => {
    remember(HINT_CLOSED, "1");
    dataset.hint = "closed";
    shown.remove();
  });
  fill(element, shown);
}

/** @type {import("./types.d.ts").AreaScript["parts"]} */
export const parts = {
  bridge(element, gradio) {
    bridge.attach(element, gradio);
    bridge.tell("opened");
    keepTabInAddress();
    settleTabs();
    listenToKeys();
    fetchAhead();
  },
  bar,
  hint,
};

export const events = {
  /** The page's language, for the switch. */
  language: () => language,
  /** Remembers the language and shows the page in it. @param {string} value */
  chosen(value) {
    if (value === language) return;
    const path = new URL("./", document.baseURI).pathname; // below the page's own path: no other port is told
    document.cookie = `console-language=${value}; path=${path}; max-age=${COOKIE_SECONDS}; samesite=strict`;
    window.location.reload();
  },
};
