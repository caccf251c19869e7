// @ts-check
/**
 * Every request of the page. Each has a deadline: a connection through SSH can die without a word, and fetch itself
 * waits for ever. A reply that can't be read is a failure, whatever its status says.
 */

import { t } from "./texts.js";

const SILENCE_MS = 15_000; // so long a reply may keep silent, before its first byte and between two
const FILE_SILENCE_MS = 600_000; // what is sent is silent, and a line through SSH may be slow
const POST_SILENCE_MS = 60_000; // what changes something may take longer: a start looks at the machine first

/** @typedef {RequestInit & {silence?: number, seen?: (response: Response) => void}} Options `seen`: each reply */

export class RequestError extends Error {
  /**
   * @param {string[]} messages sentences in the page's language
   * @param {number} status the reply's; 0 where the console couldn't be reached or what came couldn't be read
   * @param {unknown} [cause]
   */
  constructor(messages, status, cause) {
    super(messages.join(" "), { cause });
    this.messages = messages;
    this.status = status;
  }
}

/**
 * What to show of a problem, whatever it is.
 *
 * @param {unknown} problem
 */
export const sentences = (problem) => (problem instanceof RequestError ? problem.messages : [String(problem)]);

/**
 * The URL of console/`path`, wherever a proxy has put the console.
 *
 * @param {string} path
 */
export const link = (path) => new URL(`./console/${path}`, globalThis.document?.baseURI ?? "http://localhost/").href;

/** The console's own OpenAI-compatible address, as this browser reaches it: beside the page's secret path, not below. */
export const apiAddress = () => new URL("../v1", globalThis.document?.baseURI ?? "http://localhost/x/").href;

/**
 * GET console/`path`: the JSON object that came, or null where the console says that there is nothing new (204).
 * Rejects with a RequestError, and with nothing else.
 *
 * @template Reply
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Reply | null>}
 */
export function getIfNew(path, { seen, ...options } = {}) {
  return exchange(path, options, async (response, heard) => {
    seen?.(response);
    if (response.status === 204) return null;
    const body = parsed(await text(response, heard));
    if (!response.ok) throw new RequestError(messagesOf(body), response.status);
    if (typeof body !== "object" || body === null) throw unreadable();
    return /** @type {Reply} */ (body);
  });
}

/**
 * GET console/`path`: the JSON object that came.
 *
 * @template Reply
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Reply>}
 */
export async function get(path, options = {}) {
  const body = await getIfNew(path, options);
  if (body === null) throw unreadable();
  return /** @type {Reply} */ (body);
}

/**
 * POST `body` as JSON to console/`path`: the JSON object that came, an empty one where it was done without a word (204).
 *
 * @template Reply
 * @param {string} path
 * @param {object} [body]
 * @param {Record<string, string>} [more] headers
 * @returns {Promise<Reply>}
 */
export function post(path, body = {}, more = {}) {
  const headers = { "content-type": "application/json", ...more };
  return send(path, { headers, body: JSON.stringify(body), silence: POST_SILENCE_MS });
}

/**
 * POST a file as it is to console/`path`: the JSON object that came, as of `post`.
 *
 * @template Reply
 * @param {string} path
 * @param {Blob} file
 * @returns {Promise<Reply>}
 */
export function sendFile(path, file) {
  const headers = { "content-type": "application/json" };
  return send(path, { headers, body: file, silence: FILE_SILENCE_MS });
}

/** @template Reply @param {string} path @param {Options} options @returns {Promise<Reply>} */
async function send(path, options) {
  return /** @type {Reply} */ ((await getIfNew(path, { method: "POST", ...options })) ?? {});
}

/**
 * GET console/`path`, a stream of lines of JSON: `take(values)` gets those that came together. Empty lines only tell
 * that the connection lives. Resolves at the stream's end.
 *
 * @template Line
 * @param {string} path
 * @param {Options} options
 * @param {(values: Line[]) => void} take
 * @returns {Promise<void>}
 */
export function readLines(path, options, take) {
  return exchange(path, options, async (response, heard) => {
    if (!response.ok) throw new RequestError(await problemOf(response, heard), response.status);
    let rest = "";
    for await (const piece of pieces(response, heard)) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      const values = lines.filter((line) => line !== "").map((line) => /** @type {Line} */ (parsed(line)));
      if (values.length) take(values);
    }
    if (rest !== "") throw unreadable(); // cut off in the middle of a line
  });
}

/**
 * The console's time of day in ms, as its replies tell it; NaN where they don't.
 *
 * @returns {Promise<number>}
 */
export function consoleTime() {
  return exchange("texts.json", { method: "HEAD", cache: "no-store" }, async (response) =>
    Date.parse(response.headers.get("date") ?? ""),
  );
}

/**
 * One request, from asking to the last byte. `consume` calls `heard` whenever something came.
 *
 * @template Result
 * @param {string} path
 * @param {Options} options
 * @param {(response: Response, heard: () => void) => Promise<Result>} consume
 * @returns {Promise<Result>}
 */
async function exchange(path, { silence = SILENCE_MS, signal, ...options }, consume) {
  const abort = new AbortController();
  const giveUp = () => abort.abort();
  if (signal?.aborted) giveUp();
  signal?.addEventListener("abort", giveUp);
  let timer = setTimeout(giveUp, silence);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, silence);
  };
  try {
    const response = await fetch(link(path), { credentials: "same-origin", ...options, signal: abort.signal });
    heard();
    return await consume(response, heard);
  } catch (problem) {
    giveUp(); // what wasn't read to its end is let go
    throw problem instanceof RequestError ? problem : unreadable(problem);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

/** @param {Response} response @param {() => void} heard */
async function* pieces(response, heard) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    yield value;
  }
}

/** What a refused stream says. @param {Response} response @param {() => void} heard */
async function problemOf(response, heard) {
  try {
    return messagesOf(parsed(await text(response, heard)));
  } catch {
    return [t("common.offline")];
  }
}

/** @param {Response} response @param {() => void} heard */
async function text(response, heard) {
  let whole = "";
  for await (const piece of pieces(response, heard)) whole += piece;
  return whole;
}

/** @param {string} json @returns {unknown} */
function parsed(json) {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw unreadable(error);
  }
}

/** @param {unknown} body @returns {string[]} */
function messagesOf(body) {
  const messages = typeof body === "object" && body !== null ? Reflect.get(body, "messages") : null;
  return Array.isArray(messages) && messages.length ? messages.map(String) : [t("common.offline")];
}

/** @param {unknown} [cause] */
const unreadable = (cause) => new RequestError([t("common.offline")], 0, cause);
