/**
 * `lmConsole.logView(element, {runId})`: a live view of a run's log.
 *
 * It follows the end until a reader scrolls away, keeps their place, goes back as far as they ask, searches the whole
 * file, copies and saves. It reads by byte offset and holds a bounded number of lines, so that a 100 MB log costs what a
 * small one does. Returns {setRun(runId), destroy()}; `runId` null shows the empty state.
 */

const { el, t, get, link, copyButton } = window.lmConsole;
const EVERY_MS = 1000;
const FAR_BEHIND_BYTES = 512 * 1024; // go on from the end rather than read all that
const MAX_LINES = 4000; // while the end is followed
const READER_LINES = 30000; // while a reader is elsewhere: their view doesn't grow for ever
const encoder = new TextEncoder();

/** What a terminal would show of a line: what the last carriage return left, without colours and cursor moves. */
function shown(raw) {
  const parts = raw.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))/g, "").split("\r");
  return parts.findLast((part) => part.trim() !== "") ?? "";
}

function logView(element, { runId = null } = {}) {
  let run = null;
  let generation = 0; // grows when what is shown begins anew: answers to older questions are dropped
  let working = Promise.resolve(); // one question after another
  let reading = false; // whether the newest text is being asked for already
  let follow = true;
  let first = 0; // byte offset of the first line shown
  let next = 0; // byte offset after the last byte read
  let partial = ""; // the last line, not ended yet
  let fresh = true; // nothing read yet: begin with the log's last part
  let current = null; // the line that the search stands on

  const earlier = el("button", { class: "button small log-earlier", type: "button" }, t("common.log.earlier"));
  const empty = el("p", { class: "muted log-empty" });
  const lines = el("div", { class: "log-lines" });
  const last = el("div", { class: "log-line" });
  const body = el(
    "div",
    { class: "log-body", tabindex: "0", role: "log", "aria-live": "off", "aria-label": t("common.log.name") },
    earlier, empty, lines, last,
  );
  const search = el("input", {
    class: "log-search", type: "search", spellcheck: "false",
    placeholder: t("common.search"), "aria-label": t("common.search"),
  });
  const found = el("span", { class: "muted log-found", role: "status" });
  const save = el("a", { class: "button small log-save", download: "" }, t("common.log.save"));
  const followBox = el("input", { type: "checkbox", checked: true });
  const text = () => [...lines.children, last].map((line) => line.textContent).join("\n").trimEnd();
  const bar = el(
    "div",
    { class: "log-bar" },
    search, found, el("span", { class: "spring" }),
    el("label", { class: "log-follow" }, followBox, t("common.log.follow")),
    copyButton(text, { class: "button small log-copy" }), save,
  );
  element.classList.add("log-view");
  element.replaceChildren(bar, body);

  const matches = (line) => search.value !== "" && line.textContent.toLowerCase().includes(search.value.toLowerCase());
  const ask = (query) => get(`log/${encodeURIComponent(run)}${query}`);

  function lineOf(raw) {
    const line = el("div", { class: "log-line" }, shown(raw));
    line.bytes = encoder.encode(raw).length + 1;
    line.classList.toggle("match", matches(line));
    return line;
  }

  /** Runs `job()` once what runs is done, unless the view has begun anew by then. */
  function alone(job) {
    const mine = generation;
    working = working
      .then(() => (mine === generation ? job(() => mine === generation) : null))
      .catch((error) => {
        if (mine === generation && error.status !== 0) show(error.messages?.join(" ") ?? String(error));
      });
    return working;
  }

  function clear() {
    generation += 1;
    reading = false;
    lines.replaceChildren();
    last.textContent = "";
    partial = "";
    first = next = 0;
    fresh = true;
    current = null;
    show();
  }

  function show(problem = "") {
    const nothing = lines.childElementCount === 0 && last.textContent === "";
    empty.hidden = !nothing;
    empty.textContent = problem || t("common.log.empty");
    earlier.hidden = first === 0;
    save.hidden = run === null;
    const count = lines.getElementsByClassName("match").length;
    if (current === null) found.textContent = search.value ? t("common.log.matches", { count }) : "";
  }

  /** Adds text at the end. Lines leave at the top only while the end is followed, so that a reader's place stays. */
  function addEnd(added) {
    const parts = (partial + added).split("\n");
    partial = parts.pop();
    lines.append(...parts.map(lineOf));
    last.textContent = shown(partial);
    while (follow && lines.childElementCount > MAX_LINES) {
      first += lines.firstElementChild.bytes;
      lines.firstElementChild.remove();
    }
    if (follow) body.scrollTop = body.scrollHeight;
  }

  /** Reads on to the end. */
  async function read() {
    const unseen = document.visibilityState === "hidden" || element.offsetParent === null;
    if (run === null || reading || unseen) return;
    reading = true;
    await alone(async (valid) => {
      try {
        while (follow || lines.childElementCount <= READER_LINES) {
          const chunk = await ask(fresh ? "?before=end" : `?offset=${next}`);
          if (!valid()) return;
          if (chunk.size < next || (follow && !fresh && chunk.size - chunk.next > FAR_BEHIND_BYTES)) {
            clear(); // the next tick begins with the end
            return;
          }
          if (fresh) first = chunk.offset;
          fresh = false;
          next = chunk.next;
          if (chunk.text) addEnd(chunk.text);
          show();
          if (chunk.next >= chunk.size) return;
        }
      } finally {
        if (valid()) reading = false;
      }
    });
  }

  function readEarlier() {
    setFollow(false);
    return alone(async (valid) => {
      if (first === 0) return;
      const chunk = await ask(`?before=${first}`);
      if (!valid()) return;
      const height = body.scrollHeight;
      lines.prepend(...chunk.text.replace(/\n$/, "").split("\n").map(lineOf));
      first = chunk.offset;
      show();
      body.scrollTop += body.scrollHeight - height;
    });
  }

  /** Shows the log from that byte on. */
  async function jump(offset) {
    clear();
    setFollow(false);
    fresh = false;
    first = next = offset;
    await read();
  }

  function setFollow(value) {
    follow = value;
    followBox.checked = value;
    if (value) body.scrollTop = body.scrollHeight;
  }

  function stand(line) {
    current?.classList.remove("current");
    current = line;
    setFollow(false);
    line.classList.add("match", "current");
    line.scrollIntoView({ block: "center" });
    found.textContent = "";
  }

  /** The match before the present one (the one after it with `forward`); what isn't shown is searched by the console. */
  async function step(forward) {
    const all = [...lines.getElementsByClassName("match")];
    const at = current ? all.indexOf(current) : all.length;
    const target = all[at + (forward ? 1 : -1)];
    if (target) return stand(target);
    if (forward) return;
    const mine = generation;
    for (let before = first; before !== null && before > 0; ) {
      found.textContent = "…";
      const result = await ask(`/search?text=${encodeURIComponent(search.value)}&before=${before}`);
      if (mine !== generation) return;
      if (result.matches.length > 0) {
        await jump(result.matches[0].offset);
        if (lines.firstElementChild) stand(lines.firstElementChild);
        return;
      }
      before = result.before;
    }
    found.textContent = t("common.log.none");
  }

  followBox.addEventListener("change", () => setFollow(followBox.checked));
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
    step(event.shiftKey).catch((error) => show(error.messages?.join(" ") ?? String(error)));
  });

  function setRun(id) {
    if (id === run) return;
    run = id;
    clear();
    if (run !== null) save.href = link(`log/${encodeURIComponent(run)}/file`);
    setFollow(true);
    read();
  }

  const ticker = setInterval(read, EVERY_MS);
  show();
  setRun(runId);
  return {
    setRun,
    destroy() {
      clearInterval(ticker);
      generation += 1;
      element.replaceChildren();
    },
  };
}

window.lmConsole.logView = logView;
