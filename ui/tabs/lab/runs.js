// @ts-check
/** Runs: every start and every quantization as a row; filter, sort, columns, files, a chart; rows side by side. */

import { ask } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { get, link, post, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { beside } from "./beside.js";
import { historyPanel } from "./history.js";
import { chart } from "./plot.js";
import { chosenColumns, COLUMNS, isNumber, keepColumns, read } from "./run_values.js";

/** @import { RunRow, RunsReply, WholeRow } from "./types.d.ts" */

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
  let turn = 0;

  const problem = el("p", { class: "lab-problem", role: "alert", hidden: true });
  const count = el("span", { class: "lab-hint", id: "lab-runs-count", role: "status" });
  const table = el("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": t("lab.runs.title") });
  const more = el(
    "button",
    { class: "button small", type: "button", hidden: true, onclick: () => load(rows.length) },
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
        load();
      }, TYPING_MS);
    },
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  const side = el("div", { id: "lab-compare" });
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
        load();
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

  /** The first part of the list, or what follows after `skip` rows. @param {number} [skip] */
  async function load(skip = 0) {
    const mine = ++turn;
    try {
      const reply = /** @type {RunsReply} */ (await get(`lab/runs?${parameters()}&skip=${skip}`));
      if (mine !== turn) return; // another was asked for meanwhile
      rows = skip ? [...rows, ...reply.rows] : reply.rows;
      total = reply.total;
      showStates(reply.states);
      problem.hidden = true;
      show();
      if (picture.dataset.open) drawPicture();
    } catch (error) {
      problem.textContent = sentences(error).join(" ");
      problem.hidden = false;
    }
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
    count.textContent = t(total === 1 ? "lab.runs.count-one" : "lab.runs.count", { count: total.toLocaleString() });
    more.hidden = rows.length >= total;
    if (total === 0) {
      const empty = asked.text || asked.kind || asked.state ? "lab.runs.none-found" : "lab.runs.empty";
      fill(table, el("div", { class: "empty" }, t(empty)));
    } else {
      fill(table, el("table", { class: "table lab-runs-table" }, head(), el("tbody", {}, rows.map(line))));
    }
    showActions();
  }

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
            load();
          };
          return el(
            "th",
            { scope: "col", class: isNumber(column) ? "number" : null, "aria-sort": sorted },
            el(
              "button",
              { class: "lab-sort", type: "button", dataset: { column }, onclick: by },
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
      checked: chosen.has(row.id),
      "aria-label": row.name,
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

  function showActions() {
    const ids = [...chosen].join(",");
    const files = /** @type {const} */ (["csv", "json", "md"]).map((format) => {
      const which = ids ? `ids=${encodeURIComponent(ids)}` : parameters();
      const href = link(`lab/runs/file?format=${format}&${which}&columns=${columns.join(",")}`);
      return el("a", { class: "button small", href, download: `runs.${format}` }, t(`lab.runs.file.${format}`));
    });
    const clear = () => {
      chosen.clear();
      show();
      showBeside();
    };
    const remove = async () => {
      const text = t("lab.runs.delete-text", { count: chosen.size });
      if (!(await ask({ id: "lab-delete", title: t("lab.runs.delete"), text, confirm: t("lab.runs.delete") }))) return;
      try {
        await post("lab/runs/delete", { ids: [...chosen] });
        clear();
      } catch (error) {
        problem.textContent = sentences(error).join(" ");
        problem.hidden = false;
      }
      load();
    };
    const startable = rows.filter(
      ({ id, kind, engine }) => chosen.has(id) && kind === "server" && !["external", "proxy"].includes(String(engine)),
    );
    const few = { class: "button small", type: "button" };
    fill(
      actions,
      chosen.size > 0 && el("span", { class: "lab-hint" }, t("lab.runs.chosen", { count: chosen.size })),
      total > 0 && files,
      startable.length > 0 && el("button", { ...few, onclick: () => measure(startable) }, t("lab.runs.measure")),
      chosen.size > 0 && el("button", { ...few, onclick: clear }, t("lab.runs.clear")),
      chosen.size > 0 &&
        el("button", { class: "button small danger", type: "button", onclick: remove }, t("lab.runs.delete")),
    );
  }

  async function showBeside() {
    const ids = [...chosen].slice(0, MOST_BESIDE);
    if (!ids.length) {
      fill(side);
      return;
    }
    try {
      const { rows: whole } = /** @type {{rows: WholeRow[]}} */ (await post("lab/runs/beside", { ids }));
      fill(
        side,
        beside(whole, chosen.size > MOST_BESIDE, startAgain, () => load()),
      );
    } catch (error) {
      fill(side, el("p", { class: "lab-problem", role: "alert" }, sentences(error).join(" ")));
    }
  }

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

  async function drawPicture() {
    try {
      const path = `lab/runs/points?${parameters()}&x=${axes.x}&y=${axes.y}`;
      const { points } = /** @type {{points: [string, string, number, number][]}} */ (await get(path));
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
      const label = t("lab.runs.chart-label", { y: t(`lab.column.${axes.y}`), x: t(`lab.column.${axes.x}`) });
      const all = points.map(([, name, x, y]) => ({
        name,
        points: /** @type {[number, number][]} */ ([[scaled(axes.x, x), scaled(axes.y, y)]]),
      }));
      fill(picture, chart(all, { x: axis(axes.x), y: axis(axes.y), points: true, label }));
    } catch (error) {
      fill(picture, el("p", { class: "lab-problem", role: "alert" }, sentences(error).join(" ")));
    }
  }

  fill(
    element,
    el("div", { class: "lab-tools" }, search, kinds, states, columnMenu(), count),
    problem,
    table,
    more,
    actions,
    side,
    chartMenu(),
    historyPanel(),
  );
  const refresh = () => {
    // Rows that were opened further down, or are being compared, aren't taken away under a reader's eyes.
    if (document.visibilityState === "visible" && element.offsetParent && rows.length <= 200) load();
  };
  setInterval(refresh, AGAIN_MS);
  new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && load()).observe(element);
  return { load };
}
