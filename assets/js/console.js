/**
 * What every page shares: mounting, the one poll, texts, JSON requests, DOM building, formats, the header.
 *
 * It stands as `window.lmConsole`; a stub in <head> (ui/html_head.py) queues mounts until this module is here.
 * Data reaches the page by textContent only.
 */

const config = window.gradio_config ?? {};
const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
const locale = language === "zh" ? "zh-CN" : "en";
const texts = config.i18n_translations?.[locale] ?? config.i18n_translations?.[language] ?? {};

/** The text of that key in the page's language, its {placeholders} filled. */
function t(key, params = {}) {
  const text = texts[key];
  if (text === undefined) {
    console.warn(`no text ${key}`);
    return key;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

// ---------------------------------------------------------------------------------------------- DOM

/**
 * An element. `attributes`: class, dataset: {…}, style: {…}, on<event>: function, value/checked/disabled as properties,
 * everything else as attributes (null and false leave it out). Children are nodes, strings, numbers, arrays; null is left out.
 */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name.startsWith("on") && typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

// ---------------------------------------------------------------------------------------------- requests

/** The URL of console/`path`, wherever a proxy has put the console. */
function address(path) {
  return new URL(`./console/${path.replace(/^\/+/, "").replace(/^console\//, "")}`, document.baseURI);
}

class RequestError extends Error {
  /** `messages` are sentences in the page's language; `status` is 0 where the console couldn't be reached. */
  constructor(messages, status) {
    super(messages.join(" "));
    this.messages = messages;
    this.status = status;
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(address(path), { credentials: "same-origin", ...options });
  } catch {
    throw new RequestError([t("common.offline")], 0);
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new RequestError(body.messages ?? [t("common.offline")], response.status);
  return body;
}

/** GET console/`path`; resolves to the JSON (null for 204), rejects with {messages, status}. */
const get = (path, options = {}) => request(path, options);

/** POST `body` as JSON to console/`path`; then polls at once, since something may have changed. */
async function post(path, body = {}) {
  try {
    return await request(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  } finally {
    refresh();
  }
}

// ---------------------------------------------------------------------------------------------- mounting

const factories = new Map();
const waiting = new Map();

/** `factory(element, options)` fills every element that is mounted under that name, now or later. */
function register(name, factory) {
  factories.set(name, factory);
  for (const [element, options] of waiting.get(name) ?? []) start(name, factory, element, options);
  waiting.delete(name);
}

/** Called from `gr.HTML(js_on_load="lmConsole.mount('name', element)")`. */
function mount(name, element, options = {}) {
  const factory = factories.get(name);
  if (factory) start(name, factory, element, options);
  else waiting.set(name, [...(waiting.get(name) ?? []), [element, options]]);
}

function start(name, factory, element, options) {
  // What a factory builds isn't prose: Gradio's styles for headings, lists and buttons in a text stay away from it.
  for (const styled of [element, element.closest(".prose")]) styled?.classList.remove("prose", "gradio-style");
  try {
    factory(element, options ?? {});
  } catch (error) {
    console.error(`mounting ${name} failed`, error);
  }
}

// ---------------------------------------------------------------------------------------------- the one poll

const CALM_MS = 1000;
const BUSY_MS = 250;
const POLL_LIMIT_MS = 15000; // a connection through SSH can die without a word, and fetch itself waits for ever
const listeners = new Set();
let snapshot = null;
let timer = 0;
let polling = false;
let again = false;
let failures = 0;

/** `listener(snapshot)` runs at every change, and once now if a snapshot is there. Returns a function that ends it. */
function onSnapshot(listener) {
  listeners.add(listener);
  if (snapshot) tell(listener, snapshot);
  else schedule(0);
  return () => listeners.delete(listener);
}

function tell(listener, value) {
  try {
    listener(value);
  } catch (error) {
    console.error("a snapshot listener failed", error);
  }
}

/** Polls now. */
function refresh() {
  if (polling) again = true;
  else schedule(0);
}

function schedule(delay) {
  clearTimeout(timer);
  timer = setTimeout(poll, delay);
}

async function poll() {
  if (polling || document.visibilityState === "hidden") return;
  polling = true;
  again = false;
  try {
    const since = snapshot ? `?since=${encodeURIComponent(snapshot.version)}` : "";
    const fresh = await get(`snapshot${since}`, { signal: AbortSignal.timeout(POLL_LIMIT_MS) });
    setOffline(0, null);
    if (fresh) {
      snapshot = fresh;
      for (const listener of [...listeners]) tell(listener, fresh);
    }
  } catch (error) {
    setOffline(failures + 1, error);
  } finally {
    polling = false;
    schedule(again ? 0 : delay());
  }
}

function delay() {
  const busy = snapshot?.servers.some((server) => server.state === "starting" || server.state === "stopping");
  return busy ? BUSY_MS : CALM_MS;
}

/** One failed poll may be a hiccup; from the second on the page says that nobody answers. */
function setOffline(count, error) {
  failures = count;
  const shown = document.getElementById("console-offline");
  if (count < 2) shown?.remove();
  else if (!shown) {
    const text = error.status === 0 ? t("common.offline") : error.messages.join(" ");
    document.body.append(el("div", { id: "console-offline", role: "alert" }, text));
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refresh();
});

// ---------------------------------------------------------------------------------------------- small things

/** Puts `text` on the clipboard and says so on `button`. Without a secure context the old way still works. */
async function copy(text, button = null) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { value: text, style: { position: "fixed", opacity: "0" } });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (!button) return;
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  button.dataset.copied = "true";
  button.textContent = t("common.copied");
  setTimeout(() => {
    button.textContent = label;
    delete button.dataset.copied;
  }, 1500);
}

/** A button that copies what `text()` gives. */
function copyButton(text, attributes = {}) {
  const button = el("button", { class: "button small", type: "button", ...attributes }, t("common.copy"));
  button.addEventListener("click", () => copy(typeof text === "function" ? text() : text, button));
  return button;
}

const GIB = 2 ** 30;
const format = {
  /** Bytes → "12.3 GiB"; below 10 GiB with two decimals; "–" for null. */
  gib(bytes) {
    if (bytes === null || bytes === undefined) return "–";
    const value = bytes / GIB;
    return `${value.toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: value < 10 ? 2 : 1 })} GiB`;
  },
  /** Seconds → "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
  duration(seconds) {
    if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
    const units = [[86400, "common.days"], [3600, "common.hours"], [60, "common.minutes"], [1, "common.seconds"]];
    let rest = Math.max(0, Math.round(seconds));
    const parts = [];
    for (const [size, key] of units) {
      const count = Math.floor(rest / size);
      if (parts.length === 0 ? count > 0 || size === 1 : parts.length === 1) {
        if (count > 0 || parts.length === 0) parts.push(`${count} ${t(key)}`);
        else break;
      }
      rest -= count * size;
    }
    return parts.join(" ");
  },
  /** 1234.5 → "1,234.5"; `digits` decimals at most. */
  number(value, digits = 1) {
    return value === null || value === undefined ? "–" : value.toLocaleString(locale, { maximumFractionDigits: digits });
  },
};

/** The address of console/`path`, for links. */
const link = (path) => address(path).href;

/** A state as a badge: <span class="badge" data-state="running">running</span>. */
function badge(state, attributes = {}) {
  return el("span", { class: "badge", dataset: { state }, ...attributes }, t(`common.state.${state}`));
}

// ---------------------------------------------------------------------------------------------- the console's clock

let clockSkew = 0; // s: the console's clock minus this browser's

/** Seconds since the epoch by the console's clock: what it tells of times stays right on a laptop whose clock isn't. */
const now = () => Date.now() / 1000 + clockSkew;

async function readClock() {
  try {
    const asked = Date.now();
    const answer = await fetch(address("texts.json"), { method: "HEAD", cache: "no-store" });
    const told = Date.parse(answer.headers.get("date") ?? "");
    const middle = (asked + Date.now()) / 2;
    if (Number.isFinite(told) && Math.abs(told - middle) > 2000) clockSkew = (told - middle) / 1000;
  } catch {
    clockSkew = 0;
  }
}

// ---------------------------------------------------------------------------------------------- lists of cards

/**
 * Keeps one card for each item of a list, in the list's order. `make(item)` gives {element, show(item), tick(item)};
 * cards stay the same elements, so that focus and open parts survive. `tick(items)` is for what a second changes.
 */
function cardList(place, make) {
  const cards = new Map();
  return {
    show(items) {
      const ids = new Set(items.map((item) => item.id));
      for (const [id, gone] of cards) {
        if (ids.has(id)) continue;
        gone.element.remove();
        cards.delete(id);
      }
      items.forEach((item, index) => {
        if (!cards.has(item.id)) cards.set(item.id, make(item));
        const { element: shown } = cards.get(item.id);
        if (place.children[index] !== shown) place.insertBefore(shown, place.children[index] ?? null);
        cards.get(item.id).show(item);
      });
    },
    tick(items) {
      if (document.visibilityState !== "visible" || place.offsetParent === null) return;
      for (const item of items) cards.get(item.id)?.tick(item);
    },
  };
}

// ---------------------------------------------------------------------------------------------- hidden buttons

const SETTLED_MS = 20; // changes of one moment are one change

/** A function that presses those hidden Gradio buttons once the calls to it have paused; it waits for them to be there. */
function presses(...ids) {
  let timer = 0;
  return function later(delay = SETTLED_MS) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (ids.every((id) => document.getElementById(id))) ids.forEach((id) => document.getElementById(id).click());
      else later(250);
    }, delay);
  };
}

// ---------------------------------------------------------------------------------------------- language, header

/** Remembers the language and shows the page in it. */
function setLanguage(value) {
  if (value === language) return;
  const seconds = 400 * 86400;
  document.cookie = `console-language=${value}; path=/; max-age=${seconds}; samesite=strict`;
  window.location.reload();
}

/** Light or dark, remembered; the stub in <head> applies it to the next page before it is drawn. */
function toggleTheme() {
  const dark = !document.body.classList.contains("dark");
  localStorage.setItem("console-theme", dark ? "dark" : "light");
  document.body.classList.toggle("dark", dark);
}

const shortGib = (bytes) => (bytes / GIB).toLocaleString(locale, { maximumFractionDigits: 1 });

function gauge(label, title, used, total) {
  const share = used === null || !total ? 0 : Math.min(1, used / total);
  const level = share > 0.95 ? "full" : share > 0.8 ? "high" : "calm";
  const figures = used === null ? "–" : `${shortGib(used)} / ${shortGib(total)} GiB`;
  return el(
    "span",
    { class: "gauge", title, dataset: { level } },
    el("span", { class: "gauge-label" }, label),
    el("span", { class: "gauge-bar", "aria-hidden": "true" }, el("span", { style: { width: `${(share * 100).toFixed(1)}%` } })),
    el("span", { class: "gauge-figures" }, figures),
  );
}

/** What to do first, until it is closed for good. */
function firstVisit(element) {
  const name = "console-hint-closed";
  if (localStorage.getItem(name) !== null) return;
  const text = el("span");
  const close = el("button", { class: "button small", type: "button" }, t("header.hint.close"));
  const hint = el("div", { class: "hint", hidden: true }, text, close);
  const end = onSnapshot(({ role }) => {
    text.textContent = t(role === "class" ? "header.hint.class" : "header.hint");
    hint.hidden = false;
  });
  close.addEventListener("click", () => {
    localStorage.setItem(name, "1");
    end();
    hint.remove();
  });
  element.replaceChildren(hint);
}

function headerBar(element) {
  const gpus = el("div", { id: "header-gpu", class: "header-item" });
  const servers = el("div", { id: "header-servers", class: "header-item", role: "status" });
  const theme = el("button", {
    class: "button small icon", type: "button", id: "header-theme",
    title: t("header.theme"), "aria-label": t("header.theme"), onclick: toggleTheme,
  }, "◐");
  const role = el("span", { class: "badge", id: "header-role", hidden: true, title: t("header.class.title") }, t("header.class"));
  const notices = el("div", { id: "header-notices", class: "message-list" });
  element.replaceChildren(
    el("div", { class: "header-bar" },
      el("h1", {}, t("common.title")), role, el("span", { class: "spring" }), gpus, servers, theme),
    notices,
  );
  onSnapshot(({ header, servers: all, role: who, notices: said }) => {
    notices.replaceChildren(...said.map((text) =>
      el("div", { class: "console-message", role: "alert", "data-level": "error" }, text)));
    role.hidden = who !== "class";
    gpus.dataset.state = header.gpus.length ? "gpu" : "host";
    gpus.dataset.used = header.gpus.reduce((sum, gpu) => sum + (gpu.used_bytes ?? 0), 0);
    if (header.gpus.length) {
      gpus.replaceChildren(...header.gpus.map((gpu, index) => gauge(
        header.gpus.length > 1 ? `GPU ${gpu.id ?? index}` : gpu.name, gpu.name, gpu.used_bytes, gpu.total_bytes)));
    } else {
      gpus.replaceChildren(gauge(t("header.memory"), t("header.no_gpu"), header.host_used_bytes, header.host_total_bytes));
    }
    const running = all.filter((server) => server.state === "running").length;
    const starting = all.filter((server) => server.state === "starting").length;
    servers.dataset.count = running;
    servers.dataset.state = starting ? "starting" : running ? "running" : "stopped";
    servers.replaceChildren(
      el("span", { class: "dot", "aria-hidden": "true" }),
      starting ? t("header.servers.starting", { running, starting })
        : running === 1 ? t("header.servers.one")
          : running ? t("header.servers.running", { running }) : t("header.servers.none"),
    );
  });
}

// ---------------------------------------------------------------------------------------------- start

const queued = window.lmConsole?.queue ?? [];
window.lmConsole = {
  register, mount, onSnapshot, refresh, t, address, get, post, copy, copyButton, el, badge, link, format, presses, now, cardList,
  setLanguage, language,
};
readClock();
register("header", headerBar);
register("hint", firstVisit);
for (const [name, element, options] of queued) mount(name, element, options);
