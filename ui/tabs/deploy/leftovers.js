// @ts-check
/** The end of a process that an earlier server left on a GPU: asked first, for it can't be undone. */

import { ask } from "../../page/dialog.js";
import { post } from "../../page/request.js";
import { t } from "../../page/texts.js";

/**
 * Ends it when that was confirmed; whether it was ended. What is wrong is said in a window.
 *
 * @param {{pid: number, start: number, what: string}} process
 */
export async function endLeftover({ pid, start, what }) {
  const title = t("life.leftover.title", { pid });
  const id = "ask-leftover";
  if (!(await ask({ id, title, text: t("life.leftover.text", { what, pid }), confirm: t("life.leftover.confirm") })))
    return false;
  try {
    await post("leftovers/end", { pid, start });
  } catch (problem) {
    await ask({ id, title, text: String(/** @type {Error} */ (problem).message), confirm: t("common.close") });
  }
  return true;
}
