// @ts-check
/** The console's clock, which the times that it tells are by, and what a second changes on the page. */

import { onBack } from "./offline_notice.js";
import { consoleTime } from "./request.js";

const CLOSE_ENOUGH_MS = 2000;
const READ_MS = 60_000;
let skew = 0; // s: the console's clock minus this browser's

/** Seconds since the epoch by the console's clock: right on a laptop whose own clock isn't. */
export const now = () => Date.now() / 1000 + skew;

/** Asks the console for its time. */
export async function readClock() {
  try {
    const asked = Date.now();
    const told = await consoleTime();
    const middle = (asked + Date.now()) / 2;
    if (Number.isFinite(told)) skew = Math.abs(told - middle) > CLOSE_ENOUGH_MS ? (told - middle) / 1000 : 0;
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
