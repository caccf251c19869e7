// @ts-check
/** A bar for what is under way. */

import { el } from "./dom.js";

/** @param {string} label what a screen reader says of it */
export function progressBar(label) {
  const filled = el("span");
  const element = el(
    "div",
    { class: "progress-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": label },
    filled,
  );
  return {
    element,
    /**
     * Shows a share, 0…1; null where it isn't known. Returns the whole percent, null likewise.
     *
     * @param {number | null} share
     */
    show(share) {
      const percent = share === null ? null : Math.floor(share * 100 + 1e-9); // 0.29 * 100 is 28.999…
      element.classList.toggle("unknown", percent === null);
      filled.style.width = share === null ? "" : `${share * 100}%`;
      if (percent === null) element.removeAttribute("aria-valuenow");
      else element.setAttribute("aria-valuenow", String(percent));
      return percent;
    },
  };
}
