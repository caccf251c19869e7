// @ts-check
/** The Chat tab's live part: the conversation, its figures, the empty conversation, code, and what can be pressed. */

import { Bridge } from "../../page/bridge.js";
import { allowButton } from "../../page/cards.js";
import { byId } from "../../page/dom.js";
import { sentences } from "../../page/request.js";
import { onCommand } from "../../page/shortcuts.js";
import { onSnapshot } from "../../page/snapshot.js";
import { allowActions, listenToActions } from "./actions.js";
import { answerTokens } from "./answer_tokens.js";
import { guardAnswers, nameCode } from "./answers.js";
import { codeView } from "./code_view.js";
import { Conversation, isUnderWay } from "./conversation.js";
import { drawerSwitch } from "./drawer.js";
import { nameControls, refuseUnfitFiles, sayProblem } from "./input.js";
import { conversationList } from "./list.js";
import { inTurn } from "./in_turn.js";
import { moreServers } from "./more_servers.js";
import { options } from "./options.js";
import { presets } from "./presets.js";
import { meter, watchInput } from "./meter.js";
import { starter } from "./starter.js";
import { stats } from "./stats.js";
import { fillWindow, sideSwitch } from "./view.js";
import { whenSeen } from "./when_seen.js";

/** @import { AreaScript, GradioElement } from "../../page/types.d.ts" */
/** @import { Value as Targets } from "./more_servers.js" */

const bridge = new Bridge();

const conversation = new Conversation({
  grew({ two, lanes, id, stats: { state } }, tokens) {
    gone = false;
    why.take(tokens);
    const boxes = byId("chat-boxes");
    if (boxes && boxes.dataset.lanes !== String(lanes)) boxes.dataset.lanes = String(lanes);
    boxes?.toggleAttribute("data-two", two);
    tellGrown(!isUnderWay(state));
    if (lanes > 2 || wide) bridge.tell("widened");
    wide = lanes > 2;
    if (id !== drawn) list?.draw();
    drawn = id;
  },
  problem: () => bridge.tell("ended"),
  gone(problem) {
    sayProblem(sentences(problem).join(" "));
    gone = true;
    allowButtons();
  },
});

const tellGrown = whenSeen(() => bridge.tell("grew"));

const why = answerTokens(() => conversation.id);

/** @type {ReturnType<typeof conversationList> | null} */
let list = null;

/** What the list tells and asks. */
const chat = {
  shown: () => conversation.id,
  /** @param {string} id */
  open(id) {
    edited = 0;
    conversation.turnTo(id);
    bridge.tell("show", { id });
    write();
  },
  begin() {
    bridge.tell("clear");
    write();
  },
  /** Another page may have asked something in the conversation that is shown. @param {number} version */
  changed: (version) => conversation.catchUp(version),
};

let wide = false; // a third box is shown
let gone = false; // the conversation that the page shows can't be had any more: a new one can be begun
let wanted = 0; // the exchange that the page asked to edit last
let edited = 0; // the one whose question came into the input last
/** @type {string[]} the starts that are asked one after another */
let runs = [];
let drawn = ""; // the conversation that the list marks
let state = "idle"; // that chat-stats shows
let full = 0; // how much of the context the last answer's prompt and text took, 0…1
/** @type {(value: object) => void} */
let showStats = () => {};
/** @type {(value: object) => void} */
let showMeter = () => {};
let weighed = () => false; // whether what stands in the input shall be weighed; an answer may come too late

/** What can be pressed: Stop while an answer is under way, New where anything was said, Again and Edit after an answer. */
function allowButtons() {
  const underWay = isUnderWay(state);
  byId("chat-ask")?.toggleAttribute("data-under-way", underWay);
  allowButton("chat-stop", underWay);
  allowButton("chat-clear", state !== "idle" || gone);
  const boxes = byId("chat-boxes");
  if (boxes) allowActions(boxes, !underWay);
}

/** The figures, behind the messages that they are of. */
function drawStats() {
  const { stats } = conversation;
  state = stats.state;
  full = Number(stats.data?.["context-share"] ?? 0);
  showStats(stats);
  allowButtons();
}

/** Tells the console that servers came or went. */
function watchServers() {
  /** @type {string | null} */
  let known = null;
  onSnapshot(({ servers }) => {
    const now = servers.map(({ id, state, takes_forms: forms }) => `${id} ${state} ${forms}`).join("\n");
    if (known !== null && now !== known) void arrived().then(() => bridge.tell("servers"));
    known = now;
  });
}

const write = () => byId("chat-input")?.querySelector("textarea")?.focus();

function listenToCommands() {
  onCommand("stop", () => {
    if (isUnderWay(state)) bridge.tell("stop");
  });
  onCommand("new", () => {
    if (state !== "idle") bridge.tell("clear");
    write();
  });
  onCommand("write", write);
}

/** The settings beside the form, and how the page stands: what asks the model something waits until the console has them. */
const told = inTurn((/** @type {object} */ values) => bridge.tell("options", { values }));
const placeTold = inTurn((/** @type {object} */ place) => bridge.tell("at", place));
const arrived = () => Promise.all([told.all(), placeTold.all()]);
/** In the frame that is drawn next; where none is, soon. @param {() => void} draw */
const nextFrame = (draw) => void (document.hidden ? setTimeout(draw) : requestAnimationFrame(draw));

/** @param {string} event @param {object} [data] */
const tellNext = (event, data) => void arrived().then(() => bridge.tell(event, data));

/** @param {string} event @param {{exchange: number}} data */
function act(event, data) {
  if (event === "edit") wanted = data.exchange;
  tellNext(event, data);
}

export const events = {
  /** A question is about to be asked, with these inputs. @param {...unknown} values */
  async asking(...values) {
    await arrived();
    return values;
  },
  optionsArrived: () => told.arrived(),
  placeArrived: () => placeTold.arrived(),
  /** Something may have changed the conversation: it is followed anew. */
  changed: () => conversation.follow(),
  /** A new conversation was begun. */
  begun: () => conversation.turnTo(""),
  /** A question stands in the input, to be edited. */
  write() {
    edited = wanted;
    write();
  },
  /** What is new in the first two boxes. */
  shown() {
    nextFrame(drawStats); // Gradio has drawn the messages by then
    return conversation.news();
  },
  /** The same of the third and fourth. */
  shownBeside: () => conversation.newsBeside(),
};

/** @type {AreaScript["parts"]} */
export const parts = {
  bridge(element, gradio) {
    bridge.attach(element, gradio);
    bridge.tell("opened");
    conversation.follow();
    watchServers();
    refuseUnfitFiles();
    const tab = /** @type {HTMLElement} */ (element.closest(".tabitem") ?? document.body);
    const guard = guardAnswers();
    const written = watchInput(
      () => bridge.tell("weigh"),
      () => showMeter({}),
      () => full,
    );
    weighed = written.wanted;
    listenToActions(
      act,
      () => conversation.id,
      () => conversation.follow(),
    );
    // A console that was started anew knows nothing of this page.
    addEventListener("console-back", () => {
      if (conversation.id) placeTold.tell({ id: conversation.id, edited, runs });
    });
    listenToCommands();
    fillWindow();
    /** @param {Element} part where something changed */
    const tidyText = (part) => {
      guard(part);
      nameCode(part);
    };
    const tidy = () => {
      nameControls(tab);
      tidyText(tab);
      why.mount(tab);
      allowButtons();
      written.look();
    };
    // An answer that grows changes its own text alone, many times a second.
    new MutationObserver((changes) => {
      const texts = new Set(changes.map(({ target }) => textOf(target)));
      if (texts.has(null)) tidy();
      else for (const text of texts) tidyText(/** @type {Element} */ (text));
    }).observe(tab, { childList: true, subtree: true });
    tidy();
  },

  stats(element) {
    showStats = stats(element);
    drawStats();
  },

  meter(element, gradio) {
    showMeter = meter(element);
    follow(gradio, (value) => showMeter(weighed() ? value : {}));
  },

  options(element, gradio) {
    const show = options(element, told.tell);
    addEventListener("console-back", () => show.again());
    follow(gradio, show.draw);
  },

  presets(element, gradio) {
    follow(gradio, presets(element, tellNext));
  },

  more(element, gradio) {
    const show = moreServers(element, (event, data) => bridge.tell(event, data));
    follow(gradio, (/** @type {Targets} */ value) => {
      runs = (value.turn ?? []).map(({ id }) => id);
      show(value);
    });
  },

  view: sideSwitch,
  drawer: drawerSwitch,

  list(element) {
    list = conversationList(element, chat);
  },

  starter(element, gradio) {
    follow(
      gradio,
      starter(element, (index) => void arrived().then(() => bridge.tell("sample", { index }))),
    );
  },

  code(element, gradio) {
    follow(gradio, codeView(element));
  },
};

/** The text of a message that holds this; null where none does. @param {Node} node */
const textOf = (node) => (node instanceof Element ? node.closest("#chat-boxes .md") : null);

/** Calls `draw` with the component's value now and at each change. @param {GradioElement} gradio @param {(value: object) => void} draw */
function follow({ props, watch }, draw) {
  const update = () => draw(typeof props.value === "object" ? (props.value ?? {}) : {});
  watch("value", update);
  update();
}
