// @ts-check
/** Conversations as files: kept as one of three formats, and taken from two of them. */

import { openDialog } from "../../page/dialog.js";
import { el } from "../../page/dom.js";
import { link, sendFile, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";

/** @typedef {{first: string, count: number, notes: string[]}} Taken */

const MIB = 2 ** 20;
const MOST_BYTES = 64 * MIB; // what the console takes (ui/tabs/chat/file_routes.py)
const FORMATS = ["markdown", "json", "openai"];

/**
 * Asks for the format, and saves the file. @param {string} id "" = all of them @param {string} name
 */
export function exportDialog(id, name) {
  const title = id ? t("chat.export.one", { name }) : t("chat.export.all");
  const choices = FORMATS.map((format) =>
    el(
      "a",
      {
        class: "chat-export",
        href: link(`chat/export?${new URLSearchParams({ id, format })}`),
        download: "",
        dataset: { format },
        onclick: () => setTimeout(() => dialog.close()),
      },
      el("strong", {}, t(`chat.export.${format}`)),
      el("span", {}, t(`chat.export.${format}.about`)),
    ),
  );
  const dialog = openDialog({ id: "chat-export", title, look: "small" }, el("div", { class: "chat-exports" }, choices));
}

/**
 * Takes the files in, says what came of each, and resolves to the first conversation's id.
 *
 * @param {File[]} files
 * @returns {Promise<string>}
 */
export async function importFiles(files) {
  let first = "";
  for (const file of files) {
    /** @type {string[]} */
    let lines;
    let level = "info";
    try {
      if (file.size > MOST_BYTES) {
        const sizes = { name: file.name, size: `${Math.round(file.size / MIB)} MiB`, limit: `${MOST_BYTES / MIB} MiB` };
        lines = [t("chat.import.large", sizes)];
        level = "error";
      } else {
        /** @type {Taken} */
        const taken = await sendFile(`chat/import?${new URLSearchParams({ name: file.name })}`, file);
        first ||= taken.first;
        const key = taken.count === 1 ? "chat.import.done.one" : "chat.import.done";
        lines = [t(key, { name: file.name, count: taken.count }), ...taken.notes];
        level = taken.notes.length ? "warning" : "info";
      }
    } catch (failed) {
      lines = sentences(failed);
      level = "error";
    }
    await said(lines, level);
  }
  return first;
}

/** Shows it, until it was read. @param {string[]} lines @param {string} level @returns {Promise<void>} */
function said(lines, level) {
  return new Promise((resolve) => {
    const messages = lines.map((line) => el("p", { class: "console-message", dataset: { level } }, line));
    const ok = el("button", { class: "button", type: "button", onclick: () => dialog.close() }, t("common.close"));
    const dialog = openDialog(
      { id: "chat-import", title: t("chat.list.import"), look: "small", closed: () => resolve() },
      el("div", { class: "message-list" }, messages),
    );
    dialog.append(el("footer", {}, ok));
    ok.focus();
  });
}
