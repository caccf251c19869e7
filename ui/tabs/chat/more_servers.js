// @ts-check
/** Whom a question goes to beside the first two servers: a third and a fourth, or settings one after another. */

import { el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";
import { turnChoice } from "./in_turn_view.js";

/** @import { Named } from "./in_turn_view.js" */
/**
 * @typedef {{choices?: [string, string][], chosen?: string[], operator?: boolean, turn?: Named[]}} Value `choices`:
 *   labels and ids of the servers that can still be chosen
 */

const MOST = 2;

/**
 * @param {HTMLElement} element
 * @param {(event: "more" | "turn", data: object) => void} tell
 * @returns {(value: Value) => void}
 */
export function moreServers(element, tell) {
  element.classList.add("chat-more");
  return ({ choices = [], chosen = [], operator = false, turn = [] }) => {
    const free = choices.some(([, id]) => !chosen.includes(id));
    const places = turn.length ? 0 : Math.min(MOST, chosen.length + (free ? 1 : 0));
    /** @param {number} place */
    const choice = (place) => {
      const others = chosen.filter((_, at) => at !== place);
      const offered = choices.filter(([, id]) => !others.includes(id));
      const select = el(
        "select",
        {
          id: `chat-server-${place + 3}`,
          "aria-label": t("chat.server_2.label"),
          onchange: () =>
            tell("more", {
              servers: [...chosen.slice(0, place), select.value, ...chosen.slice(place + 1)].filter(Boolean),
            }),
        },
        [["", t("chat.server_more.none")], ...offered].map(([label, value]) =>
          el("option", { value, selected: value === (chosen[place] ?? "") }, label),
        ),
      );
      return select;
    };
    fill(
      element,
      Array.from({ length: places }, (_, place) => choice(place)),
      operator ? turnChoice(turn, (runs) => tell("turn", { runs })) : null,
    );
  };
}
