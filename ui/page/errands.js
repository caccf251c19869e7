// @ts-check
/** A button of one tab whose work is another's: that tab opens, and does it as soon as its script is there. */

import { showTab } from "./tabs.js";

/** @typedef {(what: string, about: string) => void} Take */

/** By tab, who does them. @type {Map<string, Take>} */
const takers = new Map();
/** By tab, the one that waits for its script. @type {Map<string, [string, string]>} */
const waiting = new Map();

/**
 * Opens the tab, for that work.
 *
 * @param {string} tab
 * @param {string} what
 * @param {string} about what it is about: a server's id
 */
export function send(tab, what, about) {
  const take = takers.get(tab);
  if (take) take(what, about);
  else waiting.set(tab, [what, about]);
  showTab(tab);
}

/** Says who does a tab's errands; one that waits is done at once. @param {string} tab @param {Take} take */
export function takeErrands(tab, take) {
  takers.set(tab, take);
  const first = waiting.get(tab);
  waiting.delete(tab);
  if (first) take(...first);
}
