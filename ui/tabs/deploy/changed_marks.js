// @ts-check
/** The form's controls that a remedy changed: marked until something is started or other settings are taken over. */

import { byId } from "../../page/dom.js";
import { t } from "../../page/texts.js";

/** @type {string[]} */
let marked = [];

/** Marks these controls. @param {string[]} ids their elements' */
export function markChanged(ids) {
  drawMarks([]);
  marked = ids;
  drawMarks();
}

/** Draws them: Gradio makes what a fold holds when it is opened. @param {string[]} [ids] those that stay marked */
export function drawMarks(ids = marked) {
  for (const id of marked) {
    const control = byId(id);
    if (!control) continue;
    if (ids.includes(id)) control.dataset.changed = t("remedy.changed");
    else delete control.dataset.changed;
  }
  marked = ids;
}
