// @ts-check
/**
 * Things told one after another: the next once the console has the one before, of those that wait only the last. Two
 * requests of one moment may overtake each other; what needs the last one to be there waits for `all`.
 */

const DEADLINE_MS = 5000; // an answer that doesn't come holds nobody up

/**
 * @template Value
 * @param {(value: Value) => void} tell
 * @param {number} [deadlineMs]
 */
export function inTurn(tell, deadlineMs = DEADLINE_MS) {
  /** @type {{value: Value} | null} */
  let next = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let busy = false;
  /** @type {(() => void)[]} */
  let waiting = [];

  /** @param {Value} value */
  function send(value) {
    busy = true;
    timer = setTimeout(arrived, deadlineMs);
    tell(value);
  }

  /** The console has what was told last. */
  function arrived() {
    if (!busy) return;
    clearTimeout(timer);
    busy = false;
    if (next) {
      const { value } = next;
      next = null;
      send(value);
      return;
    }
    for (const go of waiting) go();
    waiting = [];
  }

  return {
    /** @param {Value} value */
    tell(value) {
      if (busy) next = { value };
      else send(value);
    },
    arrived,
    /** Once everything has arrived. @returns {Promise<void>} */
    all: () => (busy ? new Promise((go) => waiting.push(go)) : Promise.resolve()),
  };
}
