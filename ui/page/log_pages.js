// @ts-check
/**
 * The part of a log that a page holds: what was read of it, cut into lines.
 *
 * Places in the log are byte offsets that the console told, never counted from the text: bytes that aren't UTF-8 arrive
 * as another number of bytes. So lines come and go by the pieces that they were read in.
 */

/** @import { LogChunk } from "./types.d.ts" */

/** @typedef {{offset: number, lines: number, open: boolean}} Piece where it begins, how many lines end in it, and
 * whether one goes on after it that is shown with what follows */

const LONGEST_PARTIAL = 1 << 16; // characters of a line that a progress bar writes over and over

const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))/g;

/**
 * What a terminal would show of a line: what the last carriage return left, without colours and cursor moves.
 *
 * @param {string} raw
 */
export function shown(raw) {
  const parts = raw.replace(ESCAPES, "").split("\r");
  return parts.findLast((part) => part.trim() !== "") ?? "";
}

/** Whether what came is a part of a log. @param {Partial<LogChunk>} chunk */
export const isChunk = ({ text, offset, next, size }) =>
  typeof text === "string" && [offset, next, size].every((place) => Number.isSafeInteger(place));

export class LogPages {
  /** @type {Piece[]} */
  #pieces = [];
  /** Whether the text before the first piece ends with the beginning of a line that is shown already. */
  #headShown = false;
  /** Where the first piece begins. */
  first = 0;
  /** Where the last piece ends: what to read next. */
  next = 0;
  /** The last line, not ended yet. */
  partial = "";

  /** @param {number} [offset] where to begin */
  constructor(offset = 0) {
    this.first = this.next = offset;
  }

  /**
   * Takes what comes at the end; returns the lines that end in it.
   *
   * @param {LogChunk} chunk
   * @returns {string[]}
   */
  append({ text, offset, next }) {
    if (this.#pieces.length === 0) this.first = offset;
    const lines = (this.partial + text).split("\n");
    this.partial = shortened(/** @type {string} */ (lines.pop()));
    const last = this.#pieces.at(-1);
    const open = this.partial !== "";
    if (lines.length === 0 && last) last.open = open;
    else this.#pieces.push({ offset, lines: lines.length, open });
    this.next = next;
    return lines;
  }

  /**
   * Takes what stands before, from the beginning of a line on; returns its lines.
   *
   * @param {LogChunk} chunk
   * @returns {string[]}
   */
  prepend({ text, offset }) {
    const lines = text.split("\n");
    const open = this.#headShown;
    if (open || lines.at(-1) === "") lines.pop();
    this.#headShown = false;
    this.#pieces.unshift({ offset, lines: lines.length, open });
    this.first = offset;
    return lines;
  }

  /**
   * Lets go of the oldest pieces while more than `most` lines are held; returns how many lines leave at the top.
   *
   * @param {number} most
   */
  trim(most) {
    let held = this.#pieces.reduce((sum, { lines }) => sum + lines, 0);
    let gone = 0;
    while (held > most && this.#pieces.length > 1) {
      const [{ lines, open }, next] = this.#pieces;
      this.#pieces.shift();
      held -= lines;
      gone += lines;
      this.first = next.offset;
      this.#headShown = open;
    }
    return gone;
  }
}

/** @param {string} partial */
function shortened(partial) {
  const written = partial.lastIndexOf("\r", partial.length - 2);
  return partial.length > LONGEST_PARTIAL && written > 0 ? partial.slice(written) : partial;
}
