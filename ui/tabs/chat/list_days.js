// @ts-check
/** When something was said, as a list of conversations is divided: today, yesterday, this week, then months. */

import { locale, t } from "../../page/texts.js";

const DAY_MS = 86_400_000;

/**
 * @param {number} seconds since the epoch
 * @param {Date} now
 */
export function dayOf(seconds, now = new Date()) {
  const then = new Date(seconds * 1000);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  if (then.getTime() >= midnight) return t("chat.list.today");
  if (then.getTime() >= midnight - DAY_MS) return t("chat.list.yesterday");
  if (then.getTime() >= midnight - 6 * DAY_MS) return t("chat.list.week");
  return then.toLocaleDateString(locale, { year: "numeric", month: "long" });
}
