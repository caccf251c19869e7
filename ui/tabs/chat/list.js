// @ts-check
/** The list of conversations beside the chat: found, opened, renamed, pinned, deleted, kept as files. */

import { problemLine } from "../../page/cards.js";
import { ask } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { latestReply } from "../../page/latest_reply.js";
import { get, post } from "../../page/request.js";
import { onChatChange, onSnapshot } from "../../page/snapshot.js";
import { t } from "../../page/texts.js";
import { showDrawer } from "./drawer.js";
import { dayOf } from "./list_days.js";
import { exportDialog, importFiles } from "./list_files.js";
import { keptChoice } from "./list_kept.js";

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} title
 * @property {boolean} named
 * @property {boolean} pinned
 * @property {number} changed_at
 * @property {number} exchanges
 * @property {string} snippet
 * @property {boolean} under_way
 * @property {number} version
 */
/** @typedef {{revision: string, total: number, entries: Entry[], days: number | null, query: string, after: Entry[]}} Part `query`: asked for, behind the entries `after` */
/** @typedef {{open: (id: string) => void, shown: () => string, begin: () => void, changed: (version: number) => void}} Chat */

const TYPED_MS = 150;
const UNKNOWN = -1; // the version of a conversation that isn't in the list: it may have been deleted

/** @param {HTMLElement} element @param {Chat} chat */
export function conversationList(element, chat) {
  /** @type {Entry[]} */
  let entries = [];
  let total = 0;
  let query = "";
  let found = ""; // the query that the entries are of
  let toFollow = false; // the conversation that is shown may have changed
  /** @type {string | null} the row whose name is being written */
  let naming = null;

  const search = el("input", {
    id: "chat-search",
    type: "search",
    autocomplete: "off",
    placeholder: t("chat.list.search"),
    "aria-label": t("chat.list.search"),
  });
  const rows = el("ul", { class: "chat-list-rows", "aria-label": t("chat.list.title") });
  const said = el("p", { class: "chat-list-said", role: "status" });
  const problem = problemLine("chat-list-problem");
  const lost = problemLine("chat-list-problem"); // what the list itself can't be had for
  const end = el("div", { class: "chat-list-end" });
  const scroll = el("div", { class: "chat-list-scroll" }, rows, said, end);
  const kept = keptChoice(attempt, () => look());
  const file = el("input", { type: "file", class: "sr-only", accept: ".json,.jsonl,application/json", multiple: true });
  const foot = el(
    "div",
    { class: "chat-list-foot" },
    el(
      "label",
      { class: "chat-list-tool", title: t("chat.list.import"), dataset: { icon: "import" } },
      el("span", { class: "sr-only" }, t("chat.list.import")),
      file,
    ),
    tool("export", t("chat.list.export_all"), () => exportDialog("", "")),
    tool("delete", t("chat.list.delete_all"), removeAll),
    kept.element,
  );
  fill(
    element,
    el(
      "nav",
      { class: "chat-list", "aria-label": t("chat.list.title") },
      el("div", { class: "chat-list-head" }, search),
      problem.element,
      lost.element,
      scroll,
      foot,
    ),
  );

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typed;
  search.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      query = search.value.trim();
      look();
    }, TYPED_MS);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") focusRow(0);
    else if (event.key === "Enter") void openFirst();
    else if (event.key === "Escape" && search.value) {
      search.value = query = "";
      look();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  rows.addEventListener("keydown", (event) => {
    if (naming !== null) return;
    const all = [...rows.querySelectorAll(".chat-list-open")];
    const place = all.indexOf(
      /** @type {Element} */ (document.activeElement?.closest("li")?.querySelector(".chat-list-open")),
    );
    if (place < 0) return;
    if (event.key === "ArrowDown") focusRow(Math.min(place + 1, all.length - 1));
    else if (event.key === "ArrowUp") place ? focusRow(place - 1) : search.focus();
    else if (event.key === "F2") rename(entries[place]);
    else if (event.key === "Delete") remove(entries[place]);
    else return;
    event.preventDefault();
  });
  file.addEventListener("change", async () => {
    const files = [...(file.files ?? [])];
    file.value = "";
    const first = await importFiles(files);
    if (first) open(first);
    look();
  });
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (isIntersecting && entries.length < total) more();
  }).observe(end);
  /** Asks for the list anew, as far as it was seen. */
  const look = latestReply(() => part(0), take, lost.say);
  /** Asks for what follows. */
  const more = latestReply(() => part(entries.length), takeMore, lost.say);
  onChatChange(() => {
    toFollow = true;
    if (naming === null) void look();
  });
  onSnapshot(({ role }) => kept.forRole(role));
  look();

  /** @param {number} place */
  function focusRow(place) {
    /** @type {HTMLElement | undefined} */ (rows.querySelectorAll(".chat-list-open")[place])?.focus();
  }

  /** @param {Part} came */
  function take(came) {
    const isShown = (/** @type {Entry} */ { id }) => id === chat.shown();
    const [seen, was] = [entries.length, entries.some(isShown)];
    ({ entries, total } = came);
    found = came.query;
    kept.show(came.days);
    lost.clear();
    draw();
    if (seen > entries.length && entries.length < total) void more();
    if (!toFollow) return;
    toFollow = false;
    const shown = entries.find(isShown);
    // One that isn't among what was found may have changed, too.
    if (shown) chat.changed(shown.version);
    else if (was || query) chat.changed(UNKNOWN);
  }

  /** The first of what is found by what stands in the box now. */
  async function openFirst() {
    clearTimeout(typed);
    query = search.value.trim();
    if (found !== query) await look();
    if (found === query && entries[0]) open(entries[0].id); // whichever look has found it
  }

  /** @param {Part} came */
  function takeMore(came) {
    lost.clear();
    if (came.after !== entries) {
      if (entries.length < total) void more(); // it came anew meanwhile
      return;
    }
    const known = new Set(entries.map(({ id }) => id));
    entries = [...entries, ...came.entries.filter(({ id }) => !known.has(id))];
    total = came.entries.length ? came.total : entries.length;
    draw();
  }

  /** @param {number} skip @returns {Promise<Part>} */
  async function part(skip) {
    const asked = { query, after: entries };
    return { ...(await get(`chat/list?${new URLSearchParams({ q: query, skip: String(skip) })}`)), ...asked };
  }

  /** Does it, says where it fails, and looks at the list anew. @template Reply @param {() => Promise<Reply>} action */
  async function attempt(action) {
    try {
      return await problem.attempt(action);
    } finally {
      void look();
    }
  }

  function draw() {
    if (naming !== null && rows.querySelector(".chat-list-name")) return; // somebody writes in it
    const focused = document.activeElement?.closest?.("#chat-list li");
    const [id, place] =
      focused instanceof HTMLElement ? [focused.dataset.id, document.activeElement?.className ?? ""] : ["", ""];
    let day = "";
    const drawn = entries.flatMap((entry) => {
      const now = entry.pinned ? t("chat.list.pinned") : dayOf(entry.changed_at);
      const heading = query || now === day ? null : el("li", { class: "chat-list-day", role: "presentation" }, now);
      day = now;
      return [heading, row(entry)];
    });
    fill(rows, drawn);
    said.textContent = total
      ? query
        ? t(total === 1 ? "chat.list.found.one" : "chat.list.found", { count: total })
        : ""
      : t(query ? "chat.list.none_found" : "chat.list.none", { query });
    if (id && place) {
      const same = [...rows.querySelectorAll(`[data-id="${CSS.escape(id)}"] *`)].find((one) => one.className === place);
      /** @type {HTMLElement | undefined} */ (same)?.focus();
    }
  }

  /** @param {Entry} entry */
  function row(entry) {
    const shown = entry.id === chat.shown();
    const title = entry.title || t("chat.list.unnamed");
    const name =
      naming === entry.id
        ? nameField(entry)
        : el(
            "button",
            {
              class: "chat-list-open",
              type: "button",
              title,
              "aria-current": shown ? "true" : null,
              onclick: () => open(entry.id),
            },
            el("span", { class: "chat-list-title" }, title),
            entry.snippet && query ? el("span", { class: "chat-list-snippet" }, marked(entry.snippet, query)) : null,
          );
    return el(
      "li",
      { dataset: { id: entry.id, pinned: entry.pinned, state: entry.under_way ? "streaming" : "done" } },
      name,
      el(
        "div",
        { class: "chat-list-tools" },
        tool("pin", t(entry.pinned ? "chat.list.unpin" : "chat.list.pin"), () => pin(entry), entry.pinned),
        tool("edit", t("chat.list.rename"), () => rename(entry)),
        tool("export", t("chat.list.export"), () => exportDialog(entry.id, title)),
        tool("delete", t("chat.list.delete"), () => remove(entry)),
      ),
    );
  }

  /** @param {Entry} entry */
  function nameField(entry) {
    const field = el("input", {
      class: "chat-list-name",
      type: "text",
      value: entry.title,
      maxlength: 120,
      "aria-label": t("chat.list.rename"),
    });
    /** @param {boolean} take */
    const leave = async (take) => {
      if (naming !== entry.id) return;
      naming = null;
      const name = field.value.trim();
      const given = take && name !== entry.title;
      if (given) entry.title = name; // as it will be, unless the console says otherwise
      const had = document.activeElement === field || document.activeElement === document.body;
      draw();
      const again = rows.querySelector(`[data-id="${CSS.escape(entry.id)}"] .chat-list-open`);
      if (had) /** @type {HTMLElement | null} */ (again)?.focus();
      if (given) await attempt(() => post("chat/list/rename", { id: entry.id, name }));
      else look(); // what came meanwhile wasn't drawn
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
      event.preventDefault(); // the key would press the row's button, which has the focus then
      leave(event.key === "Enter");
    });
    field.addEventListener("blur", () => leave(true));
    requestAnimationFrame(() => field.select());
    return field;
  }

  /** @param {string} id */
  function open(id) {
    done(() => chat.open(id));
  }

  /** Something was chosen: where the list lies over the conversation, it goes. @param {() => void} action */
  function done(action) {
    showDrawer(false);
    action();
    draw();
  }

  /** @param {Entry} entry */
  function rename(entry) {
    naming = entry.id;
    draw();
  }

  /** @param {Entry} entry */
  const pin = (entry) => attempt(() => post("chat/list/pin", { id: entry.id, pinned: !entry.pinned }));

  /** @param {Entry} entry */
  async function remove(entry) {
    const title = t("chat.list.delete_title", { name: entry.title || t("chat.list.unnamed") });
    const text = t("chat.list.delete_text");
    if (!(await ask({ id: "ask-delete", title, text, confirm: t("chat.list.delete") }))) return;
    const gone = await attempt(() => post("chat/list/delete", { id: entry.id }));
    if (gone && entry.id === chat.shown()) chat.begin();
  }

  async function removeAll() {
    const title = t("chat.list.delete_all");
    const text = t("chat.list.delete_all_text", { count: total });
    if (!(await ask({ id: "ask-delete", title, text, confirm: t("chat.list.delete") }))) return;
    const gone = await attempt(() => post("chat/list/delete-all"));
    if (gone) chat.begin();
  }

  return { draw, search: () => search.focus() };
}

/**
 * A small button with an icon and a name.
 *
 * @param {string} icon
 * @param {string} name
 * @param {() => void} onclick
 * @param {boolean} [pressed]
 */
const tool = (icon, name, onclick, pressed) =>
  el("button", {
    class: `chat-list-tool tool-${icon}`,
    type: "button",
    title: name,
    "aria-label": name,
    "aria-pressed": pressed === undefined ? null : String(pressed),
    dataset: { icon },
    onclick,
  });

/** The text with what was searched for marked. @param {string} text @param {string} query */
function marked(text, query) {
  const words = query.split(/[\s"“”]+/).filter(Boolean);
  const parts = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!parts.length) return [text];
  return text
    .split(new RegExp(`(${parts.join("|")})`, "iu"))
    .map((piece, place) => (place % 2 ? el("mark", {}, piece) : piece));
}
