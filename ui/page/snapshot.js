// @ts-check
/** The one poll of the page: servers, jobs and the header's figures. Nothing else asks for them. */

import { showOffline } from "./offline_notice.js";
import { getIfNew, post, RequestError } from "./request.js";
import { t } from "./texts.js";

/** @import { Snapshot } from "./types.d.ts" */
/** @typedef {(snapshot: Snapshot) => void} Listener */
/** @typedef {{fresh: Snapshot | null, next: number}} Reply null: nothing new; when to ask again, in ms */

const COMES_BACK = "console-back"; // what Gradio's page says of a connection that failed (ui/page/bridge.js)
const CALM_MS = 1000; // where the console doesn't say when to ask again
const SILENCE_MS = 5000; // it is small, and a page that shows old states without a word is worse than one that asks again

/**
 * A poll that nothing ends: neither a failed request, nor a reply of another shape, nor an exception of a listener.
 * When the next one comes depends on the clock alone.
 *
 * @param {object} world
 * @param {(version: string | null) => Promise<Reply>} world.ask
 * @param {() => boolean} world.visible nothing is asked for while the page isn't seen
 * @param {(failures: number, problem: unknown) => void} world.report how many polls have failed in a row
 * @param {() => void} world.restarted another console answers than before; the listeners hear of its state after this
 */
export function createPoll({ ask, visible, report, restarted }) {
  /** @type {Set<Listener>} */
  const listeners = new Set();
  /** @type {Snapshot | null} */
  let newest = null;
  let pace = CALM_MS;
  let failures = 0;
  let polling = false;
  let again = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {number} delay */
  function schedule(delay) {
    clearTimeout(timer);
    timer = setTimeout(poll, delay);
  }

  async function poll() {
    if (polling || !visible()) return;
    polling = true;
    again = false;
    try {
      const { fresh, next } = await ask(newest?.version ?? null);
      failures = 0;
      pace = next;
      safely(() => report(0, null));
      if (fresh) take(fresh);
    } catch (problem) {
      failures += 1;
      pace = CALM_MS;
      safely(() => report(failures, problem));
    } finally {
      polling = false;
      schedule(again ? 0 : pace);
    }
  }

  /** @param {Snapshot} fresh */
  function take(fresh) {
    const another = newest !== null && newest.started_at !== fresh.started_at;
    newest = fresh;
    if (another) safely(restarted);
    for (const listener of [...listeners]) safely(() => listener(fresh));
  }

  function refresh() {
    if (polling) again = true;
    else schedule(0);
  }

  return {
    /** Polls now. */
    refresh,
    /**
     * Calls the listener at every change, and now if a snapshot is there. Returns a function that ends it.
     *
     * @param {Listener} listener
     */
    listen(listener) {
      const known = newest;
      listeners.add(listener);
      if (known) safely(() => listener(known));
      else schedule(0);
      return () => {
        listeners.delete(listener);
      };
    },
  };
}

/** @param {() => void} action */
function safely(action) {
  try {
    action();
  } catch (error) {
    console.error("a snapshot listener failed", error);
  }
}

/**
 * Whether this is a snapshot: what the poll itself and every listener rely on.
 *
 * @param {Partial<Snapshot>} value
 */
export function isSnapshot({ version, servers, jobs, header, notices }) {
  return (
    typeof version === "string" &&
    [servers, jobs, notices].every(Array.isArray) &&
    typeof header === "object" &&
    header !== null
  );
}

/** @type {Set<() => void>} */
const chatListeners = new Set();
/** @type {string | null} */
let chatRevision = null;

/** Calls the listener whenever the visitor's list of conversations has changed. @param {() => void} listener */
export function onChatChange(listener) {
  chatListeners.add(listener);
}

/** @param {string | null} revision */
function tellChat(revision) {
  if (revision === null || revision === chatRevision) return;
  chatRevision = revision;
  for (const listener of chatListeners) safely(listener);
}

/** @param {string | null} version @returns {Promise<Reply>} */
export async function askForSnapshot(version) {
  const since = version === null ? "" : `?since=${encodeURIComponent(version)}`;
  let next = CALM_MS;
  /** @param {Response} response the more pages there are, the longer each waits */
  const seen = ({ headers }) => {
    next = Number(headers.get("console-next-ms")) || CALM_MS;
    tellChat(headers.get("console-chat"));
  };
  const fresh = /** @type {Snapshot | null} */ (await getIfNew(`snapshot${since}`, { silence: SILENCE_MS, seen }));
  if (fresh !== null && !isSnapshot(fresh)) throw new RequestError([t("common.offline")], 0);
  return { fresh, next };
}

const page = createPoll({
  ask: askForSnapshot,
  visible: () => document.visibilityState !== "hidden",
  report: showOffline,
  restarted: () => globalThis.dispatchEvent(new Event(COMES_BACK)),
});

export const { listen: onSnapshot, refresh } = page;

/**
 * POST to console/`path`; then polls at once, since something may have changed.
 *
 * @template Reply
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<Reply>}
 */
export async function change(path, body = {}) {
  try {
    return await post(path, body);
  } finally {
    refresh();
  }
}

globalThis.document?.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refresh();
});
