/** The Chat tab: figures, the empty conversation, code, and what Gradio's chat components leave out. */

const { register, onSnapshot, address, get, copy, copyButton, el, t } = window.lmConsole;

const MAX_UPLOAD_BYTES = 64 * 2 ** 20; // what the console takes at all (ui/application.py)

/** Calls `draw(value)` with the component's value now and at each change. */
function follow({ props, watch }, draw) {
  const update = () => draw(props.value);
  watch("value", update);
  update();
}

// ---------------------------------------------------------------------------------------------- figures

/** `chat-stats`: {state, data: {name: figure}, label, text}. The data stands on the element itself as data-attributes. */
register("chat-stats", (element, options) => {
  const outer = element.closest("#chat-stats") ?? element;
  const badge = el("span", { class: "badge" });
  const text = el("span", { class: "chat-stats-text" });
  element.replaceChildren(el("div", { class: "chat-stats-line", role: "status", title: t("chat.figure.explain") }, badge, text));
  let names = [];
  follow(options, (value) => {
    const { state = "idle", data = {}, label = t("chat.state.idle"), text: line = "" } = value ?? {};
    for (const name of names) if (!(name in data)) outer.removeAttribute(`data-${name}`);
    names = Object.keys(data);
    for (const name of names) outer.setAttribute(`data-${name}`, data[name]);
    outer.dataset.state = badge.dataset.state = state;
    allowButtons(state);
    badge.textContent = label;
    text.textContent = line;
  });
});

const UNDER_WAY = ["waiting", "streaming"];
let conversation = "idle"; // the state that chat-stats was last given

/** What can be pressed: Stop while an answer is under way, Regenerate and Edit after one, Clear where anything was said. */
function allowButtons(state) {
  conversation = state;
  const underWay = UNDER_WAY.includes(state);
  const allowed = {
    "chat-stop": underWay,
    "chat-regenerate": !underWay && state !== "idle",
    "chat-edit": !underWay && state !== "idle",
    "chat-clear": state !== "idle",
  };
  for (const [id, can] of Object.entries(allowed)) {
    const button = document.getElementById(id);
    if (button && button.disabled === can) button.disabled = !can;
  }
}

// ---------------------------------------------------------------------------------------------- the empty conversation

/** `chat-starter`: what to do next, and samples to begin with. */
register("chat-starter", (element, options) => {
  const outer = element.closest("#chat-starter") ?? element;
  follow(options, (value) => {
    const { shown = false, server = "", pictures = false, starting = false, operator = false, samples = [] } = value ?? {};
    outer.dataset.shown = String(shown);
    if (!shown) {
      element.replaceChildren();
      return;
    }
    element.replaceChildren(server ? ready(server, pictures, samples, options.ask) : nobody(starting, operator));
  });
});

function ready(server, pictures, samples, ask) {
  return el("div", { class: "chat-starter" },
    el("h2", {}, t("chat.starter.title", { name: server })),
    el("p", {}, t("chat.starter.how")),
    pictures ? null : el("p", { class: "chat-text-only" }, t("chat.starter.text_only")),
    el("div", { class: "chat-samples" }, samples.map((sample, index) => el(
      "button",
      { class: "chat-sample", type: "button", dataset: { sample: index }, onclick: () => ask(index) },
      sample.picture
        ? el("img", { src: `./console/chat/sample/${encodeURIComponent(sample.picture)}`, alt: "", loading: "lazy" })
        : null,
      el("span", {}, sample.text),
    ))));
}

function nobody(starting, operator) {
  const how = starting ? "chat.starter.starting" : operator ? "chat.starter.none_operator" : "chat.starter.none_class";
  const deploy = el("button", { class: "button primary", type: "button", onclick: openDeploy }, t("chat.starter.deploy"));
  return el("div", { class: "chat-starter" },
    el("h2", {}, t("chat.starter.none")),
    el("p", {}, t(how)),
    operator ? deploy : null);
}

function openDeploy() {
  document.getElementById("deploy-tab-button")?.click();
}

// ---------------------------------------------------------------------------------------------- code

/** `chat-code`: {python, curl}. */
register("chat-code", (element, options) => {
  follow(options, (value) => {
    const { python = "", curl = "" } = value ?? {};
    if (!python) {
      element.replaceChildren(el("p", { class: "muted" }, t("chat.code.none")));
      return;
    }
    element.replaceChildren(
      el("p", { class: "muted" }, t("chat.code.where")),
      ...[["Python", "python", python], ["curl", "curl", curl]].map(([title, language, code]) => el(
        "section",
        { class: "chat-code" },
        el("div", { class: "chat-code-head" }, el("h3", {}, title), copyButton(code)),
        el("pre", { tabindex: "0", dataset: { language }, "aria-label": title }, code),
      )),
    );
  });
});

// ---------------------------------------------------------------------------------------------- the conversation

const RETRY_MS = [500, 1000, 2000, 5000];
const stream = { grew: () => {}, ended: () => {}, abort: null, boxes: [[], []], stats: { state: "idle" } };

window.lmChat = {
  /** Follows the conversation from now on, until nothing is under way any more. */
  watch,
  /** What the two boxes and the figures show now. */
  shown: () => [...stream.boxes, stream.stats],
};

async function watch() {
  stream.abort?.abort();
  const { signal } = (stream.abort = new AbortController());
  for (let tries = 0; ; tries += 1) {
    try {
      await read(signal, () => { tries = 0; });
      if (!UNDER_WAY.includes(stream.stats.state)) return;
    } catch (problem) {
      if (!signal.aborted) console.info("the conversation's stream broke off", problem);
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]));
    if (signal.aborted) return;
  }
}

/** Reads one stream of lines to its end. The first line is the whole conversation, the others what changed. */
async function read(signal, came) {
  const response = await fetch(address("chat/stream"), { credentials: "same-origin", signal });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let boxes = [[], []];
  let rest = "";
  let last = null;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      last = JSON.parse(line);
      boxes = boxes.map((messages, lane) => changed(messages, last.boxes[lane]));
    }
    if (signal.aborted) return;
    if (lines.length) show(boxes, last);
    came();
  }
  if (last?.problem) stream.ended();
}

/** A box's messages after such a change (ui/tabs/chat/stream.py). */
function changed(messages, { keep, more, grow }) {
  if (more) return more.length || keep < messages.length ? [...messages.slice(0, keep), ...more] : messages;
  const [first, ...others] = messages[keep].content;
  const grown = { ...messages[keep], content: [{ ...first, text: first.text + grow }, ...others] };
  return [...messages.slice(0, keep), grown];
}

function show(boxes, { two, stats }) {
  document.getElementById("chat-boxes")?.toggleAttribute("data-two", two);
  Object.assign(stream, { boxes, stats });
  stream.grew();
}

// ---------------------------------------------------------------------------------------------- the page

/** `chat-page`: tells the console that the page is open and that servers came or went, and names Gradio's buttons. */
register("chat-page", (element, { opened, servers, grew, ended }) => {
  stream.grew = grew;
  stream.ended = ended;
  opened();
  watch();
  let known = null;
  onSnapshot((snapshot) => {
    const now = snapshot.servers.map((server) => `${server.id} ${server.state}`).join("\n");
    if (known !== null && now !== known) servers();
    known = now;
  });
  document.addEventListener("click", copyAnswer);
  for (const type of ["change", "drop", "paste"]) document.addEventListener(type, refuseLarge, true);
  for (const type of ["click", "auxclick"]) document.addEventListener(type, refuseUnsafeLink, true);
  const tab = element.closest(".tabitem") ?? document.body;
  const tidy = () => {
    nameControls(tab);
    disarm(tab);
    allowButtons(conversation);
  };
  new MutationObserver(tidy).observe(tab, { childList: true, subtree: true });
  tidy();
});

// What a model writes is drawn by Gradio, which drops scripts and handlers, but lets a javascript: address through where an
// unclosed <svg> stands before the link. So links here lead to other pages or nowhere.
const PROTOCOLS = ["http:", "https:", "mailto:"];

function isSafe(link) {
  try {
    return PROTOCOLS.includes(new URL(link, document.baseURI).protocol);
  } catch {
    return false;
  }
}

function disarm(root) {
  for (const link of root.querySelectorAll("#chat-boxes [*|href]")) {
    for (const attribute of [...link.attributes]) {
      if (attribute.localName === "href" && !isSafe(attribute.value)) link.removeAttributeNode(attribute);
    }
  }
  for (const element of root.querySelectorAll("#chat-boxes :is(animate, set, foreignObject)")) element.remove();
}

function refuseUnsafeLink(event) {
  const link = event.target.closest?.("#chat-boxes a");
  if (!link) return;
  const address = link.getAttribute("href") ?? link.getAttributeNS("http://www.w3.org/1999/xlink", "href");
  if (address === null || !isSafe(address)) event.preventDefault();
}

async function copyAnswer(event) {
  const button = event.target.closest?.("[data-chat-copy]");
  if (!button) return;
  const { text } = await get(`chat/answer/${button.dataset.chatCopy}`);
  await copy(text, button);
}

/** A file that is larger than the console takes is refused before it is sent, and said so. */
function refuseLarge(event) {
  const files = [...(event.target.files ?? event.dataTransfer?.files ?? event.clipboardData?.files ?? [])];
  const large = files.find((file) => file.size > MAX_UPLOAD_BYTES);
  if (!large || !event.target.closest?.("#chat-input")) return;
  event.stopImmediatePropagation();
  event.preventDefault();
  if (event.type === "change") event.target.value = "";
  say(t("chat.error.upload_size", {
    name: large.name,
    size: `${Math.round(large.size / 2 ** 20)} MiB`,
    limit: `${MAX_UPLOAD_BYTES / 2 ** 20} MiB`,
  }));
}

/** Shows a message where the tab's own messages stand; the next one from the console replaces it. */
function say(text) {
  const place = document.querySelector("#chat-message .prose") ?? document.getElementById("chat-message");
  document.getElementById("chat-message")?.classList.remove("hidden", "hide");
  place?.replaceChildren(el("div", { class: "message-list" },
    el("div", { class: "console-message", role: "alert", dataset: { level: "error", key: "chat.error.upload_size" } }, text)));
}

const NAMES = [
  ["#chat-box [role=log], #chat-box-2 [role=log]", "chat.box.label"],
  ["#chat-input textarea", "chat.input.label"],
  ["#chat-input .upload-button", "chat.input.attach"],
  ["#chat-input .submit-button", "chat.input.send"],
  ["#chat-input .delete-button", "chat.input.remove"],
  ["#chat-input [role=group]", "chat.input.label"],
  ["#chat-input input[type=file]", "chat.input.attach"],
];

/** Gradio names these in English, or not at all. */
function nameControls(root) {
  for (const [selector, key] of NAMES) {
    for (const control of root.querySelectorAll(selector)) {
      const name = t(key);
      if (control.getAttribute("aria-label") !== name) control.setAttribute("aria-label", name);
    }
  }
}
