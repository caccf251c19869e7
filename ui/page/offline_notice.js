// @ts-check
/** Says that nobody answers. */

import { byId, el } from "./dom.js";
import { RequestError, sentences } from "./request.js";
import { t } from "./texts.js";

const ID = "console-offline";

/**
 * One failed poll may be a hiccup; from the second on the page says so.
 *
 * @param {number} failures
 * @param {unknown} problem
 */
export function showOffline(failures, problem) {
  const shown = byId(ID);
  if (failures < 2) shown?.remove();
  else if (!shown) {
    const refused = problem instanceof RequestError && problem.status !== 0;
    const text = refused ? sentences(problem).join(" ") : t("common.offline");
    document.body.append(el("div", { id: ID, role: "alert" }, text));
  }
}
