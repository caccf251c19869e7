// @ts-check
/** What a visitor of a class calls themselves: a button in the header, and the window behind it. */

import { say } from "./clipboard.js";
import { openDialog } from "./dialog.js";
import { el, fill } from "./dom.js";
import { onBack } from "./offline_notice.js";
import { get, post, sentences } from "./request.js";
import { t } from "./texts.js";

const LONGEST = 60;

/** @typedef {{name: string}} Named */

/** @returns {HTMLButtonElement} */
export function nameButton() {
  let name = /** @type {string | null} */ (null); // null: not known yet
  const shown = el("bdi", { class: "header-name-text" }, t("classroom.name.label"));
  const button = el(
    "button",
    {
      class: "button small",
      type: "button",
      id: "header-name",
      title: t("classroom.name.label"),
      dataset: { named: false },
      onclick: open,
    },
    shown,
  );
  void learn().catch(() => {}); // asked for again when the console is back, and when the window opens
  onBack(() => {
    if (name === null) void learn().catch(() => {});
  });

  /** @param {string} now */
  function show(now) {
    name = now;
    shown.textContent = now || t("classroom.name.label");
    button.dataset.named = String(now !== "");
  }

  async function learn() {
    show(/** @type {Named} */ (await get("class/name")).name);
  }

  let learning = false; // a second press meanwhile is for the same window
  async function open() {
    if (learning) return;
    if (name === null) {
      learning = true;
      try {
        await learn(); // saved from an empty box, it would be gone
      } catch (problem) {
        say(button, sentences(problem).join(" "));
        return;
      } finally {
        learning = false;
      }
    }
    const field = el("input", {
      type: "text",
      id: "class-name",
      maxlength: LONGEST,
      autocomplete: "name",
      value: name ?? "",
    });
    const problem = el("p", { role: "alert", class: "class-problem", hidden: true });
    const form = el(
      "form",
      { class: "class-name-form", onsubmit: save },
      el("label", { for: "class-name" }, t("classroom.name.label")),
      field,
      el("button", { class: "button primary", type: "submit" }, t("classroom.name.save")),
    );
    const dialog = openDialog(
      { id: "class-name-dialog", title: t("classroom.name.label"), look: "small" },
      form,
      problem,
      el("p", { class: "muted" }, t("classroom.name.why")),
    );
    field.select();

    /** @param {Event} event */
    async function save(event) {
      event.preventDefault();
      try {
        show(/** @type {Named} */ (await post("class/name", { name: field.value })).name);
        dialog.close();
      } catch (error) {
        fill(problem, sentences(error).join(" "));
        problem.hidden = false;
      }
    }
  }

  return button;
}
