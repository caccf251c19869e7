// @ts-check
/** What every form that measures has: what it would cost, said as one types; the start, asked first where it must be. */

import { problemLine } from "../../page/cards.js";
import { ask } from "../../page/dialog.js";
import { el, fill } from "../../page/dom.js";
import { post, sentences } from "../../page/request.js";
import { t } from "../../page/texts.js";

/** @import { Cost } from "./types.d.ts" */

const TYPING_MS = 400;

/**
 * @param {object} form
 * @param {string} form.id of its elements: `${id}-cost`, `${id}-start`, `${id}-ask`
 * @param {string} form.start what the button says
 * @param {() => Record<string, unknown>} form.asked what is sent
 * @param {() => boolean} form.can whether there is something to measure
 * @param {(cost: Cost) => string[]} form.say the cost in words
 * @param {() => unknown} form.started
 */
export function jobForm({ id, start: startText, asked, can, say, started }) {
  const cost = el("p", { class: "lab-cost", id: `${id}-cost`, role: "status" });
  const start = el("button", { class: "button primary", type: "button", id: `${id}-start`, onclick: begin }, startText);
  const problem = problemLine("lab-problem");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  let turn = 0;

  /** @param {string[]} lines @param {boolean} wrong */
  function showCost(lines, wrong) {
    cost.dataset.wrong = wrong ? "1" : "0";
    fill(
      cost,
      lines.map((line) => el("span", {}, line)),
    );
  }

  /** Something else is asked for: the cost is worked out anew once the typing rests. */
  function changed() {
    start.disabled = !can();
    clearTimeout(typing);
    typing = setTimeout(async () => {
      const mine = ++turn;
      if (!can()) {
        fill(cost);
        return;
      }
      try {
        const reply = /** @type {Cost} */ (await post("lab/benchmarks/cost", asked()));
        if (mine === turn) showCost([...say(reply), ...reply.asked], false);
      } catch (error) {
        if (mine === turn) showCost(sentences(error), true);
      }
    }, TYPING_MS);
  }

  async function begin() {
    start.disabled = true;
    await problem.attempt(async () => {
      const { asked: questions } = /** @type {Cost} */ (await post("lab/benchmarks/cost", asked()));
      if (questions.length) {
        const [title, text] = [t("lab.benchmark.ask"), questions.join(" ")];
        if (!(await ask({ id: `${id}-ask`, title, text, confirm: startText }))) return;
      }
      await post("lab/benchmarks/start", { ...asked(), confirmed: questions.length > 0 });
      await started();
    });
    start.disabled = !can();
  }

  start.disabled = !can();
  return { elements: [cost, start, problem.element], changed };
}
