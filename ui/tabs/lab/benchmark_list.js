// @ts-check
/** Measurements as cards, watched while the section is in sight. */

import { cardList } from "../../page/cards.js";
import { el } from "../../page/dom.js";
import { latestReply } from "../../page/latest_reply.js";
import { get } from "../../page/request.js";
import { t } from "../../page/texts.js";
import { benchmarkCard, isOver } from "./benchmark_card.js";

/** @import { Benchmark } from "./types.d.ts" */

const BUSY_MS = 1500;
const CALM_MS = 15_000;

/**
 * @param {HTMLElement} section in whose sight it is watched
 * @param {string} id
 * @param {string} title
 * @param {(one: Benchmark) => boolean} belongs which of them stand here
 */
export function benchmarkList(section, id, title, belongs) {
  const list = el("div", { class: "lab-benchmarks", id });
  const none = el("p", { class: "lab-hint" }, t("lab.benchmark.none"));
  const cards = cardList(list, (/** @type {Benchmark} */ one) => benchmarkCard(one.id, load));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const look = latestReply(
    () => get("lab/benchmarks"),
    (/** @type {{benchmarks: Benchmark[]}} */ { benchmarks }) => {
      const mine = benchmarks.filter(belongs);
      none.hidden = mine.length > 0;
      cards.show(mine);
      again(mine.every(isOver) ? CALM_MS : BUSY_MS);
    },
    () => again(CALM_MS), // the page says by itself that the console is away
  );

  /** @param {number} pause */
  function again(pause) {
    clearTimeout(timer);
    if (section.offsetParent && document.visibilityState === "visible") timer = setTimeout(load, pause);
  }

  function load() {
    clearTimeout(timer);
    return look();
  }

  new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && load()).observe(section);
  document.addEventListener("visibilitychange", () => section.offsetParent && load());
  return { elements: [el("h3", {}, title), none, list], load };
}
