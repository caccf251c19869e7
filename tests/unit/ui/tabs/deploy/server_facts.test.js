import "../../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { canStop, isAlive, isExternal, when } = await import("../../../../../ui/tabs/deploy/server_facts.js");

const STATES = ["starting", "running", "stopping", "stopped", "failed", "unreachable"];
const ago = (seconds) => Date.now() / 1000 - seconds;
const server = (state, more = {}) => ({
  state,
  engine: "pytorch",
  created_at: ago(65),
  ready_at: 0,
  ended_at: 0,
  ...more,
});

test("what can be stopped: what runs, and is the console's own", () => {
  assert.deepEqual(
    STATES.filter((state) => canStop(server(state))),
    ["starting", "running", "unreachable"],
  );
  assert.deepEqual(
    STATES.filter((state) => canStop(server(state, { engine: "external" }))),
    [],
  );
  assert.deepEqual(
    STATES.filter((state) => !isAlive(server(state))),
    ["stopped", "failed"],
  );
  assert.ok(isExternal(server("running", { engine: "external" })));
});

test("since when", () => {
  assert.match(when(server("starting")), /1 min 5 s/);
  assert.match(when(server("running", { ready_at: ago(7200) })), /2 h/);
  assert.match(when(server("unreachable", { ready_at: ago(3) })), /3 s/);
  assert.match(when(server("failed", { ended_at: ago(86400) })), /1 d/);
  assert.equal(when(server("running")), "");
  assert.equal(when(server("stopped")), "");
});
