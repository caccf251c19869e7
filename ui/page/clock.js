// @ts-check
/** The console's clock, which the times that it tells are by, and what a second changes on the page. */

import { consoleTime } from "./request.js";

const CLOSE_ENOUGH_MS = 2000;
let skew = 0; // s: the console's clock minus this browser's

/** Seconds since the epoch by the console's clock: right on a laptop whose own clock isn't. */
export const now = () => Date.now() / 1000 + skew;

/** Asks the console for its time, once. */
export async function readClock() {
  try {
    const asked = Date.now();
    const told = await consoleTime();
    const middle = (asked + Date.now()) / 2;
    if (Number.isFinite(told) && Math.abs(told - middle) > CLOSE_ENOUGH_MS) skew = (told - middle) / 1000;
  } catch {
    skew = 0;
  }
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
