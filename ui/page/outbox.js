// @ts-check
/**
 * What a person gave and the console must get: sent again until it has arrived, the last one of what goes to the same
 * address. What is refused stays here, too, until something else is given there; so nothing is drawn over it.
 */

import { mayComeBack } from "./latest_reply.js";

const AGAIN_MS = 2000;

/**
 * @template Value
 * @param {(path: string, value: Value) => Promise<unknown>} send
 * @param {(problem: unknown) => void} failed says why it hasn't arrived (yet)
 * @param {number} [againMs]
 */
export function outbox(send, failed, againMs = AGAIN_MS) {
  /** @type {Map<string, Value>} */
  const waiting = new Map();
  /** @type {Map<string, Promise<boolean>>} */
  const underWay = new Map();

  /** @param {string} path */
  async function deliver(path) {
    for (;;) {
      const value = /** @type {Value} */ (waiting.get(path));
      try {
        await send(path, value);
        if (waiting.get(path) === value) return waiting.delete(path);
      } catch (problem) {
        if (waiting.get(path) !== value) continue;
        failed(problem);
        if (!mayComeBack(problem)) return false;
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
    }
  }

  return {
    /** Resolves once it has arrived, or to false where it is refused. @param {string} path @param {Value} value */
    put(path, value) {
      waiting.set(path, value);
      const going = underWay.get(path) ?? deliver(path).finally(() => underWay.delete(path));
      underWay.set(path, going);
      return going;
    },
    /** What hasn't arrived there. @param {string} path */
    waiting: (path) => waiting.get(path),
  };
}
