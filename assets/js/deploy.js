/**
 * The Deploy tab's live part: servers as cards, the chosen one's status, its log. Everything is drawn from the one
 * snapshot; nothing here polls. `window.lmDeploy` is what the tab's Gradio events ask: which server is chosen.
 */

const lm = window.lmConsole;
const { el, t, format, now } = lm;

let servers = null; // null until the first snapshot
let role = "operator";
let chosen = null; // an id that a person chose, or null: the newest
const watchers = new Set();

const selected = () => servers?.find((server) => server.id === chosen) ?? servers?.[0] ?? null;
const byId = (id) => document.getElementById(id);

function select(id) {
  chosen = id || null;
  announce();
}

/** Gradio leaves a read-only textbox with a copy button without a name. */
function nameReadOnly() {
  for (const [id, key] of [["deploy-command", "deploy.command.label"], ["deploy-ssh-line", "deploy.ssh-line.label"]]) {
    byId(id)?.querySelector("textarea, input")?.setAttribute("aria-label", t(key));
  }
}

function allowStop() {
  const server = selected();
  const stop = byId("deploy-stop");
  if (stop) stop.disabled = role !== "operator" || !server || !canStop(server);
}

/** What Gradio draws anew, a folded section that was opened too, comes without these. */
function tidy() {
  nameReadOnly();
  allowStop();
}

function announce() {
  for (const watcher of watchers) watcher();
  tidy();
}

const isExternal = (server) => server.engine === "external";
const isAlive = (server) => ["starting", "running", "stopping", "unreachable"].includes(server.state);
const canStop = (server) => !isExternal(server) && ["starting", "running", "unreachable"].includes(server.state);

/** Which ports are in use: when that changes, the command shown may have to take another. */
const portsInUse = () => servers.filter(isAlive).map((server) => server.port).sort().join();

lm.onSnapshot((snapshot) => {
  const before = servers === null ? null : portsInUse();
  servers = snapshot.servers;
  role = snapshot.role;
  announce();
  if (before !== null && before !== portsInUse() && role === "operator") byId("deploy-look-again")?.click();
});

/** Presses one of the tab's hidden Gradio buttons for that server. */
function press(buttonId, server) {
  select(server.id);
  byId(buttonId)?.click();
}

window.lmDeploy = {
  /** The form changed: its memory plan and its command follow. */
  changed: lm.presses("deploy-plan-refresh", "deploy-changed"),
  /** Another model, or an engine that may need none: its facts follow. */
  modelChanged: lm.presses("deploy-describe"),
  /** Another engine or environment: other fields and choices. */
  engineChanged: lm.presses("deploy-engine-changed"),
  /** Hides the controls that the engine has no use for. */
  fit,
  /** The id of the chosen server, "" without one. */
  selected: () => selected()?.id ?? "",
  /** Chooses a server, which may not be in the snapshot yet; polls at once. */
  select(id) {
    if (id) {
      select(id);
      lm.refresh();
    }
  },
};

// ---------------------------------------------------------------------------------------------- the form

let unused = {}; // by engine, the ids of the elements that it doesn't use
const hiding = document.head.appendChild(el("style", { id: "deploy-hiding" }));

function fit(engine) {
  const ids = unused[engine] ?? [];
  hiding.textContent = ids.length ? `${ids.map((id) => `#${id}`).join(", ")} { display: none !important; }` : "";
}

lm.register("deploy-unused", (element, byEngine) => {
  unused = byEngine;
  fit(Object.keys(unused)[0]); // the engine that the form begins with
  window.lmDeploy.engineChanged();
});

// ---------------------------------------------------------------------------------------------- parts

function when(server) {
  if (server.state === "running" || server.state === "unreachable") {
    return server.ready_at ? t("deploy.server.uptime", { duration: format.duration(now() - server.ready_at) }) : "";
  }
  if (server.state === "starting") {
    return t("deploy.server.loading", { duration: format.duration(now() - server.created_at) });
  }
  return server.ended_at ? t("deploy.server.ended", { duration: format.duration(now() - server.ended_at) }) : "";
}

const stageOf = (server) => server.stage_text || t("deploy.server.stage.unknown");

/** The load's stage and, where the log tells it, its percent. */
function progressBar() {
  const fill = el("span", {});
  const bar = el("div", {
    class: "progress-bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": t("deploy.server.progress"),
  }, fill);
  const stage = el("span", { class: "deploy-stage" });
  const percent = el("span", { class: "deploy-percent" });
  const box = el("div", { class: "deploy-progress", hidden: true }, bar, el("div", { class: "deploy-progress-text" }, stage, percent));
  return {
    box,
    show(server) {
      box.hidden = server.state !== "starting";
      if (box.hidden) return;
      stage.textContent = stageOf(server);
      const known = server.progress !== null && server.progress !== undefined;
      percent.textContent = known ? `${Math.floor(server.progress * 100)}%` : "";
      bar.classList.toggle("unknown", !known);
      fill.style.width = known ? `${server.progress * 100}%` : "";
      if (known) bar.setAttribute("aria-valuenow", Math.floor(server.progress * 100));
      else bar.removeAttribute("aria-valuenow");
    },
  };
}

function fact(name, value, extra = null) {
  return el("div", { dataset: { fact: name } }, el("dt", {}, t(`deploy.server.${name}`)), el("dd", {}, value, extra));
}

function facts(server) {
  const gpus = server.config?.gpus ?? [];
  const where = server.engine === "transformers" ? t("deploy.server.cpu") : gpus.join(", ") || t("deploy.server.first-gpu");
  const open = server.engine === "transformers" && isAlive(server);
  return [
    server.address ? fact("address", el("code", {}, server.address), open ? el("span", { class: "deploy-open" }, t("deploy.server.open")) : null) : null,
    server.model_id ? fact("model-id", el("code", {}, server.model_id)) : null,
    fact("engine", server.engine),
    isExternal(server) ? null : fact("gpu", where),
  ];
}

// ---------------------------------------------------------------------------------------------- cards

function card(server) {
  const name = el("button", { class: "deploy-server-name", type: "button", onclick: () => select(server.id) });
  const badgePlace = el("span", {});
  const time = el("span", { class: "deploy-when" });
  const progress = progressBar();
  const reason = el("p", { class: "deploy-reason", hidden: true });
  const details = el("dl", { class: "deploy-facts" });
  const actions = el("div", { class: "deploy-actions" });
  const error = el("p", { class: "deploy-problem", role: "alert", hidden: true });
  const code = el("div", { class: "deploy-code", hidden: true });
  const element = el(
    "article",
    { class: "card deploy-card", dataset: { serverId: server.id } },
    el("header", {}, name, badgePlace, el("span", { class: "spring" }), time),
    progress.box, reason, details, actions, error, code,
  );
  let drawn = "";

  async function act(path) {
    error.hidden = true;
    try {
      const answer = await lm.post(`servers/${encodeURIComponent(server.id)}/${path}`);
      if (answer?.id) select(answer.id);
    } catch (problem) {
      error.textContent = problem.messages.join(" ");
      error.hidden = false;
    }
  }

  async function showCode() {
    if (!code.hidden) {
      code.hidden = true;
      return;
    }
    error.hidden = true;
    try {
      const { lines, login } = await lm.get(`servers/${encodeURIComponent(server.id)}/code`);
      code.replaceChildren(
        ...Object.entries(lines).map(([kind, text]) => el(
          "div",
          { dataset: { kind } },
          el("div", { class: "deploy-code-head" }, el("span", {}, t(`deploy.code.${kind}`)), lm.copyButton(text)),
          el("pre", { tabindex: "0" }, text),
        )),
        login || !lines.ssh ? null : el("p", { class: "deploy-note" }, t("deploy.code.login")),
      );
      code.hidden = false;
    } catch (problem) {
      error.textContent = problem.messages.join(" ");
      error.hidden = false;
    }
  }

  function action(key, onclick, kind = "") {
    const label = t(`deploy.action.${key}`);
    return el("button", {
      class: `button small ${kind}`, type: "button", dataset: { action: key },
      "aria-label": t("deploy.action.of", { action: label, name: server.name }), onclick,
    }, label);
  }

  function buttons(current) {
    const running = current.state === "running";
    const chat = running ? action("chat", () => press("deploy-chat", current), "primary") : null;
    if (role !== "operator") return [chat];
    const api = t("deploy.action.api");
    return [
      chat,
      canStop(current) ? action("stop", () => act("stop")) : null,
      isAlive(current) || isExternal(current) ? null : action("restart", () => act("restart"), "primary"),
      isExternal(current) ? null : action("log", () => {
        select(current.id);
        byId("deploy-log")?.scrollIntoView({ behavior: "smooth", block: "nearest" });
      }),
      running ? el("a", {
        class: "button small", target: "_blank", rel: "noopener", dataset: { action: "api" },
        href: `./console/servers/${encodeURIComponent(current.id)}/api`,
        "aria-label": t("deploy.action.of", { action: api, name: current.name }),
      }, api) : null,
      running ? action("code", showCode) : null,
      action("edit", () => press("deploy-edit", current)),
      isAlive(current) && !isExternal(current) ? null : action("forget", () => act("forget")),
    ];
  }

  return {
    element,
    tick(current) {
      time.textContent = when(current);
    },
    show(current) {
      element.dataset.state = current.state;
      const isChosen = selected()?.id === current.id;
      element.toggleAttribute("data-chosen", isChosen);
      if (isChosen) name.setAttribute("aria-current", "true");
      else name.removeAttribute("aria-current");
      progress.show(current);
      time.textContent = when(current);
      const key = JSON.stringify([current.name, current.state, current.address, current.model_id, current.reason, role]);
      if (key === drawn) return;
      drawn = key;
      name.textContent = current.name;
      badgePlace.replaceChildren(lm.badge(current.state));
      reason.textContent = current.reason ?? "";
      reason.hidden = !current.reason;
      details.replaceChildren(...facts(current).filter(Boolean));
      const focused = actions.contains(document.activeElement) ? document.activeElement.dataset.action : null;
      actions.replaceChildren(...buttons(current).filter(Boolean));
      if (focused) (actions.querySelector(`[data-action="${focused}"]`) ?? actions.firstElementChild ?? name).focus();
      if (current.state !== "running") code.hidden = true;
    },
  };
}

lm.register("deploy-servers", (element) => {
  const list = el("div", { class: "deploy-cards" });
  const cards = lm.cardList(list, card);
  const empty = el("div", { class: "card deploy-empty" });
  element.replaceChildren(el("h2", { class: "deploy-heading" }, t("deploy.servers.title")), empty, list);

  function draw() {
    if (servers === null) return;
    empty.hidden = servers.length > 0;
    const text = role === "operator" ? "deploy.servers.empty.text" : "deploy.servers.empty.class";
    if (!empty.hidden) {
      empty.replaceChildren(el("strong", {}, t("deploy.servers.empty.title")), el("p", {}, t(text)));
    }
    cards.show(servers);
  }

  watchers.add(draw);
  draw();
  setInterval(() => cards.tick(servers ?? []), 1000);
});

// ---------------------------------------------------------------------------------------------- the chosen server

lm.register("deploy-status", (element) => {
  const root = element.closest("#deploy-status") ?? element;
  const headline = el("div", { class: "deploy-status-head", role: "status" });
  const progress = progressBar();
  const body = el("div", {});
  const time = el("span", { class: "deploy-when" });
  element.replaceChildren(
    el("div", { class: "card" }, el("div", { class: "deploy-status-row" }, headline, el("span", { class: "spring" }), time), progress.box, body),
  );
  let drawn = "";

  function draw() {
    const server = selected();
    root.hidden = !server;
    root.dataset.state = server?.state ?? "";
    root.dataset.serverId = server?.id ?? "";
    if (!server) return;
    root.dataset.progress = server.progress ?? "";
    progress.show(server);
    time.textContent = when(server);
    const key = JSON.stringify([server.id, server.state, server.reason, server.exit_code, server.reason_lines, server.command]);
    if (key === drawn) return;
    drawn = key;
    headline.replaceChildren(el("strong", {}, server.name), lm.badge(server.state), ...ending(server));
    const lines = server.reason_lines ?? [];
    body.replaceChildren(
      ...[
        server.reason ? el("p", { class: "deploy-reason" }, server.reason) : null,
        lines.length ? el("p", { class: "deploy-note" }, t("deploy.status.lines")) : null,
        lines.length ? el("pre", { class: "deploy-reason-lines", tabindex: "0" }, lines.join("\n")) : null,
      ].filter(Boolean),
    );
  }

  watchers.add(draw);
  draw();
  setInterval(() => {
    if (document.visibilityState !== "visible") return;
    tidy();
    const server = selected();
    if (server) time.textContent = when(server);
  }, 1000);
});

function ending(server) {
  const hasCode = server.exit_code !== null && server.exit_code !== undefined && !isAlive(server);
  return [
    hasCode ? el("span", { class: "deploy-when", dataset: { exitCode: server.exit_code } }, t("deploy.status.exit-code", { code: server.exit_code })) : "",
    server.rung ? el("span", { class: "deploy-when" }, t("deploy.status.rung", { rung: server.rung })) : "",
  ];
}

lm.register("deploy-log", (element) => {
  const root = element.closest("#deploy-log") ?? element;
  const title = el("h2", { class: "deploy-heading" });
  const hint = el("p", { class: "deploy-note" });
  const place = el("div", {});
  element.replaceChildren(title, hint, place);
  let view = null;

  function draw() {
    const server = selected();
    root.hidden = role !== "operator" || !server;
    if (root.hidden) return;
    const has = !isExternal(server);
    title.textContent = `${t("deploy.log.title")}: ${server.name}`;
    hint.textContent = has ? "" : t("deploy.log.external");
    hint.hidden = has;
    place.hidden = !has;
    if (!has) return;
    view ??= lm.logView(place);
    view.setRun(server.id);
  }

  watchers.add(draw);
  draw();
});

window.lmDeploy.changed(); // what changed before this script was there
window.lmDeploy.modelChanged();
