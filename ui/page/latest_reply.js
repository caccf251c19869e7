// @ts-check
/**
 * What is asked for anew whenever something may have changed. A request that nobody answers is made again until its
 * reply comes, while the page is seen; a refused one is left to who asked. Of two that overtake each other, the newer
 * one's reply counts.
 */

import { RequestError } from "./request.js";

const AGAIN_MS = 2000;

/** Whether nobody answered, or nothing that can be read: the next request may fare better. @param {unknown} problem */
export const mayComeBack = (problem) => !(problem instanceof RequestError) || problem.status === 0;

/**
 * A function that asks. It resolves to whether its reply was taken: false where it failed, or a newer one was asked for.
 *
 * @template Reply
 * @template {unknown[]} Values
 * @param {(...values: Values) => Promise<Reply>} ask
 * @param {(reply: Reply) => void} take
 * @param {(problem: unknown) => void} [failed]
 * @param {number} [againMs]
 * @returns {(...values: Values) => Promise<boolean>}
 */
export function latestReply(ask, take, failed = () => {}, againMs = AGAIN_MS) {
  let turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return async function look(...values) {
    const mine = ++turn;
    clearTimeout(timer);
    /** @type {Reply} */
    let reply;
    try {
      reply = await ask(...values);
    } catch (problem) {
      if (mine !== turn) return false;
      const again = () => {
        if (mine !== turn) return;
        if (document.visibilityState === "visible") void look(...values);
        else document.addEventListener("visibilitychange", again, { once: true });
      };
      if (mayComeBack(problem)) timer = setTimeout(again, againMs);
      failed(problem);
      return false;
    }
    if (mine !== turn) return false;
    take(reply);
    return true;
  };
}

/**
 * A function that does it. Called while that goes on, it does it once more afterwards: on a slow line, where each newer
 * request would make the one before it count for nothing, something is told all the same.
 *
 * @param {() => Promise<unknown>} act
 */
export function oneAtATime(act) {
  let going = false;
  let wanted = false;
  return async () => {
    wanted = true;
    if (going) return;
    going = true;
    try {
      while (wanted) {
        wanted = false;
        await act();
      }
    } finally {
      going = false;
    }
  };
}
