/**
 * The VRAM tab: one plotly chart that is drawn once and then extended, a table with the same figures, the events, and
 * the plans held against what was measured. Rows come from console/vram/samples (ui/tabs/vram/wire.py says what a row
 * holds). Nothing is asked for while the tab isn't shown; afterwards one request catches up.
 */

const lm = window.lmConsole;
const { el, t, format } = lm;

const MIB_PER_GIB = 1024;
const MIB = 2 ** 20;
const LABEL_PIXELS = 14; // two markers' words need this much between them
const SLOWEST_POLL_MS = 60_000;

const parts = {}; // the mounted elements, by name
let windowSeconds = 300;
let paused = false;
let zoomed = false;
let view = null; // the figure's answer
let since = 0;
let offset = 0; // added to a row's time: seconds since the epoch
let newest = null; // the newest row, for the table
let events = { e: -1, events: [], reconciled: [] };
let chart = null; // plotly's element
let timer = 0;
let busy = false;
let failures = 0;
let plotly = null; // the promise of plotly.js

// ---------------------------------------------------------------------------------------------- polling

const shown = () => document.visibilityState === "visible" && parts["vram-chart"]?.offsetParent !== null;

function schedule(delay) {
  clearTimeout(timer);
  timer = setTimeout(tick, delay);
}

async function tick() {
  if (busy || !parts["vram-chart"] || !shown()) return; // being shown again schedules the next one
  busy = true;
  try {
    if (!view) await load();
    else if (!paused) await update();
    failures = 0;
  } catch (error) {
    failures += 1;
    if (!view) say(error.messages?.join(" ") ?? String(error));
    if (!error.messages) console.error(error);
  } finally {
    busy = false;
    const pace = Math.max(500, (view?.interval ?? 1) * 1000);
    schedule(failures ? Math.min(SLOWEST_POLL_MS, pace * 2 ** failures) : pace);
  }
}

/** The whole figure: at first, and when cards, owners or the window changed. */
async function load() {
  await loadPlotly();
  const fresh = await lm.get(`vram/figure?window=${windowSeconds}`);
  view = fresh;
  since = fresh.n;
  offset = fresh.o;
  newest = fresh.now;
  await loadEvents();
  await draw(fresh.r);
  drawNotes();
  drawTable();
}

/** What came since. */
async function update() {
  const fresh = await lm.get(`vram/samples?since=${since}&window=${windowSeconds}&v=${view.v}`);
  if (fresh.reset || Math.abs(fresh.o - offset) > 2 || fresh.r.some(hasStranger)) {
    await load();
    return;
  }
  since = fresh.n;
  newest = fresh.now ?? fresh.r.at(-1) ?? newest;
  if (fresh.e !== events.e) await loadEvents();
  extend(fresh.r);
  drawTable();
}

/** A server or job that the figure has no line for, or whose KV cache it doesn't know yet. */
function hasStranger(row) {
  const drawn = new Set((chart?.data ?? []).map((trace) => trace.meta.owner));
  const owners = row[2].length ? row[2].flatMap((gpu) => pairs(gpu?.[4] ?? []).map(([owner]) => owner)) : pairs(row[3]).map(([owner]) => owner);
  return owners.some((owner) => !drawn.has(owner));
}

async function loadEvents() {
  const fresh = await lm.get(`vram/events?window=${windowSeconds}`);
  events = fresh;
  drawEvents();
  drawReconciled();
  if (chart?.data) window.Plotly.relayout(chart, marks());
}

function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve();
    const script = el("script", { src: lm.address("assets/plotly/plotly.min.js").href });
    script.onload = () => resolve();
    script.onerror = () => {
      plotly = null;
      script.remove();
      reject(new Error("plotly.js"));
    };
    document.head.append(script);
    return undefined;
  });
  return plotly;
}

// ---------------------------------------------------------------------------------------------- rows

const pairs = (flat) => Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index], flat[2 * index + 1]]);
const sum = (flat) => pairs(flat).reduce((total, [, size]) => total + size, 0);
const shareOf = (flat, owner) => pairs(flat).find(([who]) => who === owner)?.[1] ?? 0;
const cacheOf = (row, owner) => row[4].find(([who]) => who === owner);
const time = (row) => local((row[0] + offset) * 1000);

/** plotly writes every time as UTC: what it is given is the reader's own time of day. */
function local(epochMs) {
  return epochMs - new Date(epochMs).getTimezoneOffset() * 60_000;
}
const edgeMs = (edge) => (typeof edge === "number" ? edge : Date.parse(`${String(edge).replace(" ", "T")}Z`));

/** The part of a server's share that is KV cache and empty, in MiB; 0 where the cache's size isn't known. */
function emptyCache(row, owner, share) {
  const cache = cacheOf(row, owner);
  return cache && cache[5] !== null ? Math.min(share, cache[5] * (1 - cache[1] / 1000)) : 0;
}

/** What a trace draws of a row: GiB, percent, or null for what couldn't be read. */
function value(meta, row) {
  const host = meta.gpu < 0;
  const gpu = host ? null : row[2][meta.gpu];
  if (!host && !gpu) return null;
  if (meta.kind === "utilization") return gpu[1];
  const used = host ? row[1] : gpu[0];
  const shares = host ? row[3] : gpu[4];
  if (used === null) return null;
  if (meta.kind === "others") return Math.max(0, used - sum(shares)) / MIB_PER_GIB;
  const share = shareOf(shares, meta.owner);
  const empty = host ? 0 : emptyCache(row, meta.owner, share);
  return (meta.kind === "cache" ? empty : share - empty) / MIB_PER_GIB;
}

// ---------------------------------------------------------------------------------------------- the chart

function css(name) {
  return getComputedStyle(document.body).getPropertyValue(name).trim();
}

function axisNames(layout) {
  return Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
}

/** The page's colours, light or dark. */
function themed(layout) {
  const text = css("--body-text-color");
  const grid = css("--border-color-primary");
  const changes = {
    "font.color": text,
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

/** The window up to the newest row: the console's clock counts, whatever this browser's says. */
function timeRange() {
  const now = newest ? time(newest) : local(Date.now());
  return [now - windowSeconds * 1000, now];
}

async function draw(rows) {
  const { data, layout } = structuredClone(view.figure);
  const times = rows.map(time);
  for (const trace of data) {
    trace.x = [...times];
    trace.y = rows.map((row) => value(trace.meta, row));
  }
  if (!chart) {
    chart = el("div", { class: "vram-plot" });
    parts["vram-chart"].querySelector(".vram-stage").replaceChildren(chart);
  }
  const before = zoomed && chart.layout ? chart.layout.xaxis.range : null;
  for (const name of axisNames(layout).filter((axis) => axis.startsWith("x"))) layout[name].range = before ?? timeRange();
  view.titles = layout.annotations;
  await window.Plotly.react(chart, data, layout, {
    displaylogo: false, responsive: true, doubleClick: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "resetScale2d", "toImage"],
  });
  await window.Plotly.relayout(chart, { ...themed(layout), ...marks() });
  listen();
  showUtilizationAxes();
  report();
}

let listening = false;
function listen() {
  if (listening) return;
  listening = true;
  chart.on("plotly_relayout", (change) => {
    if (Object.keys(change).some((name) => /^xaxis\d*\.range/.test(name)) && !change.ours) {
      zoomed = true;
      window.Plotly.relayout(chart, marks());
      report();
    }
  });
  chart.on("plotly_doubleclick", showAll);
  chart.on("plotly_restyle", showUtilizationAxes);
  new MutationObserver(() => window.Plotly.relayout(chart, { ...themed(chart.layout), ...marks() }))
    .observe(document.body, { attributes: true, attributeFilter: ["class"] });
}

/** The percent axes stand there only while the utilization is drawn. */
function showUtilizationAxes() {
  const changes = {};
  for (const trace of chart.data.filter((one) => one.meta.kind === "utilization")) {
    const axis = trace.yaxis.replace("y", "yaxis");
    const visible = trace.visible === true;
    if (Boolean(chart.layout[axis].visible) !== visible) changes[`${axis}.visible`] = visible;
  }
  if (Object.keys(changes).length) window.Plotly.relayout(chart, changes);
}

/** Appends rows; the window moves on unless someone looks at a part of it. */
function extend(rows) {
  if (!zoomed) {
    const range = timeRange();
    for (const name of axisNames(chart.layout).filter((axis) => axis.startsWith("x"))) {
      chart.layout[name].range = range;
      chart.layout[name].autorange = false;
    }
  }
  if (rows.length === 0 && zoomed) return;
  const indices = chart.data.map((_, index) => index);
  const times = rows.map(time);
  const most = Math.ceil(windowSeconds / view.step) + 2;
  window.Plotly.extendTraces(
    chart,
    { x: indices.map(() => times), y: chart.data.map((trace) => rows.map((row) => value(trace.meta, row))) },
    indices,
    most,
  );
  report();
}

/** Markers: a line and its words for everything that happened, where the words have room. */
function marks() {
  const range = chart?.layout?.xaxis?.range?.map(edgeMs) ?? timeRange();
  const width = chart?._fullLayout?._size?.w || 800;
  const pixels = (at) => ((at - range[0]) / (range[1] - range[0])) * width;
  const several = new Set(events.events.map((event) => event.owner)).size > 1;
  const color = css("--body-text-color-subdued");
  const shapes = [];
  const annotations = [...(view.titles ?? [])];
  let last = -Infinity;
  let label = null;
  let hidden = 0;
  for (const event of events.events) {
    const at = local((event.at + offset) * 1000);
    shapes.push({
      type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1, line: { width: 1, dash: "dot", color },
    });
    const words = several ? `${event.text} · ${shorten(event.name)}` : event.text;
    if (pixels(at) - last < LABEL_PIXELS && label) {
      hidden += 1;
      label.text = plain(`${label.words} ${t("vram.more-events", { count: hidden })}`);
      continue;
    }
    last = pixels(at);
    hidden = 0;
    label = {
      words, text: plain(words), xref: "x", x: at, xanchor: "right", yref: "paper", y: 1, yanchor: "top",
      textangle: -90, showarrow: false, font: { size: 10.5, color: css("--body-text-color") },
      bgcolor: document.body.classList.contains("dark") ? "#0f172ab0" : "#ffffffb0", borderpad: 1, hovertext: plain(`${clock(event)} ${event.name}: ${event.text}`),
    };
    annotations.push(label);
  }
  return { shapes, annotations: annotations.map(({ words, ...rest }) => rest), ours: true };
}

const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
const shorten = (name) => (name.length > 20 ? `${name.slice(0, 19)}…` : name);
const clock = (event) => new Date((event.at + offset) * 1000).toLocaleTimeString(lm.language === "zh" ? "zh-CN" : "en-GB");

function showAll() {
  zoomed = false;
  const range = timeRange();
  const changes = { ours: true };
  for (const name of axisNames(chart.layout)) {
    if (name.startsWith("x")) changes[`${name}.range`] = range;
    else if (view.figure.layout[name]?.range) changes[`${name}.range`] = [...view.figure.layout[name].range];
  }
  window.Plotly.relayout(chart, changes);
  window.Plotly.relayout(chart, marks());
  report();
}

/** What the chart shows, for those who read attributes: tests, and scripts of a reader's own. */
function report() {
  const stage = document.getElementById("vram-chart");
  if (!stage) return;
  stage.dataset.state = paused ? "paused" : "live";
  stage.dataset.window = windowSeconds;
  stage.dataset.zoomed = zoomed;
  stage.dataset.points = chart?.data?.[0]?.x.length ?? 0;
  stage.dataset.since = since;
  stage.dataset.markers = chart?.layout?.shapes?.length ?? 0;
  stage.dataset.machine = view?.gpus.length ? "gpu" : "host";
  parts.reset.hidden = !zoomed;
}

// ---------------------------------------------------------------------------------------------- the table

const gib = (mib) => (mib === null || mib === undefined ? "–" : format.gib(mib * MIB));
const unit = (figure, sign) => (figure === null || figure === undefined ? "–" : `${format.number(figure)} ${sign}`);

function head(...keys) {
  return el("thead", {}, el("tr", {}, keys.map((key, index) => el("th", { scope: "col", class: index ? "number" : null }, t(`vram.table.${key}`)))));
}

function line(name, cells, dataset) {
  return el("tr", { dataset }, el("th", { scope: "row" }, name), cells.map((cell) => el("td", { class: "number" }, cell)));
}

function cards() {
  const rows = view.gpus.map((gpu, place) => {
    const figures = newest[2][place] ?? [null, null, null, null, []];
    const free = figures[0] === null || gpu.total === null ? null : gpu.total / MIB - figures[0];
    return [
      el("span", { title: gpu.problem || null }, `GPU ${gpu.id} · ${gpu.name}${gpu.problem ? ` · ${gpu.problem}` : ""}`),
      [gib(figures[0]), gib(free), gpu.total === null ? "–" : format.gib(gpu.total), unit(figures[1], "%"), unit(figures[2], "W"), unit(figures[3], "°C")],
      { gpu: gpu.id, usedMib: figures[0] ?? "" },
    ];
  });
  const total = view.machine / MIB;
  rows.push([t("vram.machine.row"), [gib(newest[1]), gib(total - newest[1]), gib(total), "–", "–", "–"], { machine: "host", usedMib: newest[1] }]);
  return rows;
}

function holders() {
  const all = new Set([...pairs(newest[3]).map(([owner]) => owner), ...newest[2].flatMap((gpu) => pairs(gpu[4]).map(([owner]) => owner))]);
  return [...all].sort((a, b) => a - b).map((owner) => {
    const known = view.owners[owner];
    const onGpu = newest[2].reduce((total, gpu) => total + shareOf(gpu[4], owner), 0);
    const cache = cacheOf(newest, owner);
    const name = el(
      "span", { class: "vram-owner" },
      el("i", { style: { background: known?.color ?? "gray" } }), known?.name ?? String(owner),
      el("small", { class: "muted" }, t(`vram.table.${known?.kind ?? "server"}`)),
    );
    const cells = [
      ...(view.gpus.length ? [gib(onGpu)] : []),
      gib(shareOf(newest[3], owner)),
      cache ? `${format.number(cache[1] / 10)} %` : "–",
      cache ? cache[2] : "–",
      cache ? cache[3] : "–",
      cache ? format.number(cache[4], cache[4] < 10 ? 1 : 0) : "–",
    ];
    return [name, cells, { owner: known?.id ?? owner, usedMib: view.gpus.length ? onGpu : shareOf(newest[3], owner) }];
  });
}

function drawTable() {
  if (!view || !newest) return;
  const place = parts["vram-table"];
  const found = holders();
  const columns = ["server", ...(view.gpus.length ? ["gpu-memory"] : []), "machine-memory", "cache", "running", "waiting", "speed"];
  fill(place, [
    el("h3", {}, t("vram.table.title")),
    el("div", { class: "table-scroll" }, el("table", { class: "table vram-cards" },
      head("what", "used", "free", "total", "utilization", "power", "temperature"),
      el("tbody", {}, cards().map((row) => line(...row))))),
    found.length
      ? el("div", { class: "table-scroll" }, el("table", { class: "table vram-servers" }, head(...columns), el("tbody", {}, found.map((row) => line(...row)))))
      : el("div", { class: "empty" }, t("vram.table.none")),
  ]);
}

/** Replaces what is there only where it differs, so that a selection or a screen reader's place isn't lost every second. */
function fill(place, children) {
  if (place.childElementCount !== children.length) {
    place.replaceChildren(...children);
    return;
  }
  children.forEach((child, index) => settle(place.children[index], child));
}

function settle(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const same = old.tagName === fresh.tagName && old.childNodes.length === fresh.childNodes.length;
  const leaf = [...old.childNodes, ...fresh.childNodes].some((node) => node.nodeType === Node.TEXT_NODE);
  if (!same || leaf || old.childNodes.length === 0) {
    old.replaceWith(fresh);
    return;
  }
  for (const { name, value: text } of fresh.attributes) old.setAttribute(name, text);
  [...old.children].forEach((child, index) => settle(child, fresh.children[0 + index].cloneNode(true)));
}

// ---------------------------------------------------------------------------------------------- beside the chart

function drawNotes() {
  parts.notes.replaceChildren(...view.notes.map((note) => el("li", {}, note)));
  parts.notes.hidden = view.notes.length === 0;
}

function drawEvents() {
  const place = parts["vram-events"];
  if (!place) return;
  const list = [...events.events].reverse().map((event) => el(
    "li", { dataset: { key: event.key } },
    el("time", { class: "muted" }, clock(event)),
    el("span", {}, event.text),
    el("strong", {}, event.name),
  ));
  place.replaceChildren(
    el("h3", {}, t("vram.events.title")),
    list.length ? el("ol", { class: "vram-events-list" }, list) : el("div", { class: "empty" }, t("vram.events.none")),
  );
}

function drawReconciled() {
  const place = parts["vram-reconciled"];
  if (!place) return;
  const cards = events.reconciled.map((entry) => el(
    "div", { class: "card vram-reconciled-card", dataset: { server: entry.server } },
    el("div", { class: "row" }, el("strong", {}, entry.name), el("span", { class: "muted" }, `${entry.settings} · ${entry.gpu}`)),
    el("div", { class: "table-scroll" }, el("table", { class: "table" },
      el("thead", {}, el("tr", {}, ["part", "planned", "measured", "difference"].map((key, index) => el(
        "th", { scope: "col", class: index ? "number" : null }, t(`vram.reconciled.${key}`))))),
      el("tbody", {}, entry.parts.map((part) => line(
        part.label,
        [format.gib(part.planned), format.gib(part.measured), difference(part.measured - part.planned)],
        { part: part.part, planned: part.planned, measured: part.measured },
      )), entry.tokens.measured === null ? null : line(
        t("vram.reconciled.tokens"),
        [format.number(entry.tokens.planned), format.number(entry.tokens.measured), format.number(entry.tokens.measured - entry.tokens.planned)],
        { part: "tokens", planned: entry.tokens.planned, measured: entry.tokens.measured },
      )))),
    el("p", { class: "muted" }, entry.how),
  ));
  place.replaceChildren(
    el("h3", {}, t("vram.reconciled.title")),
    ...(cards.length
      ? [el("div", { class: "vram-reconciled-cards" }, cards), el("p", { class: "muted" }, t("vram.reconciled.learned"))]
      : [el("div", { class: "empty" }, t("vram.reconciled.none"))]),
  );
}

function difference(bytes) {
  const sign = bytes > 0 ? "+" : bytes < 0 ? "−" : "";
  return `${sign}${format.gib(Math.abs(bytes))}`;
}

function say(text) {
  parts["vram-chart"]?.querySelector(".vram-stage").replaceChildren(el("div", { class: "empty", role: "status" }, text));
  chart = null;
  listening = false;
}

async function savePicture() {
  if (!chart?.data) return;
  await window.Plotly.downloadImage(
    { data: chart.data, layout: { ...chart.layout, paper_bgcolor: css("--body-background-fill") || "#fff" } },
    { format: "png", scale: 2, width: chart.offsetWidth, height: chart.offsetHeight, filename: "vram" },
  );
}

// ---------------------------------------------------------------------------------------------- start

lm.register("vram-chart", (element) => {
  parts["vram-chart"] = element;
  parts.notes = el("ul", { class: "hint vram-notes", hidden: true });
  parts.reset = el("button", { class: "button small", type: "button", id: "vram-reset", hidden: true, onclick: showAll }, t("vram.reset-zoom"));
  parts.csv = el("a", { class: "button small", id: "vram-csv", download: "vram.csv" }, t("vram.csv"));
  parts.csv.addEventListener("click", () => {
    parts.csv.href = lm.address(`vram/samples.csv?window=${windowSeconds}`).href;
  });
  parts.csv.href = "#";
  element.replaceChildren(
    parts.notes,
    el("div", { class: "vram-stage", role: "img", "aria-label": t("vram.chart.name") }, el("div", { class: "empty" }, t("vram.loading"))),
    el("div", { class: "vram-actions" },
      parts.reset,
      el("button", { class: "button small", type: "button", id: "vram-png", onclick: savePicture }, t("vram.png")), parts.csv),
  );
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) schedule(0);
  }).observe(element);
  schedule(0);
});
for (const name of ["vram-table", "vram-events", "vram-reconciled"]) {
  lm.register(name, (element) => {
    parts[name] = element;
    if (view) {
      drawTable();
      drawEvents();
      drawReconciled();
    }
  });
}
document.addEventListener("visibilitychange", () => {
  if (shown()) schedule(0);
});

/** What the tab's Gradio controls ask. */
window.lmVram = {
  window(minutes) {
    const chosen = Number(minutes) * 60;
    if (!(chosen > 0)) return;
    windowSeconds = chosen;
    zoomed = false;
    view = null;
    schedule(0);
  },
  async interval(seconds) {
    const place = document.getElementById("vram-message");
    try {
      await lm.post("vram/interval", { seconds });
      place?.replaceChildren();
      view = null;
      schedule(0);
    } catch (error) {
      place?.replaceChildren(el("ul", { class: "message-list", role: "alert" }, error.messages.map((text) => el("li", { class: "console-message" }, text))));
    }
  },
  pause() {
    paused = !paused;
    report();
    if (!paused) schedule(0);
    return t(paused ? "vram.resume" : "vram.pause");
  },
};

// The plan on the Deploy tab counts what is free now: it is made anew when a server comes or goes.
let states = "";
lm.onSnapshot(({ servers }) => {
  const now = servers.map((server) => `${server.id}${server.state}`).join();
  if (states && now !== states) document.getElementById("deploy-plan-refresh")?.click();
  states = now || "none";
});
