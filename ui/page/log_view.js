// @ts-check
/**
 * A live view of a run's log. It follows the end until a reader scrolls away, keeps their place, goes back as far as
 * they ask, searches the whole file, copies and saves. It holds a bounded number of lines, so that a 100 MB log costs
 * what a small one does.
 */

import { copyButton } from "./clipboard.js";
import { el, fill } from "./dom.js";
import { isChunk, LogPages, shown } from "./log_pages.js";
import { get, link, RequestError, sentences } from "./request.js";
import { t } from "./texts.js";

/** @import { LogChunk, LogMatches } from "./types.d.ts" */

const EVERY_MS = 1000;
const SILENCE_MS = 5000; // then it is asked again
const FAR_BEHIND_BYTES = 512 * 1024; // go on from the end rather than read all that
const MAX_LINES = 4000; // while the end is followed
const READER_LINES = 30000; // while a reader is elsewhere: their view doesn't grow for ever

/**
 * Fills the element. `setRun(null)` shows the empty state. `own`: the console asks whoever writes this log how it is, and
 * those lines are left out until they are asked for.
 *
 * @param {HTMLElement} element
 * @param {boolean} [own]
 */
export function logView(element, own = false) {
  /** @type {string | null} */
  let run = null;
  let pages = new LogPages();
  let generation = 0; // grows when what is shown begins anew: answers to older questions are dropped
  let working = Promise.resolve(); // one question after another
  let reading = false; // whether the newest text is being asked for already
  let follow = true;
  let fresh = true; // nothing read yet: begin with the log's last part
  /** @type {Element | null} */
  let current = null; // the line that the search stands on

  const earlier = el("button", { class: "button small log-earlier", type: "button" }, t("common.log.earlier"));
  const empty = el("p", { class: "muted log-empty" });
  const lines = el("div", { class: "log-lines" });
  const last = el("div", { class: "log-line" });
  const body = el(
    "div",
    { class: "log-body", tabindex: "0", role: "log", "aria-live": "off", "aria-label": t("common.log.name") },
    earlier,
    empty,
    lines,
    last,
  );
  const search = el("input", {
    class: "log-search",
    type: "search",
    spellcheck: "false",
    placeholder: t("common.search"),
    "aria-label": t("common.search"),
  });
  const found = el("span", { class: "muted log-found", role: "status" });
  const save = el("a", { class: "button small log-save", download: "" }, t("common.log.save"));
  const followBox = el("input", { type: "checkbox", checked: true });
  const ownBox = el("input", { type: "checkbox" });
  const ownLabel = el("label", { class: "log-follow log-own" }, ownBox, t("common.log.own"));
  const bar = el(
    "div",
    { class: "log-bar" },
    search,
    found,
    el("span", { class: "spring" }),
    own ? ownLabel : null,
    el("label", { class: "log-follow" }, followBox, t("common.log.follow")),
    copyButton(text, { class: "button small log-copy" }),
    save,
  );
  element.classList.add("log-view");
  fill(element, bar, body);

  function text() {
    const all = [...lines.children, last].map((line) => line.textContent);
    return all.join("\n").trimEnd();
  }

  /** @param {Element} line */
  const matches = (line) =>
    search.value !== "" && (line.textContent ?? "").toLowerCase().includes(search.value.toLowerCase());

  /** @param {string} raw */
  function lineOf(raw) {
    const line = el("div", { class: "log-line" }, shown(raw));
    line.classList.toggle("match", matches(line));
    return line;
  }

  /** @param {string} query @returns {Promise<LogChunk>} */
  async function askChunk(query) {
    const quiet = own && !ownBox.checked ? "&own=0" : "";
    const chunk = await get(`log/${encodeURIComponent(run ?? "")}?${query}${quiet}`, { silence: SILENCE_MS });
    if (!isChunk(/** @type {object} */ (chunk))) throw new RequestError([t("common.offline")], 0);
    return /** @type {LogChunk} */ (chunk);
  }

  /** @param {unknown} problem */
  function showProblem(problem) {
    const passing = problem instanceof RequestError && problem.status === 0; // the page's poll says so
    if (!passing) show(sentences(problem).join(" "));
  }

  /**
   * Runs `job` once what runs is done, unless the view has begun anew by then.
   *
   * @param {(valid: () => boolean) => Promise<void>} job
   */
  function alone(job) {
    const mine = generation;
    const valid = () => mine === generation;
    working = working
      .then(() => (valid() ? job(valid) : undefined))
      .catch((problem) => {
        if (valid()) showProblem(problem);
      });
    return working;
  }

  /** @param {number | null} [offset] where to begin; null: with the log's last part */
  function clear(offset = null) {
    generation += 1;
    reading = false;
    fresh = offset === null;
    pages = new LogPages(offset ?? 0);
    lines.replaceChildren();
    last.textContent = "";
    current = null;
    show();
  }

  /** @param {string} [problem] */
  function show(problem = "") {
    const nothing = lines.childElementCount === 0 && last.textContent === "";
    empty.hidden = !nothing;
    empty.textContent = problem || t("common.log.empty");
    earlier.hidden = pages.first === 0;
    save.hidden = run === null;
    const count = lines.getElementsByClassName("match").length;
    if (current === null) found.textContent = search.value ? t("common.log.matches", { count }) : "";
  }

  /**
   * Adds text at the end. Lines leave at the top only while the end is followed, so that a reader's place stays.
   *
   * @param {LogChunk} chunk
   */
  function addEnd(chunk) {
    lines.append(...pages.append(chunk).map(lineOf));
    last.textContent = shown(pages.partial);
    if (!follow) return;
    for (let gone = pages.trim(MAX_LINES); gone > 0; gone -= 1) lines.firstElementChild?.remove();
    body.scrollTop = body.scrollHeight;
  }

  /** Reads on to the end. */
  async function read() {
    const unseen = document.visibilityState === "hidden" || element.offsetParent === null;
    if (run === null || reading || unseen) return;
    reading = true;
    await alone(async (valid) => {
      try {
        while (follow || lines.childElementCount <= READER_LINES) {
          const chunk = await askChunk(fresh ? "before=end" : `offset=${pages.next}`);
          if (!valid()) return;
          if (chunk.size < pages.next || (follow && !fresh && chunk.size - chunk.next > FAR_BEHIND_BYTES)) {
            clear(); // the next tick begins with the end
            return;
          }
          if (fresh || chunk.text) addEnd(chunk);
          fresh = false;
          show();
          if (chunk.next >= chunk.size || chunk.next <= chunk.offset) return;
        }
      } finally {
        if (valid()) reading = false;
      }
    });
  }

  function readEarlier() {
    setFollow(false);
    return alone(async (valid) => {
      if (pages.first === 0) return;
      const chunk = await askChunk(`before=${pages.first}`);
      if (!valid()) return;
      const height = body.scrollHeight;
      lines.prepend(...pages.prepend(chunk).map(lineOf));
      show();
      body.scrollTop += body.scrollHeight - height;
    });
  }

  /** Shows the log from that byte on. @param {number} offset */
  async function jump(offset) {
    clear(offset);
    setFollow(false);
    await read();
  }

  /** @param {boolean} value */
  function setFollow(value) {
    follow = value;
    followBox.checked = value;
    if (value) body.scrollTop = body.scrollHeight;
  }

  /** @param {Element} line */
  function stand(line) {
    current?.classList.remove("current");
    current = line;
    setFollow(false);
    line.classList.add("match", "current");
    line.scrollIntoView({ block: "center" });
    found.textContent = "";
  }

  /**
   * The match before the present one (the one after it with `forward`); what isn't shown is searched by the console.
   *
   * @param {boolean} forward
   */
  async function step(forward) {
    const all = [...lines.getElementsByClassName("match")];
    const at = current ? all.indexOf(current) : all.length;
    const target = all[at + (forward ? 1 : -1)];
    if (target) return stand(target);
    if (forward) return;
    const mine = generation;
    const { value: wanted } = search;
    const [of, text] = [run ?? "", wanted].map(encodeURIComponent);
    const searched = () => search.value === wanted; // else what is found is no answer to what stands there
    /** @type {number | null} */
    let before = pages.first;
    while (before !== null && before > 0) {
      found.textContent = "…";
      const path = `log/${of}/search?text=${text}&before=${before}`;
      const result = /** @type {LogMatches} */ (await get(path));
      if (mine !== generation || !searched()) return;
      if (result.matches.length > 0) {
        await jump(result.matches[0].offset);
        if (searched() && lines.firstElementChild) stand(lines.firstElementChild);
        return;
      }
      before = result.before;
    }
    found.textContent = t("common.log.none");
  }

  followBox.addEventListener("change", () => setFollow(followBox.checked));
  ownBox.addEventListener("change", () => {
    clear();
    setFollow(true);
    read();
  });
  earlier.addEventListener("click", readEarlier);
  let top = 0;
  body.addEventListener("scroll", () => {
    const atEnd = body.scrollHeight - body.scrollTop - body.clientHeight < 8;
    const down = body.scrollTop > top; // text that comes or goes moves the end, but isn't a reader's scrolling
    top = body.scrollTop;
    if (follow && !down && !atEnd) setFollow(false);
    else if (!follow && down && atEnd && !current) setFollow(true);
  });
  search.addEventListener("input", () => {
    current?.classList.remove("current");
    current = null;
    for (const line of lines.children) line.classList.toggle("match", matches(line));
    show();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || search.value === "" || run === null) return;
    event.preventDefault();
    const { value } = search;
    step(event.shiftKey).catch((problem) => {
      if (search.value === value) found.textContent = sentences(problem).join(" ");
    });
  });
  setInterval(read, EVERY_MS);
  show();

  return {
    /** @param {string | null} id */
    setRun(id) {
      if (id === run) return;
      run = id;
      clear();
      if (run !== null) save.href = link(`log/${encodeURIComponent(run)}/file`);
      setFollow(true);
      read();
    },
  };
}

/**
 * A log view under a heading, made when there is something to show.
 *
 * @param {HTMLElement} element
 * @param {string} headingClass
 * @param {boolean} own as for `logView`
 * @param {...Node} between what stands between heading and log
 */
export function logPanel(element, headingClass, own, ...between) {
  const title = el("h2", { class: headingClass });
  const place = el("div");
  fill(element, title, between, place);
  /** @type {ReturnType<typeof logView> | null} */
  let view = null;
  return {
    /** @param {string} heading @param {string | null} run null: nothing to show of it */
    show(heading, run) {
      title.textContent = heading;
      place.hidden = run === null;
      if (run === null) return;
      view ??= logView(place, own);
      view.setRun(run);
    },
  };
}
