// @ts-check
/** What can be done with a message, by the icons on it (ui/tabs/chat/render.py: action). */

import { copy, say } from "../../page/clipboard.js";
import { send } from "../../page/errands.js";
import { get, post, sentences } from "../../page/request.js";
import { openDocument } from "./document.js";
import { shownHeader } from "./conversation.js";
import { editAnswer } from "./edit_answer.js";

const ASKED_ANEW =
  "[data-chat-again], [data-chat-edit], [data-chat-goon], [data-chat-branch], [data-chat-better], [data-chat-next], [data-chat-rewrite]";

/**
 * Listens to the icons of all messages, those to come too.
 *
 * @param {(event: "again" | "edit" | "goon" | "next", data: {exchange: number, lane?: number}) => void} tell
 * @param {() => string} shown the conversation
 * @param {() => void} turned to another branch, or otherwise changed
 */
export function listenToActions(tell, shown, turned) {
  /** @param {"branch" | "better"} what @param {object} data @param {HTMLElement} button */
  async function change(what, data, button) {
    try {
      await post(`chat/list/${what}`, { id: shown(), ...data });
    } catch (problem) {
      say(button, sentences(problem).join(" "));
    }
    turned();
  }

  document.addEventListener("click", async ({ target }) => {
    const chip = target instanceof Element ? target.closest("#chat-boxes .chat-document") : null;
    if (chip instanceof HTMLElement) await openDocument(chip, shownHeader(shown()));
    const given = target instanceof Element ? target.closest("#chat-boxes [data-chat-give]") : null;
    if (given instanceof HTMLElement) await give(given, shownHeader(shown()));
    const next = target instanceof Element ? target.closest("#chat-boxes [data-chat-next]") : null;
    if (next instanceof HTMLElement) {
      const [exchange, lane] = (next.dataset.chatNext ?? "").split("/").map(Number);
      tell("next", { exchange, lane });
    }
    const remedy = target instanceof Element ? target.closest("#chat-boxes [data-chat-deploy]") : null;
    if (remedy instanceof HTMLElement) send("deploy", remedy.dataset.chatDeploy ?? "", remedy.dataset.server ?? "");
    const button = target instanceof Element ? target.closest("#chat-boxes .chat-action") : null;
    if (!(button instanceof HTMLElement)) return;
    const { chatRewrite } = button.dataset;
    if (chatRewrite !== undefined) {
      const [number, lane, exchange] = chatRewrite.split("/");
      try {
        await editAnswer(`${number}/${lane}`, Number(exchange), shownHeader(shown()), turned);
      } catch (problem) {
        say(button, sentences(problem).join(" "));
      }
    }
    const { chatCopy, chatAgain, chatEdit, chatGoon, chatBranch, chatCopyQuestion, chatBetter } = button.dataset;
    if (chatAgain !== undefined) tell("again", { exchange: Number(chatAgain) });
    if (chatEdit !== undefined) tell("edit", { exchange: Number(chatEdit) });
    if (chatGoon !== undefined) tell("goon", { exchange: Number(chatGoon) });
    if (chatBranch !== undefined) await change("branch", { exchange: Number(chatBranch) }, button);
    if (chatBetter !== undefined) {
      const [exchange, lane] = chatBetter.split("/").map(Number);
      const pressed = button.getAttribute("aria-pressed") === "true";
      await change("better", { exchange, lane: pressed ? null : lane }, button);
    }
    if (chatCopyQuestion !== undefined) {
      const question = button.closest(".message")?.querySelector(".chat-question");
      await copy(question?.textContent ?? "", button);
    }
    if (chatCopy !== undefined) {
      try {
        const answer = /** @type {{text: string}} */ (
          await get(`chat/answer/${chatCopy}`, { headers: shownHeader(shown()) })
        );
        await copy(answer.text, button);
      } catch (problem) {
        say(button, sentences(problem).join(" "));
      }
    }
  });
}

/** What a person typed as a tool's result goes to the model. @param {HTMLElement} button @param {Record<string, string>} headers */
async function give(button, headers) {
  const result = button.parentElement?.querySelector("textarea")?.value ?? "";
  try {
    await post("chat/tool", { call: button.dataset.chatGive, result }, headers);
  } catch (problem) {
    say(button, sentences(problem).join(" "));
  }
}

/**
 * What asks anew can't be pressed while an answer is under way.
 *
 * @param {Element} root
 * @param {boolean} free
 */
export function allowActions(root, free) {
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(ASKED_ANEW))) {
    if (button.hidden === free) button.hidden = !free;
  }
}
