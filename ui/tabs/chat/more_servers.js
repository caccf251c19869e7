// @ts-check
/** The third and fourth server of a comparison: offered once a second one is chosen, and there are as many. */

import { el, fill } from "../../page/dom.js";
import { t } from "../../page/texts.js";

/** @typedef {{choices?: [string, string][], chosen?: string[]}} Value labels and ids that can still be chosen */

const MOST = 2;

/** @param {HTMLElement} element @param {(servers: string[]) => void} tell @returns {(value: Value) => void} */
export function moreServers(element, tell) {
  return ({ choices = [], chosen = [] }) => {
    const free = choices.some(([, id]) => !chosen.includes(id));
    const places = Math.min(MOST, chosen.length + (free ? 1 : 0));
    /** @param {number} place */
    const choice = (place) => {
      const others = chosen.filter((_, at) => at !== place);
      const select = el(
        "select",
        {
          id: `chat-server-${place + 3}`,
          "aria-label": t("chat.server_2.label"),
          onchange: () => tell([...chosen.slice(0, place), select.value, ...chosen.slice(place + 1)].filter(Boolean)),
        },
        [["", t("chat.server_more.none")], ...choices.filter(([, id]) => !others.includes(id))].map(([label, value]) =>
          el("option", { value, selected: value === (chosen[place] ?? "") }, label),
        ),
      );
      return select;
    };
    fill(
      element,
      Array.from({ length: places }, (_, place) => choice(place)),
    );
    element.hidden = places === 0;
  };
}
