// @ts-check
/**
 * A shell command as the tutorials write it: the program and its model first, a flag a line. It comes in one line, made
 * by backend/processes/command.py; no word of it is changed, and no line is broken within a quotation.
 */

/** Flags that the console sets for itself: nobody types them after a tutorial. */
const PLUMBING = new Set([
  "--api-keys",
  "--allow-origins",
  "--allowed-media-domains",
  "--server-name",
  "--host",
  "--log-level",
  "--disable-cache-status",
  "--node-keys",
]);
const FILES = new Set(["cd", "mv", "mkdir", "rm"]); // what the console does around a command
const ASSIGNMENT = /^[A-Za-z_]\w*=/;
const FLAG = /^--[A-Za-z]/;
const FOLDER = /^\/[^'"\s]*\//;
const SCRIPT = / \/[^'"\s]*\/(\w+\.py)(?= serve )/;

/** @typedef {{words: string[], plumbing: boolean}} Line */

/**
 * The words of a command line, as they stand there: with their quotation marks.
 *
 * @param {string} text
 * @returns {string[]}
 */
export function words(text) {
  const found = [];
  let at = 0;
  while (at < text.length) {
    const begin = at;
    while (at < text.length && !/\s/.test(text[at])) at = afterPiece(text, at);
    if (at > begin) found.push(text.slice(begin, at));
    else at += 1;
  }
  return found;
}

/** Where what begins there ends: a quotation, a substitution, or one character. @param {string} text @param {number} at @returns {number} */
function afterPiece(text, at) {
  if (text[at] === "'") return after(text.indexOf("'", at + 1), text);
  if (text[at] === "\\") return at + 2;
  if (text.startsWith("$(", at)) return afterNested(text, at + 2, ")");
  if (text[at] === '"') return afterNested(text, at + 1, '"');
  return at + 1;
}

/** @param {string} text @param {number} at @param {string} end */
function afterNested(text, at, end) {
  while (at < text.length && text[at] !== end) {
    // In double quotation marks a single one is a character like any other.
    at = end === '"' && text[at] === "'" ? at + 1 : afterPiece(text, at);
  }
  return at + 1;
}

/** @param {number} index @param {string} text */
const after = (index, text) => (index < 0 ? text.length : index + 1);

/**
 * The lines of each command of the text: its environment, its program with what comes before a flag, each flag.
 *
 * @param {string} text
 * @returns {{lines: Line[], end: string}[]}
 */
function commands(text) {
  /** @type {{lines: Line[], end: string}[]} */
  const all = [];
  let rest = words(text);
  while (rest.length) {
    const cut = rest.indexOf("&&");
    const own = cut < 0 ? rest : rest.slice(0, cut);
    rest = cut < 0 ? [] : rest.slice(cut + 1);
    all.push({ lines: linesOf(own), end: cut < 0 ? "" : " &&" });
  }
  return all;
}

/** @param {string[]} all @returns {Line[]} */
function linesOf(all) {
  let at = 0;
  if (all[0] === "env") for (at = 1; all[at] === "-u"; at += 2);
  while (ASSIGNMENT.test(all[at] ?? "")) at += 1;
  /** @type {Line[]} */
  const lines = at ? [{ words: all.slice(0, at), plumbing: true }] : [];
  // A script of the console's own prepares what the tutorial's command takes, or runs it ("… .py serve proxy").
  const script = (all[at + 1] ?? "").endsWith(".py") && all[at + 2] !== "serve";
  const around = script || FILES.has((all[at] ?? "").replace("(", ""));
  for (const word of all.slice(at)) {
    const begins = lines.length === (at ? 1 : 0) || FLAG.test(word);
    if (begins) lines.push({ words: [word], plumbing: around || PLUMBING.has(word.split("=")[0]) });
    else lines[lines.length - 1].words.push(word);
  }
  return lines;
}

/**
 * The whole, to be copied into a shell.
 *
 * @param {string} text
 */
export const whole = (text) =>
  commands(text)
    .map(({ lines, end }) => lines.map((line) => line.words.join(" ")).join(" \\\n  ") + end)
    .join("\n");

/**
 * What a tutorial would show of it, and whether something is left out.
 *
 * @param {string} text
 * @returns {{text: string, folded: boolean}}
 */
export function essence(text) {
  let folded = false;
  const shown = commands(text).map(({ lines }) => {
    const kept = lines.filter(({ plumbing }) => !plumbing);
    folded ||= kept.length < lines.length;
    return kept.map((line) => line.words.join(" ").replace(/\)$/, ""));
  });
  const seen = shown
    .filter((lines) => lines.length)
    .map(([program, ...flags]) => [program.replace(FOLDER, "").replace(SCRIPT, " $1"), ...flags]);
  return { text: seen.map((lines) => lines.join(" \\\n    ")).join("\n"), folded };
}
