// @ts-check
/** The console's clock, which the times that it tells are by, and what a second changes on the page. */

import { onBack } from "./offline_notice.js";
import { consoleTime } from "./request.js";

const CLOSE_ENOUGH_MS = 2000;
const READ_MS = 60_000;
let skew = 0; // s: the console's clock minus this browser's

/** Seconds since the epoch by the console's clock: right on a laptop whose own clock isn't. */
export const now = () => Date.now() / 1000 + skew;

/**
 * The skew after a reply told that time. The later it came, the less it says: what was known holds if it may be so.
 *
 * @param {number} known s
 * @param {number} told ms, as `asked` and `came`
 * @param {number} asked
 * @param {number} came
 */
export function skewOf(known, told, asked, came) {
  const off = told - (asked + came) / 2;
  const doubt = CLOSE_ENOUGH_MS + (came - asked) / 2;
  return Math.abs(off - known * 1000) <= doubt ? known : off / 1000;
}

/** Asks the console for its time. */
export async function readClock() {
  try {
    const asked = Date.now();
    const told = await consoleTime();
    if (Number.isFinite(told)) skew = skewOf(skew, told, asked, Date.now());
  } catch {
    // what was known of it holds
  }
}

/** Asks now and again: either clock may be set right, and a laptop wakes up with another time. */
export function followClock() {
  const read = () => {
    if (document.visibilityState === "visible") void readClock();
  };
  read();
  setInterval(read, READ_MS);
  onBack(read);
  document.addEventListener("visibilitychange", read);
}

/**
 * Calls `tick` every second while the page is seen.
 *
 * @param {() => void} tick
 */
export function everySecond(tick) {
  setInterval(() => {
    if (document.visibilityState === "visible") tick();
  }, 1000);
}
