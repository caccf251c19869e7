// @ts-check
/**
 * What is asked for anew whenever something may have changed. A request that fails is made again until its reply comes;
 * of two that overtake each other, the newer one's reply counts.
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
      if (mayComeBack(problem)) timer = setTimeout(look, againMs, ...values);
      failed(problem);
      return false;
    }
    if (mine !== turn) return false;
    take(reply);
    return true;
  };
}
