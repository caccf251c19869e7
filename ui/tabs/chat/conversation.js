// @ts-check
/** The conversation as the console streams it (ui/tabs/chat/stream.py): followed until nothing is under way any more. */

import { readLines, RequestError } from "../../page/request.js";

/** @typedef {{content: {text: string}[]}} Message as Gradio's Chatbot takes it; more stands in it */
/** @typedef {{keep: number, more: Message[]} | {keep: number, grow: string, then?: Message[]}} Change */
/** @typedef {{state: string, data?: Record<string, unknown>}} Stats what chat-stats shows; more stands in it */
/** @typedef {{place: string, keep: number, more: string[]}} NewTokens of the answer at that place (exchange and lane) */
/** @typedef {{boxes: Change[], two: boolean, lanes: number, stats: Stats, problem: boolean, id: string, version: number, tokens?: NewTokens[]}} Line */

const LANES = 4;
const FIRST = 2;
/** @type {Change} */
const NOTHING = { keep: 0, more: [] };
/** @returns {Message[][]} */
const empty = () => Array.from({ length: LANES }, () => []);
const SILENCE_MS = 5000; // the console says something every second, if only that it lives
const RETRY_MS = [500, 1000, 2000, 5000];

/** @param {string} state */
export const isUnderWay = (state) => state === "waiting" || state === "streaming";

/**
 * A box's messages after such a change: so many stay, then come others, or the next one grows and others come then.
 *
 * @param {Message[]} messages
 * @param {Change} change
 * @returns {Message[]}
 */
export function changed(messages, change) {
  const { keep } = change;
  if ("more" in change) {
    const same = change.more.length === 0 && keep === messages.length;
    return same ? messages : [...messages.slice(0, keep), ...change.more];
  }
  const [first, ...others] = messages[keep].content;
  const grown = { ...messages[keep], content: [{ ...first, text: first.text + change.grow }, ...others] };
  return [...messages.slice(0, keep), grown, ...(change.then ?? [])];
}

/** What a request says of the conversation that the page shows. @param {string} id @returns {Record<string, string>} */
export const shownHeader = (id) => (id ? { "console-conversation": id } : {});

export class Conversation {
  /** @type {Message[][]} */
  #boxes = empty();
  /** @type {(Message[] | undefined)[]} what Gradio's boxes were given last */
  #given = [];
  /** @type {Stats} */
  #stats = { state: "idle" };
  /** @type {AbortController | null} */
  #reading = null;
  #listeners;
  #id = "";
  #version = 0;

  /**
   * `problem`: it ended, with something to say. `gone`: the console knows no such conversation of this browser.
   *
   * @param {{grew: (line: Line, tokens: NewTokens[]) => void, problem: () => void, gone: (problem: unknown) => void}} listeners
   */
  constructor(listeners) {
    this.#listeners = listeners;
  }

  /** What is new in the first two boxes, for Gradio to show; undefined: that one stays as it is. */
  news() {
    return this.#newsOf(0, FIRST);
  }

  /** The same of the boxes beside these. */
  newsBeside() {
    return this.#newsOf(FIRST, LANES);
  }

  /** @param {number} from @param {number} to */
  #newsOf(from, to) {
    return this.#boxes.slice(from, to).map((box, number) => {
      const old = this.#given[from + number];
      this.#given[from + number] = box;
      return box === old ? undefined : box;
    });
  }

  /** The figures of the last answer. */
  get stats() {
    return this.#stats;
  }

  /** The conversation that is shown; "" where the console hasn't told yet: the one that this browser opened last. */
  get id() {
    return this.#id;
  }

  /** Follows it anew where it isn't what is shown: another page changed it. @param {number} version */
  catchUp(version) {
    if (version && version !== this.#version && !isUnderWay(this.#stats.state)) this.follow();
  }

  /** Another one is shown from now on. @param {string} id */
  turnTo(id) {
    this.#id = id;
    this.follow();
  }

  /** Follows it from now on, until nothing is under way; a stream that breaks off or falls silent is asked for anew. */
  follow() {
    this.#reading?.abort();
    const reading = (this.#reading = new AbortController());
    this.#readOn(reading.signal);
  }

  /** @param {AbortSignal} signal */
  async #readOn(signal) {
    for (let tries = 0; !signal.aborted; tries += 1) {
      try {
        await this.#read(signal, () => {
          tries = 0;
        });
        if (signal.aborted || !isUnderWay(this.#stats.state)) return;
      } catch (problem) {
        if (problem instanceof RequestError && problem.status >= 400 && problem.status < 500) {
          if (!signal.aborted) this.#listeners.gone(problem);
          return;
        }
        if (!signal.aborted) console.info("the conversation's stream broke off", problem);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]));
    }
  }

  /**
   * One stream to its end. The first line is the whole conversation, the others what changed.
   *
   * @param {AbortSignal} signal
   * @param {() => void} came
   */
  async #read(signal, came) {
    /** @type {Message[][]} */
    let boxes = empty();
    /** @type {Line | undefined} */
    let last;
    /** @param {Line[]} lines */
    const take = (lines) => {
      if (signal.aborted) return;
      for (const line of lines) boxes = boxes.map((messages, lane) => changed(messages, line.boxes[lane] ?? NOTHING));
      last = /** @type {Line} */ (lines.at(-1));
      this.#boxes = boxes;
      this.#stats = last.stats;
      this.#id = last.id;
      this.#version = last.version;
      this.#listeners.grew(
        last,
        lines.flatMap(({ tokens = [] }) => tokens),
      );
      came();
    };
    const headers = shownHeader(this.#id);
    await readLines("chat/stream", { signal, silence: SILENCE_MS, headers }, take);
    if (last?.problem) this.#listeners.problem();
  }
}
