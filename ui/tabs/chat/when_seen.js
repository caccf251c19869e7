// @ts-check
/** Nobody looks at a page in a hidden tab of the browser: it is drawn once a second there, and at once when it is seen. */

const HIDDEN_MS = 1000;

/**
 * `draw` as a function that draws now where the page is seen, or where it is `urgent`.
 *
 * @param {() => void} draw
 * @param {number} [hiddenMs] between two while it is hidden
 * @returns {(urgent: boolean) => void}
 */
export function whenSeen(draw, hiddenMs = HIDDEN_MS) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  const now = () => {
    clearTimeout(waiting);
    waiting = undefined;
    draw();
  };
  document.addEventListener("visibilitychange", () => {
    if (waiting !== undefined && !document.hidden) now();
  });
  return (urgent) => {
    if (urgent || !document.hidden) now();
    else waiting ??= setTimeout(now, hiddenMs);
  };
}
