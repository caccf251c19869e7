import "../../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { asWished, lifeLines, wishes } = await import("../../../../../ui/tabs/deploy/server_life.js");

const now = () => Date.now() / 1000;
const server = (more = {}) => ({
  state: "running",
  engine: "turbomind",
  reason: null,
  asleep: false,
  crash: null,
  life: { restarts: 3, idle_s: 0, comes_back: false, problem: null },
  ...more,
});
const crash = (more = {}) => ({ at: now() - 65, count: 2, reason: "why", again_at: 0, lines: [], ...more });

test("a calm server says nothing", () => {
  assert.deepEqual(lifeLines(server()), []);
  assert.deepEqual(lifeLines({ ...server(), life: undefined, crash: undefined, asleep: undefined }), []);
});

test("sleep, and why it sleeps no more", () => {
  assert.equal(lifeLines(server({ asleep: true })).length, 1);
  const life = { restarts: 0, idle_s: 0, comes_back: false, problem: "it can't sleep" };
  assert.deepEqual(lifeLines(server({ life })), ["it can't sleep"]);
});

test("a crash: when it is started again, that it isn't, that it was", () => {
  const failed = { state: "failed", reason: "why" };
  const [waiting] = lifeLines(server({ ...failed, crash: crash({ again_at: now() + 11.5 }) }));
  assert.match(waiting, /12 s.*2 of 3/);
  const [over] = lifeLines(server({ ...failed, crash: crash({ again_at: now() - 9 }) }));
  assert.match(over, /\b0 s/);
  assert.match(lifeLines(server({ ...failed, crash: crash() }))[0], /2 times in a row/);
  assert.match(lifeLines(server({ ...failed, crash: crash({ reason: "port taken" }) }))[0], /port taken/);
  const [again] = lifeLines(server({ crash: crash() }));
  assert.match(again, /1 min 5 s.*2 of 3.*why/);
});

test("whose wishes can be kept", () => {
  assert.deepEqual(wishes(server({ engine: "pytorch" })), { kept: true, sleep: true });
  assert.deepEqual(wishes(server()), { kept: true, sleep: false });
  assert.deepEqual(wishes(server({ engine: "transformers" })), { kept: true, sleep: false });
  assert.deepEqual(wishes(server({ engine: "external" })), { kept: false, sleep: false });
});

test("a problem alone is no other wish: the boxes are left as a person types", () => {
  const life = { restarts: 3, idle_s: 60, comes_back: false, problem: null };
  assert.equal(asWished({ life }), asWished({ life: { ...life, problem: "it can't" } }));
  for (const other of [{ restarts: 4 }, { idle_s: 0 }, { comes_back: true }])
    assert.notEqual(asWished({ life }), asWished({ life: { ...life, ...other } }));
});
