// @ts-check
/** Says that nobody answers, for as long as that is so and with what is known of it now. */

import { hideNotice, showNotice } from "./notice.js";
import { RequestError, sentences } from "./request.js";
import { t } from "./texts.js";

const ID = "console-offline";
/** @type {Set<() => void>} */
const listeners = new Set();
let lost = false;

/** Calls the listener whenever the console answers again. @param {() => void} listener */
export function onBack(listener) {
  listeners.add(listener);
}

/**
 * One failed poll may be a hiccup; from the second on the page says so.
 *
 * @param {number} failures
 * @param {unknown} problem
 */
export function showOffline(failures, problem) {
  const refused = problem instanceof RequestError && problem.status !== 0;
  if (failures < 2) hideNotice(ID);
  else showNotice(ID, refused ? sentences(problem).join(" ") : t("common.offline"));
  const back = lost && failures === 0;
  lost = failures > 0;
  if (back) for (const listener of listeners) listener();
}
