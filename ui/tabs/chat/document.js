// @ts-check
/** A file that was sent as its text: what the model was given, to the letter. */

import { copyButton, say } from "../../page/clipboard.js";
import { openDialog } from "../../page/dialog.js";
import { el } from "../../page/dom.js";
import { get, sentences } from "../../page/request.js";

/** @param {HTMLElement} chip @param {Record<string, string>} headers */
export async function openDocument(chip, headers) {
  try {
    /** @type {{name: string, text: string}} */
    const { name, text } = await get(`chat/document/${chip.dataset.chatDocument}`, { headers });
    const shown = el("pre", { class: "chat-document-text", tabindex: "0" }, text);
    openDialog({ id: "chat-document", title: name, tools: copyButton(text) }, shown);
  } catch (problem) {
    say(chip, sentences(problem).join(" "));
  }
}
