// @ts-check
/** What would break off other people's answers is asked first. */

import { ask } from "./dialog.js";
import { get } from "./request.js";
import { t } from "./texts.js";

/**
 * Whether that server may be stopped: at once where nobody else is in the middle of an answer, else when it was
 * confirmed. Where the console doesn't tell, the stop itself will say what is wrong.
 *
 * @param {string} id the server's
 * @param {string} name
 * @returns {Promise<boolean>}
 */
export async function mayStop(id, name) {
  let others = 0;
  try {
    ({ others } = /** @type {{others: number}} */ (await get(`servers/${encodeURIComponent(id)}/answers`)));
  } catch {
    return true;
  }
  if (others === 0) return true;
  const text = t(others === 1 ? "share.stop.one" : "share.stop.many", { name, count: others });
  return ask({ id: "ask-stop", title: t("share.stop.title", { name }), text, confirm: t("share.stop.confirm") });
}
