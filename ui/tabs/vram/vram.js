// @ts-check
/**
 * The VRAM tab: one chart that is drawn once and then extended, a table with the same figures, the events, and the
 * plans held against what was measured. Nothing is asked for while the tab isn't shown; afterwards one request catches
 * up.
 */

import { Bridge } from "../../page/bridge.js";
import { byId, el, fill } from "../../page/dom.js";
import { onBack } from "../../page/offline_notice.js";
import { get, link, post, RequestError, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { Chart, clockTime } from "./chart.js";
import { loadPlotly } from "./plotly.js";
import { decoded } from "./rows.js";
import { drawEvents, drawReconciled, drawTable } from "./tables.js";

/** @import { AreaScript } from "../../page/types.d.ts" */
/** @import { EventsReply, FigureReply, Samples, View } from "./types.d.ts" */

const FASTEST_POLL_MS = 500;
const CALM_POLL_MS = 1000;
const SLOWEST_POLL_MS = 60_000;
const SILENCE_MS = 5000; // figures that stand still look like the present
const CLOCK_JUMP_S = 2;

const bridge = new Bridge();

/** The elements, by their part's name. @type {Record<string, HTMLElement>} */
const places = {};
const notes = el("ul", { class: "hint vram-notes", hidden: true });
const resetZoom = el(
  "button",
  { class: "button small", type: "button", id: "vram-reset", hidden: true, onclick: () => chart?.showAll() },
  t("vram.reset-zoom"),
);
const stale = el("p", { class: "vram-stale", role: "status", hidden: true });
const stage = el("div", { class: "vram-stage", role: "group", "aria-label": t("vram.chart.name") });

/** @type {Chart | null} */
let chart = null;
let windowSeconds = 300;
let paused = false;
/** The figure; null until it came, and when it must be asked for anew. @type {View | null} */
let view = null;
let interval = ""; // the seconds between two samples, as the list was told
/** @type {EventsReply} */
let happened = { e: -1, events: [], reconciled: [] };

// ------------------------------------------------------------------------------------- polling

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let busy = false;
let failures = 0;
let pace = CALM_POLL_MS;

const isShown = () => document.visibilityState === "visible" && places.chart?.offsetParent != null;

/** @param {number} delay */
function schedule(delay) {
  clearTimeout(timer);
  timer = setTimeout(tick, delay);
}

async function tick() {
  if (busy || !isShown()) return; // being shown again schedules the next one
  busy = true;
  try {
    if (!view) await load();
    else if (!paused) await update(view);
    failures = 0;
  } catch (problem) {
    failures += 1;
    if (!view) chart?.say(sentences(problem).join(" "));
    if (!(problem instanceof RequestError)) console.error(problem);
  } finally {
    busy = false;
    report();
    schedule(failures ? Math.min(SLOWEST_POLL_MS, pace * 2 ** Math.min(failures, 10)) : pace);
  }
}

/** The whole figure: at first, and when cards, owners or the window changed. */
async function load() {
  if (!chart) return;
  const seconds = windowSeconds;
  // Together: each is a round trip, and plotly.js is large.
  const [{ r, now, ...fresh }, events] = await Promise.all([
    /** @type {Promise<FigureReply>} */ (get(`vram/figure?window=${seconds}`)),
    askForEvents(seconds),
    loadPlotly(),
  ]);
  const rows = r.map(decoded);
  const loaded = { ...fresh, newest: now ? decoded(now) : null };
  const wanted = loaded.interval * 1000;
  pace = wanted >= FASTEST_POLL_MS && wanted <= SLOWEST_POLL_MS ? wanted : CALM_POLL_MS;
  if (wanted < FASTEST_POLL_MS) pace = FASTEST_POLL_MS;
  if (interval !== String(loaded.interval)) {
    interval = String(loaded.interval);
    bridge.tell("known");
  }
  if (seconds !== windowSeconds) return; // another was chosen meanwhile
  view = loaded;
  showEvents(loaded, events);
  await chart.draw(loaded, rows, seconds);
  fill(
    notes,
    loaded.notes.map((note) => el("li", {}, note)),
  );
  notes.hidden = loaded.notes.length === 0;
  if (places.table) drawTable(places.table, loaded);
}

/** What came since. @param {View} known */
async function update(known) {
  const path = `vram/samples?since=${known.n}&window=${windowSeconds}&v=${encodeURIComponent(known.v)}`;
  const fresh = /** @type {Samples} */ (await get(path, { silence: SILENCE_MS }));
  if (view !== known || !chart) return; // it was let go meanwhile
  const rows = (fresh.r ?? []).map(decoded);
  const { n, o, e, now, reset } = fresh;
  if (reset || Math.abs(o - known.o) > CLOCK_JUMP_S || rows.some((row) => chart?.hasStranger(row))) {
    await load();
    return;
  }
  known.n = n;
  known.newest = now ? decoded(now) : (rows.at(-1) ?? known.newest);
  if (e !== happened.e) showEvents(known, await askForEvents(windowSeconds));
  chart.extend(rows);
  if (places.table) drawTable(places.table, known);
}

/** @param {number} seconds @returns {Promise<EventsReply>} */
const askForEvents = (seconds) => get(`vram/events?window=${seconds}`);

/** @param {View} known @param {EventsReply} events */
function showEvents(known, events) {
  happened = events;
  if (places.events) drawEvents(places.events, happened, known.o);
  if (places.reconciled) drawReconciled(places.reconciled, happened);
  chart?.mark(happened);
}

/** The figure is asked for anew, now. */
function again() {
  view = null;
  schedule(0);
}

/** What the chart shows, for those who read attributes: tests, and scripts of a reader's own. */
function report() {
  const root = byId("vram-chart");
  if (!root || !chart) return;
  const told = {
    state: paused ? "paused" : failures ? "stale" : "live",
    window: windowSeconds,
    zoomed: chart.zoomed,
    points: chart.points,
    since: view?.n ?? 0,
    markers: chart.markers,
    machine: view?.gpus.length ? "gpu" : "host",
  };
  for (const [name, value] of Object.entries(told)) root.dataset[name] = String(value);
  resetZoom.hidden = !chart.zoomed;
  const newest = view?.newest;
  stale.hidden = paused || !failures || !newest;
  const text = view && newest ? t("vram.as-of", { time: clockTime(newest, view.o) }) : "";
  if (stale.textContent !== text) stale.textContent = text;
}

document.addEventListener("visibilitychange", () => {
  if (isShown()) schedule(0);
});

onBack(() => {
  failures = 0;
  schedule(0);
});

// ------------------------------------------------------------------------------------- what Gradio's controls tell

export const events = {
  /** The seconds between two samples, for the list. */
  knownInterval: () => interval,

  /** @param {string} seconds */
  async interval(seconds) {
    const place = byId("vram-message");
    if (!place) return;
    try {
      await post("vram/interval", { seconds });
      fill(place);
      again();
    } catch (problem) {
      const messages = sentences(problem).map((text) => el("li", { class: "console-message" }, text));
      fill(place, el("ul", { class: "message-list", role: "alert" }, messages));
    }
  },

  /** @param {string} minutes */
  window(minutes) {
    const chosen = Number(minutes) * 60;
    if (!(chosen > 0)) return;
    windowSeconds = chosen;
    if (chart) chart.zoomed = false;
    again();
  },

  /** Holds the chart, or lets it go on; answers with the button's next name. */
  pause() {
    paused = !paused;
    report();
    if (!paused) schedule(0);
    return t(paused ? "vram.resume" : "vram.pause");
  },
};

// ------------------------------------------------------------------------------------- the elements

/** @param {string} name @returns {(element: HTMLElement) => void} */
const placeOf = (name) => (element) => {
  places[name] = element;
  if (!view) return;
  if (name === "table") drawTable(element, view);
  if (name === "events") drawEvents(element, happened, view.o);
  if (name === "reconciled") drawReconciled(element, happened);
};

/** @type {AreaScript["parts"]} */
export const parts = {
  bridge(element, gradio) {
    bridge.attach(element, gradio);
  },

  chart(element) {
    places.chart = element;
    const csv = el("a", { class: "button small", id: "vram-csv", download: "vram.csv", href: "#" }, t("vram.csv"));
    csv.addEventListener("click", () => {
      csv.href = link(`vram/samples.csv?window=${windowSeconds}`);
    });
    const look = { class: "button small", type: "button", id: "vram-png" };
    const picture = el("button", { ...look, onclick: () => chart?.savePicture() }, t("vram.png"));
    fill(stage, el("div", { class: "empty" }, t("vram.loading")));
    // The notes stand below: they come with the figures, and would push the chart down.
    fill(element, stage, el("div", { class: "vram-actions" }, stale, resetZoom, picture, csv), notes);
    chart = new Chart(stage, report);
    new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) schedule(0);
    }).observe(element);
    schedule(0);
  },

  table: placeOf("table"),
  events: placeOf("events"),
  reconciled: placeOf("reconciled"),
};
