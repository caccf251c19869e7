// @ts-check
/** What is watched is drawn anew only where it changed, and without taking the focus or the scrolled place away. */

/**
 * Calls `draw` with what is to be seen, where that isn't what was drawn last.
 *
 * @template Value
 * @param {(value: Value) => void} draw
 * @returns {(value: Value) => void}
 */
export function whenChanged(draw) {
  let drawn = "";
  return (value) => {
    const now = JSON.stringify(value);
    if (now === drawn) return;
    drawn = now;
    draw(value);
  };
}

/**
 * Draws what is in the place. The control with the same `data-focus` has the focus again, what is folded with the same
 * `data-fold` is as open as before, and what scrolls sideways stands where it stood.
 *
 * @param {Element} place
 * @param {() => void} draw
 */
export function keepPlace(place, draw) {
  const active = document.activeElement;
  const focus = active instanceof HTMLElement && place.contains(active) ? active.dataset.focus : undefined;
  const scrolled = () => [...place.querySelectorAll(".table-scroll")];
  const lefts = scrolled().map(({ scrollLeft }) => scrollLeft);
  const folds = () => /** @type {NodeListOf<HTMLDetailsElement>} */ (place.querySelectorAll("details[data-fold]"));
  const open = new Map([...folds()].map((fold) => [fold.dataset.fold, fold.open]));
  draw();
  for (const fold of folds()) fold.open = open.get(fold.dataset.fold) ?? fold.open;
  scrolled().forEach((one, index) => (one.scrollLeft = lefts[index] ?? 0));
  if (!focus) return;
  const same = /** @type {HTMLElement | null} */ (place.querySelector(`[data-focus="${CSS.escape(focus)}"]`));
  same?.focus({ preventScroll: true });
}
