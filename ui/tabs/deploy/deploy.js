// @ts-check
/**
 * The Deploy tab's live part: servers as cards, the chosen one's status, its log. Everything is drawn from the one
 * snapshot; nothing here polls.
 */

import { Bridge, sentWhenBack } from "../../page/bridge.js";
import { mayStop } from "../../page/ask_first.js";
import { allowButton, cardList, cardSection } from "../../page/cards.js";
import { everySecond } from "../../page/clock.js";
import { commandView } from "../../page/command_view.js";
import { byId, el, outer } from "../../page/dom.js";
import { fillLater, later } from "../../page/later.js";
import { logPanel } from "../../page/log_view.js";
import { Selection } from "../../page/selection.js";
import { takeErrands } from "../../page/errands.js";
import { onRemedy, withSettings } from "../../page/remedies.js";
import { change, onSnapshot, refresh } from "../../page/snapshot.js";
import { drawMarks, markChanged } from "./changed_marks.js";
import { t } from "../../page/texts.js";
import { serverCard } from "./server_card.js";
import { storagePanel } from "../../page/storage_panel.js";
import { installationCard, installEngines } from "./installation.js";
import { downloadRows } from "./get_model_rows.js";
import { presetFiles } from "./preset_files.js";
import { endLeftover } from "./leftovers.js";
import { canStop, isAlive, isExternal } from "./server_facts.js";
import { stopToTheEnd } from "./server_end.js";
import { serverStatus } from "./server_status.js";

/** @import { AreaScript, Role, Server } from "../../page/types.d.ts" */
/** @import { Remedy } from "../../page/remedies.js" */

/** The tab's bridge; Gradio gets the id of the chosen server, "" without one. @type {Bridge<string>} */
const bridge = new Bridge();
/** @type {Selection<Server>} */
const servers = new Selection();
/** @type {Role} */
let role = "operator";

const isOperator = () => role === "operator";

/** Gradio leaves a read-only textbox with a copy button without a name. */
function nameReadOnly() {
  byId("deploy-ssh-line")?.querySelector("textarea, input")?.setAttribute("aria-label", t("deploy.ssh-line.label"));
}

/** What Gradio draws anew, a folded section that was opened too, comes without these. */
function tidy() {
  nameReadOnly();
  drawMarks();
  const server = servers.current;
  allowButton("deploy-stop", isOperator() && server !== null && canStop(server));
  // What comes next is the loudest: a chat with what runs, else the start.
  byId("deploy-start-panel")?.toggleAttribute("data-quiet", server !== null && isAlive(server));
}

// ------------------------------------------------------------------------------------- what the servers tell the form

/** Which ports are in use: when that changes, the command shown may have to take another. @param {Server[]} all */
const portsInUse = (all) =>
  all
    .filter(isAlive)
    .map(({ port }) => port)
    .sort()
    .join();

/** What is free now, which the memory plan counts on, changes with these. @param {Server[]} all */
const states = (all) => all.map(({ id, state }) => `${id} ${state}`).join("\n");

/** Calls `changed` when the list's view changes, not at first. @param {(all: Server[]) => string} view @param {() => void} changed */
function whenChanged(view, changed) {
  /** @type {string | null} */
  let before = null;
  return (/** @type {Server[]} */ all) => {
    const now = view(all);
    if (before !== null && before !== now) changed();
    before = now;
  };
}

const lookAgain = whenChanged(portsInUse, () => {
  if (isOperator()) bridge.tell("look_again");
});
const planAgain = whenChanged(states, () => bridge.tell("plan"));
/** The nodes that a proxy can have are the servers there are. */
const nodesAgain = whenChanged(states, () => {
  if (isOperator()) bridge.tell("nodes");
});

onSnapshot((snapshot) => {
  role = snapshot.role;
  servers.show(snapshot.servers);
  lookAgain(snapshot.servers);
  planAgain(snapshot.servers);
  nodesAgain(snapshot.servers);
});

servers.listen(() => {
  bridge.share(servers.current?.id ?? "");
  tidy();
});

/** A start gave the new server's id, which may not be in the snapshot yet. */
bridge.onShared((id) => {
  if (!id) return;
  markChanged([]);
  servers.choose(id);
  refresh();
});

// ------------------------------------------------------------------------------------- the form

const changed = bridge.settled("plan", "preview");
const modelChanged = bridge.settled("describe");
const engineChanged = bridge.settled("engine", "nodes");

const loginSent = sentWhenBack("deploy-ssh", () => bridge.tell("login"));
const patienceSent = sentWhenBack("deploy-ready-timeout", () => bridge.tell("patience"));

/** What the form's Python side told at the start. */
const told = {
  /** By engine, the style that hides the controls that it doesn't use. @type {Record<string, string>} */
  hiding: {},
  /** The form's controls by their settings, in the order of the handlers' arguments. @type {Record<string, string>} */
  controls: {},
  /** The engine that the form begins with. */
  first: "",
};
/** @type {HTMLStyleElement | null} */
let hiding = null;

/** Hides the controls that the engine has no use for. @param {string} engine */
function fit(engine) {
  hiding ??= document.head.appendChild(el("style", { id: "deploy-hiding" }));
  hiding.textContent = told.hiding[engine] ?? "";
  byId("deploy-first-hiding")?.querySelector("style")?.remove();
}

// ------------------------------------------------------------------------------------- remedies

/** @type {Record<string, unknown>} */
let settings = {};

/** @param {Remedy} remedy */
async function applyRemedy({ settings: changes, stop, forget, start, quantize, end, install }) {
  if (install) {
    await installEngines();
    return;
  }
  if (end) {
    if (await endLeftover(end)) changed();
    return;
  }
  if (changes) {
    settings = changes;
    bridge.tell("remedy");
  }
  if (quantize) bridge.tell("quantize");
  if (stop) {
    if (!(await stopToTheEnd(stop, servers.items.find(({ id }) => id === stop)?.name ?? stop))) return;
    if (forget) await change(`servers/${encodeURIComponent(stop)}/forget`).catch(() => null); // then it stays listed
  }
  if (start) bridge.tell("begin");
}

let correction = 0;

/** Fills the form with a server's settings, but for what one of its remedies changes. @param {Server} server @param {number} number */
function correct(server, number) {
  servers.choose(server.id);
  correction = number;
  bridge.tell("correct");
  markChanged((server.remedies?.[number]?.fields ?? []).map((name) => told.controls[name]));
}

/** The id of the server that Stop is for: another may be the chosen one once that is confirmed. */
let stopping = "";

/** Others may be in the middle of an answer. */
async function stopChosen() {
  const server = servers.current;
  if (!server || !(await mayStop(server.id, server.name))) return;
  stopping = server.id;
  bridge.tell("stop");
}

// ------------------------------------------------------------------------------------- models from elsewhere

let folder = "";

/** A model came, or is here already: it is listed, and chosen unless "". @param {string} path */
function got(path) {
  folder = path;
  bridge.tell("got");
}

/** @param {unknown[]} values the form, and the card that the plan is for */
const openGetModel = later(
  () => import("./get_model.js"),
  ({ getModel }, /** @type {unknown[]} */ values) =>
    getModel(values.slice(0, -1), values.at(-1), values[Object.keys(told.controls).indexOf("model")], got),
);

export const events = {
  /** "Get a model" was pressed. @param {...unknown} values the form, and the card that the plan is for */
  getModel: (...values) => void openGetModel(values),
  /** The handler's input: the model to choose. */
  gotModel: () => [folder],
  /** The form changed: its memory plan and its command follow. */
  changed,
  /** Another model, or an engine that may need none: its facts follow. */
  modelChanged,
  /** Another engine or environment: other fields and choices. */
  engineChanged,
  fit,
  loginSent,
  patienceSent,
  /** The machine was looked at again, for there is another engine. */
  looked: () => {
    engineChanged();
    changed();
  },
  /** A remedy's button was pressed: the form as it is to be. @param {...unknown} values */
  withRemedy: (...values) => withSettings(Object.keys(told.controls), values, settings),
  /** The handler's inputs: the chosen server, and which of its remedies. */
  toCorrect: () => [servers.current?.id ?? "", correction],
  /** Stop was pressed. */
  stop: () => void stopChosen(),
  /** The handler's input: the server that was asked about. */
  toStop: () => [stopping],
};

// ------------------------------------------------------------------------------------- the elements

/** @type {AreaScript["parts"]} */
export const parts = {
  bridge(element, gradio) {
    Object.assign(told, gradio.options);
    fit(told.first);
    bridge.attach(element, gradio);
    onRemedy(byId("deploy-tab") ?? document.body, applyRemedy);
    takeErrands("deploy", (what, server) => {
      servers.choose(server);
      if (what === "edit") bridge.tell("edit");
      if (what === "parser") bridge.tell("parser");
      if (what === "logprobs") bridge.tell("logprobs");
    });
    changed(); // what changed before this script was there
    modelChanged();
    engineChanged();
  },

  command(element, gradio) {
    commandView(element, gradio, { title: t("deploy.command.label"), note: t("deploy.command.external") });
  },

  servers(element) {
    const section = cardSection(element, {
      title: t("deploy.servers.title"),
      heading: "deploy-heading",
      list: "deploy-cards",
      empty: "card deploy-empty",
    });
    const cards = cardList(section.list, (/** @type {Server} */ server) =>
      serverCard(server, { bridge, servers, isOperator, correct }),
    );
    servers.listen(() => {
      if (!servers.known) return;
      const text = isOperator() ? "deploy.servers.empty.text" : "deploy.servers.empty.class";
      section.showEmpty(servers.items.length === 0, t("deploy.servers.empty.title"), t(text));
      cards.show(servers.items);
    });
    everySecond(() => cards.tick(servers.items));
  },

  status(element) {
    const status = serverStatus(element, outer(element, "deploy-status"));
    servers.listen(() => status.show(servers.current));
    everySecond(tidy);
  },

  keys(element) {
    fillLater(
      element,
      () => import("./keys.js"),
      ({ keysPanel }) => {
        const panel = keysPanel(element);
        servers.listen(() => panel.show(servers.items.filter(isExternal)));
      },
    );
  },

  downloads(element) {
    downloadRows(element, got);
  },

  installation(element) {
    installationCard(element, () => bridge.tell("installed"));
  },

  storage: storagePanel,

  "preset-files": (element) => presetFiles(element, () => bridge.tell("presets")),

  log(element) {
    const root = outer(element, "deploy-log");
    const hint = el("p", { class: "deploy-note" }, t("deploy.log.external"));
    const panel = logPanel(element, "deploy-heading", true, hint);
    servers.listen(() => {
      const server = servers.current;
      root.hidden = !isOperator() || !server;
      if (!server || root.hidden) return;
      hint.hidden = !isExternal(server);
      panel.show(
        t("common.pair", { label: t("deploy.log.title"), value: server.name }),
        isExternal(server) ? null : server.id,
      );
    });
  },
};
