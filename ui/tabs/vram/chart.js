// @ts-check
/** The chart: drawn once, then extended, so that zoom, legend and what is hovered over stay. */

import { el, fill } from "../../page/dom.js";
import { locale, t } from "../../page/texts.js";
import { loadPlotly } from "./plotly.js";
import { drawnOwners, drawnValue } from "./rows.js";

/** @import { Axis, Change, EventsReply, Layout, Plotly, PlotElement, View, VramEvent } from "./types.d.ts" */
/** @import { Row } from "./rows.js" */

const LABEL_PIXELS = 14; // two markers' words need this much between them
const LONGEST_NAME = 20;
const CONFIG = {
  displaylogo: false,
  responsive: true,
  doubleClick: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "resetScale2d", "toImage"],
};

/** @param {string} name */
const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

const FONT_PX = 12;

/** @param {Layout} layout */
const axisNames = (layout) => Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
/** @param {Layout} layout */
const timeAxes = (layout) => axisNames(layout).filter((name) => name.startsWith("x"));
/** @param {Layout} layout @param {string} name */
const axis = (layout, name) => /** @type {Axis} */ (layout[name]);

/** plotly writes every time as UTC: what it is given is the reader's own time of day. @param {number} epochMs */
const local = (epochMs) => epochMs - new Date(epochMs).getTimezoneOffset() * 60_000;
/** @param {number | string} edge */
const edgeMs = (edge) => (typeof edge === "number" ? edge : Date.parse(`${edge.replace(" ", "T")}Z`));

/** @param {string} text */
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
/** @param {string} name */
const shorten = (name) => (name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name);

/** The time of day of an event or a row. @param {{at: number}} what @param {number} offset seconds from its clock to the epoch */
export function clockTime({ at }, offset) {
  return new Date((at + offset) * 1000).toLocaleTimeString(locale === "en" ? "en-GB" : locale);
}

export class Chart {
  /** @type {Plotly | null} */
  #plotly = null;
  /** @type {PlotElement | null} */
  #plot = null;
  /** @type {View | null} */
  #view = null;
  /** @type {VramEvent[]} */
  #events = [];
  #window = 0;
  #stage;
  #report;
  /** Whether a reader looks at a part of it. */
  zoomed = false;

  /** @param {HTMLElement} stage @param {() => void} report called whenever what it shows has changed */
  constructor(stage, report) {
    this.#stage = stage;
    this.#report = report;
    const redress = () => {
      const { plotly, plot } = this.#ready() ?? {};
      if (plotly && plot) plotly.relayout(plot, { ...themed(plot.layout), ...this.#marks() });
    };
    const look = { attributes: true, attributeFilter: ["class", "data-type"] };
    for (const root of [document.body, document.documentElement]) new MutationObserver(redress).observe(root, look);
  }

  get points() {
    return this.#plot?.data?.[0]?.x.length ?? 0;
  }

  get markers() {
    return this.#plot?.layout?.shapes?.length ?? 0;
  }

  /** Says that there is nothing to draw. @param {string} text */
  say(text) {
    fill(this.#stage, el("div", { class: "empty", role: "status" }, text));
    this.#plot = null;
  }

  /** Whether a row holds an owner that the figure has no line for. @param {Row} row */
  hasStranger(row) {
    const drawn = new Set((this.#plot?.data ?? []).map(({ meta }) => meta.owner));
    return drawnOwners(row).some((owner) => !drawn.has(owner));
  }

  /**
   * The whole figure. `view.newest` is where it ends.
   *
   * @param {View} view
   * @param {Row[]} rows
   * @param {number} seconds the window
   */
  async draw(view, rows, seconds) {
    const plotly = (this.#plotly ??= await loadPlotly());
    this.#view = view;
    this.#window = seconds;
    const { data, layout } = structuredClone(view.figure);
    const times = rows.map((row) => this.#time(row.at));
    for (const trace of data) {
      trace.x = [...times];
      trace.y = rows.map((row) => drawnValue(trace.meta, row));
    }
    const looked = this.zoomed && this.#plot?.layout ? axis(this.#plot.layout, "xaxis").range : null;
    for (const name of timeAxes(layout)) axis(layout, name).range = looked ?? this.#range();
    // In the layout at once: each change afterwards draws the whole chart again.
    for (const [path, value] of Object.entries(themed(layout))) put(layout, path, value);
    const place = this.#plot ?? el("div", { class: "vram-plot" });
    if (!this.#plot) fill(this.#stage, place);
    const plot = await plotly.react(place, data, layout, CONFIG);
    const isNew = plot !== this.#plot;
    this.#plot = plot;
    if (this.#events.length) await plotly.relayout(plot, this.#marks()); // where its words have room is known now
    if (isNew) this.#listen(plotly, plot);
    this.#showPercentAxes();
    this.#report();
  }

  /** Appends rows; the window moves on unless someone looks at a part of it. @param {Row[]} rows */
  extend(rows) {
    const { plotly, plot, view } = this.#ready() ?? {};
    if (!plotly || !plot || !view) return;
    if (!this.zoomed) {
      const range = this.#range();
      for (const name of timeAxes(plot.layout)) Object.assign(axis(plot.layout, name), { range, autorange: false });
    }
    if (rows.length === 0 && this.zoomed) return;
    const indices = plot.data.map((_, index) => index);
    const times = rows.map((row) => this.#time(row.at));
    const values = plot.data.map(({ meta }) => rows.map((row) => drawnValue(meta, row)));
    const most = Math.ceil(this.#window / view.step) + 2;
    plotly.extendTraces(plot, { x: indices.map(() => times), y: values }, indices, most);
    this.#report();
  }

  /** What happened. @param {EventsReply} reply */
  mark({ events }) {
    this.#events = events;
    const { plotly, plot } = this.#ready() ?? {};
    if (plotly && plot) plotly.relayout(plot, this.#marks());
  }

  /** The whole window again. */
  showAll() {
    this.zoomed = false;
    const { plotly, plot, view } = this.#ready() ?? {};
    if (!plotly || !plot || !view) return;
    /** @type {Change} */
    const changes = { ours: true };
    for (const name of axisNames(plot.layout)) {
      const begun = view.figure.layout[name] ? axis(view.figure.layout, name).range : undefined;
      if (name.startsWith("x")) changes[`${name}.range`] = this.#range();
      else if (begun) changes[`${name}.range`] = [...begun];
    }
    plotly.relayout(plot, changes);
    plotly.relayout(plot, this.#marks());
    this.#report();
  }

  async savePicture() {
    const { plotly, plot } = this.#ready() ?? {};
    if (!plotly || !plot) return;
    const background = css("--body-background-fill") || "#fff";
    await plotly.downloadImage(
      { data: plot.data, layout: { ...plot.layout, paper_bgcolor: background } },
      { format: "png", scale: 2, width: plot.offsetWidth, height: plot.offsetHeight, filename: "vram" },
    );
  }

  /** What there is once something was drawn. */
  #ready() {
    const plotly = this.#plotly;
    const plot = this.#plot;
    const view = this.#view;
    return plotly && plot?.data && view ? { plotly, plot, view } : null;
  }

  /** @param {number} at */
  #time(at) {
    return local((at + (this.#view?.o ?? 0)) * 1000);
  }

  /** The window up to the newest row: the console's clock counts, whatever this browser's says. */
  #range() {
    const newest = this.#view?.newest;
    const now = newest ? this.#time(newest.at) : local(Date.now());
    return [now - this.#window * 1000, now];
  }

  /** @param {Plotly} plotly @param {PlotElement} plot */
  #listen(plotly, plot) {
    plot.on("plotly_relayout", (change) => {
      if (change.ours || !Object.keys(change).some((name) => /^xaxis\d*\.range/.test(name))) return;
      this.zoomed = true;
      plotly.relayout(plot, this.#marks());
      this.#report();
    });
    plot.on("plotly_doubleclick", () => this.showAll());
    plot.on("plotly_restyle", () => this.#showPercentAxes());
  }

  /** The percent axes stand there only while the utilization is drawn. */
  #showPercentAxes() {
    const { plotly, plot } = this.#ready() ?? {};
    if (!plotly || !plot) return;
    /** @type {Change} */
    const changes = {};
    for (const trace of plot.data.filter(({ meta }) => meta.kind === "utilization")) {
      const name = trace.yaxis.replace("y", "yaxis");
      const visible = trace.visible === true;
      if (Boolean(axis(plot.layout, name).visible) !== visible) changes[`${name}.visible`] = visible;
    }
    if (Object.keys(changes).length) plotly.relayout(plot, changes);
  }

  /** Markers: a line and its words for everything that happened, where the words have room. @returns {Change} */
  #marks() {
    const { plot, view } = this.#ready() ?? {};
    const shown = plot ? axis(plot.layout, "xaxis").range?.map(edgeMs) : undefined;
    const [from, to] = shown ?? this.#range();
    const width = plot?._fullLayout?._size?.w || 800;
    const pixels = (/** @type {number} */ at) => ((at - from) / (to - from)) * width;
    const several = new Set(this.#events.map(({ owner }) => owner)).size > 1;
    const color = css("--body-text-color-subdued");
    const shapes = [];
    /** @type {object[]} */
    const labels = [];
    let last = -Infinity;
    let words = "";
    /** @type {{text: string} | null} */
    let label = null;
    let hidden = 0;
    for (const event of this.#events) {
      const at = this.#time(event.at);
      shapes.push({
        type: "line",
        xref: "x",
        yref: "paper",
        x0: at,
        x1: at,
        y0: 0,
        y1: 1,
        line: { width: 1, dash: "dot", color },
      });
      if (label && pixels(at) - last < LABEL_PIXELS) {
        hidden += 1;
        label.text = plain(`${words} ${t("vram.more-events", { count: hidden })}`);
        continue;
      }
      last = pixels(at);
      hidden = 0;
      words = several ? `${event.text} · ${shorten(event.name)}` : event.text;
      label = this.#label(event, at, words);
      labels.push(label);
    }
    const titles = view?.figure.layout.annotations ?? [];
    return { shapes, annotations: [...titles, ...labels], ours: true };
  }

  /** @param {VramEvent} event @param {number} at @param {string} words */
  #label(event, at, words) {
    return {
      text: plain(words),
      xref: "x",
      x: at,
      xanchor: "right",
      yref: "paper",
      y: 1,
      yanchor: "top",
      textangle: -90,
      showarrow: false,
      font: { size: 10.5 * typeScale(), color: css("--body-text-color") },
      bgcolor: document.body.classList.contains("dark") ? "#0f172ab0" : "#ffffffb0",
      borderpad: 1,
      hovertext: plain(`${clockTime(event, this.#view?.o ?? 0)} ${event.name}: ${event.text}`),
    };
  }
}

/** How much larger than usual the page's type is: the chart itself isn't zoomed (page/shell.css). */
const typeScale = () => Number(css("--type")) || 1;

/** Sets what a path such as "xaxis.tickfont.color" names. @param {object} place @param {string} path @param {unknown} value */
function put(place, path, value) {
  const names = path.split(".");
  const last = names.pop() ?? "";
  let at = /** @type {Record<string, unknown>} */ (place);
  for (const name of names) at = /** @type {Record<string, unknown>} */ (at[name] ??= {});
  at[last] = value;
}

/** The page's colours, light or dark, and its size of type. @param {Layout} layout @returns {Change} */
function themed(layout) {
  const text = css("--body-text-color");
  const grid = css("--border-color-primary");
  /** @type {Change} */
  const changes = {
    "font.color": text,
    "font.size": FONT_PX * typeScale(),
    "hoverlabel.bgcolor": css("--background-fill-primary"),
    "hoverlabel.bordercolor": grid,
    "hoverlabel.font.color": text,
  };
  for (const name of axisNames(layout)) {
    changes[`${name}.gridcolor`] = grid;
    changes[`${name}.linecolor`] = grid;
    changes[`${name}.tickfont.color`] = css("--body-text-color-subdued");
  }
  return changes;
}
