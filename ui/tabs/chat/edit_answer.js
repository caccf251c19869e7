// @ts-check
/** An answer's text, written otherwise by a person: what the model reads next as its own. */

import { openDialog } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { get, post, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";

/**
 * @param {string} place the answer's number and lane, "3/0"
 * @param {number} exchange its id
 * @param {Record<string, string>} headers the conversation that is shown
 * @param {() => void} changed
 */
export async function editAnswer(place, exchange, headers, changed) {
  const { text } = /** @type {{text: string}} */ (await get(`chat/answer/${place}`, { headers }));
  const field = el("textarea", {
    id: "chat-answer-text",
    rows: 14,
    "aria-label": t("chat.rewrite.label"),
    value: text,
  });
  const problem = el("p", { role: "alert", class: "chat-rewrite-problem", hidden: true });
  const save = el("button", { class: "button primary", type: "submit" }, t("chat.rewrite.save"));
  const form = el(
    "form",
    { class: "chat-rewrite", onsubmit: send },
    el("p", { class: "muted" }, t("chat.rewrite.what")),
    field,
    problem,
    save,
  );
  const dialog = openDialog({ id: "chat-rewrite", title: t("chat.rewrite.label") }, form);
  field.focus();

  /** @param {Event} event */
  async function send(event) {
    event.preventDefault();
    save.disabled = true;
    try {
      await post("chat/answer", { exchange, lane: Number(place.split("/")[1]), text: field.value }, headers);
      dialog.close();
      changed();
    } catch (error) {
      fill(problem, sentences(error).join(" "));
      problem.hidden = false;
    } finally {
      save.disabled = false;
    }
  }
}
