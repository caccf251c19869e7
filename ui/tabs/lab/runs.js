// @ts-check
/** Runs: every start and every quantization as a row; filter, sort, columns, files, a chart; rows side by side. */

import { problemLine } from "../../page/cards.js";
import { ask } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { number } from "../../page/format.js";
import { latestReply } from "../../page/latest_reply.js";
import { keepPlace, whenChanged } from "../../page/redraw.js";
import { get, link, post } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { beside } from "./beside.js";
import { historyPanel } from "./history.js";
import { chart } from "./plot.js";
import { chosenColumns, COLUMNS, isNumber, keepColumns, read } from "./run_values.js";

/** @import { RunRow, RunsReply, WholeRow } from "./types.d.ts" */

/** @typedef {[id: string, name: string, x: number, y: number]} Point */

const TYPING_MS = 250;
const AGAIN_MS = 5000;
const MOST_BESIDE = 8;
const GIB = 2 ** 30;

/**
 * The list in its place. `startAgain(row)` fills another tab's form.
 *
 * @param {HTMLElement} element
 * @param {(row: RunRow) => void} startAgain
 * @param {(rows: RunRow[]) => void} measure the settings of these rows are to be measured
 */
export function runsPanel(element, startAgain, measure) {
  const asked = { text: "", kind: "", state: "", sort: "started_at", order: "down" };
  let columns = chosenColumns();
  /** @type {RunRow[]} */
  let rows = [];
  let total = 0;
  /** @type {Set<string>} */
  const chosen = new Set();
  let wanted = 1; // so many rows are shown, or as many as came with them

  const problem = problemLine("lab-problem");
  const lost = problemLine("lab-lost"); // why the list may be old
  const count = el("span", { class: "lab-hint", id: "lab-runs-count", role: "status" });
  const table = el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": t("lab.runs.title") });
  const more = el(
    "button",
    { class: "button small", type: "button", hidden: true, onclick: showMore },
    t("lab.runs.more"),
  );
  const kinds = choice("lab-runs-kind", "kind", ["server", "quantization"], (value) => t(`lab.kind.${value}`));
  const states = choice("lab-runs-state", "state", [], (value) => t(`common.state.${value}`));
  const search = el("input", {
    type: "search",
    id: "lab-runs-search",
    class: "lab-input",
    placeholder: t("lab.runs.search"),
    "aria-label": t("lab.runs.search"),
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => {
        asked.text = search.value;
        fromTop();
      }, TYPING_MS);
    },
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  const side = el("div", { id: "lab-compare" });
  const sideProblem = problemLine("lab-problem");
  const actions = el("div", { class: "lab-actions", id: "lab-runs-actions" });
  const picture = el("div", { class: "lab-picture", id: "lab-runs-chart" });
  const axes = { x: "tokens", y: "tokens_per_s" };

  /** @param {string} id @param {"kind" | "state"} name @param {string[]} values @param {(value: string) => string} say */
  function choice(id, name, values, say) {
    const all = el("option", { value: "" }, t(`lab.runs.all.${name}`));
    const select = el("select", {
      id,
      class: "lab-input",
      "aria-label": t(`lab.column.${name}`),
      onchange: () => {
        asked[name] = select.value;
        fromTop();
      },
    });
    fill(
      select,
      all,
      values.map((value) => el("option", { value }, say(value))),
    );
    return select;
  }

  const parameters = () => new URLSearchParams(asked).toString();

  /** The list, as far down as it was opened. */
  const load = latestReply(
    async () => {
      const query = parameters();
      /** @type {Map<string, RunRow>} a row that began meanwhile moves the others */
      const found = new Map();
      for (let skip = 0; ;) {
        const reply = /** @type {RunsReply} */ (await get(`lab/runs?${query}&skip=${skip}`));
        for (const row of reply.rows) found.set(row.id, row);
        skip += reply.rows.length;
        if (skip >= wanted || !reply.rows.length) return { ...reply, rows: [...found.values()] };
      }
    },
    (reply) => {
      ({ rows, total } = reply);
      showStates(reply.states);
      lost.clear();
      show();
      if (picture.dataset.open) drawPicture();
    },
    lost.say,
  );

  /** Something else is looked for. */
  function fromTop() {
    wanted = 1;
    void load();
  }

  function showMore() {
    wanted = rows.length + 1;
    void load();
  }

  /** @param {string[]} known */
  function showStates(known) {
    if (states.options.length - 1 === known.length) return;
    fill(
      states,
      el("option", { value: "" }, t("lab.runs.all.state")),
      known.map((value) => el("option", { value }, t(`common.state.${value}`))),
    );
    states.value = asked.state;
  }

  function show() {
    const counted = t(total === 1 ? "lab.runs.count-one" : "lab.runs.count", { count: number(total, 0) });
    if (count.textContent !== counted) count.textContent = counted;
    more.hidden = rows.length >= total;
    drawTable([rows, columns, asked]);
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (table.querySelectorAll("[data-run] input")))
      box.checked = chosen.has(box.closest("tr")?.dataset.run ?? "");
    showActions();
  }

  /** What can be chosen and selected in stays while nothing is new. */
  const drawTable = whenChanged((/** @type {unknown[]} */ _) => {
    const searched = asked.text || asked.kind || asked.state;
    keepPlace(table, () =>
      fill(
        table,
        rows.length === 0
          ? el("div", { class: "empty" }, t(searched ? "lab.runs.none-found" : "lab.runs.empty"))
          : el("table", { class: "table lab-runs-table" }, head(), el("tbody", {}, rows.map(line))),
      ),
    );
  });

  const head = () =>
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("th", { scope: "col" }, el("span", { class: "lab-hidden" }, t("lab.runs.choose"))),
        columns.map((column) => {
          const sorted = asked.sort === column ? (asked.order === "up" ? "ascending" : "descending") : null;
          const by = () => {
            asked.order = asked.sort === column && asked.order === "down" ? "up" : "down";
            asked.sort = column;
            fromTop();
          };
          return el(
            "th",
            { scope: "col", class: isNumber(column) ? "number" : null, "aria-sort": sorted },
            el(
              "button",
              { class: "lab-sort", type: "button", dataset: { column, focus: `sort-${column}` }, onclick: by },
              t(`lab.column.${column}`),
            ),
          );
        }),
      ),
    );

  /** @param {RunRow} row */
  function line(row) {
    const box = el("input", {
      type: "checkbox",
      "aria-label": row.name,
      dataset: { focus: row.id },
      onchange: () => {
        if (box.checked) chosen.add(row.id);
        else chosen.delete(row.id);
        showActions();
        showBeside();
      },
    });
    const cells = columns.map((column) =>
      el("td", { class: isNumber(column) ? "number" : null, dataset: { column } }, cell(column, row)),
    );
    return el("tr", { dataset: { run: row.id, state: row.state } }, el("td", {}, box), cells);
  }

  /** @param {string} column @param {RunRow} row */
  const cell = (column, row) =>
    column === "state"
      ? el("span", { class: "badge", dataset: { state: row.state } }, read(column, row.state))
      : read(column, row[column]);

  const showActions = () => drawActions([[...chosen], total, columns, asked, startable()]);

  /** What can be done with those that are chosen. */
  const drawActions = whenChanged((/** @type {unknown[]} */ _) => keepPlace(actions, fillActions));

  const startable = () =>
    rows.filter(
      ({ id, kind, engine }) => chosen.has(id) && kind === "server" && !["external", "proxy"].includes(String(engine)),
    );

  function fillActions() {
    const ids = [...chosen].join(",");
    const files = /** @type {const} */ (["csv", "json", "md"]).map((format) => {
      const which = ids ? `ids=${encodeURIComponent(ids)}` : parameters();
      const href = link(`lab/runs/file?format=${format}&${which}&columns=${columns.join(",")}`);
      const look = { class: "button small", href, download: `runs.${format}`, dataset: { focus: format } };
      return el("a", look, t(`lab.runs.file.${format}`));
    });
    const clear = () => {
      chosen.clear();
      show();
      showBeside();
    };
    const remove = async () => {
      const text = t("lab.runs.delete-text", { count: chosen.size });
      if (!(await ask({ id: "lab-delete", title: t("lab.runs.delete"), text, confirm: t("lab.runs.delete") }))) return;
      if (await problem.attempt(() => post("lab/runs/delete", { ids: [...chosen] }))) clear();
      void load();
    };
    const settings = startable();
    /** @param {string} focus */
    const few = (focus) => ({ class: "button small", type: "button", dataset: { focus } });
    fill(
      actions,
      chosen.size > 0 && el("span", { class: "lab-hint" }, t("lab.runs.chosen", { count: chosen.size })),
      total > 0 && files,
      settings.length > 0 &&
        el("button", { ...few("measure"), onclick: () => measure(settings) }, t("lab.runs.measure")),
      chosen.size > 0 && el("button", { ...few("clear"), onclick: clear }, t("lab.runs.clear")),
      chosen.size > 0 &&
        el("button", { ...few("delete"), class: "button small danger", onclick: remove }, t("lab.runs.delete")),
    );
  }

  const showBeside = latestReply(
    async () => {
      const ids = [...chosen].slice(0, MOST_BESIDE);
      return ids.length ? post("lab/runs/beside", { ids }) : { rows: [] };
    },
    (/** @type {{rows: WholeRow[]}} */ { rows: whole }) => {
      sideProblem.clear();
      fill(side, whole.length > 0 && beside(whole, chosen.size > MOST_BESIDE, startAgain, () => void load()));
    },
    (error) => {
      fill(side);
      sideProblem.say(error);
    },
  );

  function columnMenu() {
    const boxes = COLUMNS.map((column) => {
      const box = el("input", {
        type: "checkbox",
        checked: columns.includes(column),
        onchange: () => {
          columns = COLUMNS.filter((name) => (name === column ? box.checked : columns.includes(name)));
          if (!columns.length) columns = ["name"];
          keepColumns(columns);
          show();
        },
      });
      return el("label", { class: "lab-check" }, box, t(`lab.column.${column}`));
    });
    return el(
      "details",
      { class: "lab-menu", id: "lab-runs-columns" },
      el("summary", {}, t("lab.runs.columns")),
      boxes,
    );
  }

  function chartMenu() {
    /** @param {"x" | "y"} axis */
    const pick = (axis) => {
      const select = el("select", {
        class: "lab-input",
        "aria-label": t(`lab.runs.axis.${axis}`),
        onchange: () => {
          axes[axis] = select.value;
          drawPicture();
        },
      });
      fill(
        select,
        COLUMNS.filter(isNumber).map((column) => el("option", { value: column }, t(`lab.column.${column}`))),
      );
      select.value = axes[axis];
      return el("label", { class: "lab-pick" }, t(`lab.runs.axis.${axis}`), select);
    };
    const details = el(
      "details",
      {
        class: "lab-menu wide",
        ontoggle: () => {
          if (details.open) {
            picture.dataset.open = "1";
            drawPicture();
          } else delete picture.dataset.open;
        },
      },
      el("summary", {}, t("lab.runs.chart")),
      el("div", { class: "lab-actions" }, pick("x"), pick("y")),
      picture,
    );
    return details;
  }

  const drawPicture = latestReply(
    async () => {
      const { x, y } = axes;
      const { points } = /** @type {{points: Point[]}} */ (await get(`lab/runs/points?${parameters()}&x=${x}&y=${y}`));
      return { points, x, y };
    },
    whenChanged(({ points, x: across, y: up }) => {
      if (!points.length) {
        fill(picture, el("p", { class: "lab-hint" }, t("lab.runs.no-points")));
        return;
      }
      /** @param {string} name */
      const axis = (name) =>
        name.endsWith("_bytes")
          ? { name: `${t(`lab.column.${name}`)} (GiB)` }
          : { name: t(`lab.column.${name}`), format: (/** @type {number} */ value) => read(name, value) };
      /** @param {string} name @param {number} value */
      const scaled = (name, value) => (name.endsWith("_bytes") ? value / GIB : value);
      const label = t("lab.runs.chart-label", { y: t(`lab.column.${up}`), x: t(`lab.column.${across}`) });
      const all = points.map(([, name, x, y]) => ({
        name,
        points: /** @type {[number, number][]} */ ([[scaled(across, x), scaled(up, y)]]),
      }));
      fill(picture, chart(all, { x: axis(across), y: axis(up), points: true, label }));
    }),
    lost.say,
  );

  fill(
    element,
    el("div", { class: "lab-tools" }, search, kinds, states, columnMenu(), count),
    problem.element,
    lost.element,
    table,
    more,
    actions,
    sideProblem.element,
    side,
    chartMenu(),
    historyPanel(),
  );
  let refreshing = false; // on a slow line the next one waits for it
  const refresh = async () => {
    if (refreshing) return;
    if (document.visibilityState === "visible" && element.offsetParent) {
      refreshing = true;
      try {
        await load();
      } finally {
        refreshing = false;
      }
    }
  };
  setInterval(refresh, AGAIN_MS);
  new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && load()).observe(element);
  return { load };
}
