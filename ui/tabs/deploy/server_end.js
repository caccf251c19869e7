// @ts-check
/** Stopping a server and going on when it has ended. */

import { mayStop } from "../../page/ask_first.js";
import { change, onSnapshot } from "../../page/snapshot.js";
import { isAlive } from "./server_facts.js";

/** @import { Server } from "../../page/types.d.ts" */

const STOP_MS = 60_000;

/**
 * Stops it, unless others are in the middle of an answer and nobody confirms that, and waits for its end, a minute at
 * most: what then is done says what is in its way.
 *
 * @param {string} id
 * @param {string} name
 * @returns {Promise<boolean>} false: it wasn't to be stopped
 */
export async function stopToTheEnd(id, name) {
  if (!(await mayStop(id, name))) return false;
  const over = ended(id);
  try {
    await change(`servers/${encodeURIComponent(id)}/stop`);
  } catch (problem) {
    console.info("it can't be stopped", problem); // it may have ended by itself
  }
  await over;
  return true;
}

/** @param {string} id */
function ended(id) {
  return new Promise((resolve) => {
    const done = () => {
      forget();
      clearTimeout(timer);
      resolve(undefined);
    };
    const timer = setTimeout(done, STOP_MS);
    const forget = onSnapshot((snapshot) => {
      const server = snapshot.servers.find((/** @type {Server} */ one) => one.id === id);
      if (!server || !isAlive(server)) setTimeout(done);
    });
  });
}
