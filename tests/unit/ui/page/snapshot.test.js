import { settled } from "../../../support/page.js";

import assert from "node:assert/strict";
import test, { mock } from "node:test";

const { askForSnapshot, createPoll, isSnapshot } = await import("../../../../ui/page/snapshot.js");
const { RequestError } = await import("../../../../ui/page/request.js");

const snapshot = (version, states = [], startedAt = 1) => ({
  version,
  started_at: startedAt,
  role: "operator",
  language: "en",
  servers: states.map((state, index) => ({ id: String(index), state })),
  jobs: [],
  header: { gpus: [] },
  notices: [],
});

/** A poll whose world the test holds in its hands. */
function world(t) {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  t.mock.method(console, "error", () => {});
  const asked = [];
  const reported = [];
  const told = [];
  const held = { visible: true, report: (failures) => reported.push(failures) };
  const poll = createPoll({
    ask: (version) => new Promise((resolve, reject) => asked.push({ version, resolve, reject })),
    visible: () => held.visible,
    report: (failures, problem) => held.report(failures, problem),
    restarted: () => told.push("restarted"),
  });
  return {
    poll,
    told,
    asked,
    reported,
    held,
    /** Lets so much time pass. */
    async pass(ms) {
      mock.timers.tick(ms);
      await settled();
    },
    /** Answers the request under way. */
    async answer(value, next = 1000) {
      asked.at(-1).resolve({ fresh: value, next });
      await settled();
    },
    async fail(problem = new RequestError(["no"], 0)) {
      asked.at(-1).reject(problem);
      await settled();
    },
  };
}

test("it asks again when the console says", async (t) => {
  const { poll, asked, pass, answer } = world(t);
  const seen = [];
  poll.listen(({ version }) => seen.push(version));
  await pass(0);
  assert.deepEqual(
    asked.map(({ version }) => version),
    [null],
  );
  await answer(snapshot("a", ["running"]));
  await pass(999);
  assert.equal(asked.length, 1);
  await pass(1);
  assert.equal(asked.at(-1).version, "a");
  await answer(null);
  await pass(1000);
  await answer(snapshot("b", ["starting"]), 250);
  await pass(250);
  assert.equal(asked.length, 4);
  await answer(snapshot("c", ["running"]), 2500);
  await pass(2499);
  assert.equal(asked.length, 4);
  await pass(1);
  assert.equal(asked.length, 5);
  assert.deepEqual(seen, ["a", "b", "c"]);
});

test("another console answers: that is told before its state", async (t) => {
  const { poll, told, pass, answer } = world(t);
  poll.listen(({ version }) => told.push(version));
  await pass(0);
  for (const [version, startedAt] of Object.entries({ a: 1, b: 1, c: 2 })) {
    await answer(snapshot(version, [], startedAt));
    await pass(1000);
  }
  assert.deepEqual(told, ["a", "b", "restarted", "c"]);
});

test("one request at a time; a refresh meanwhile is the next one, at once", async (t) => {
  const { poll, asked, pass, answer } = world(t);
  poll.listen(() => {});
  await pass(0);
  poll.refresh();
  poll.refresh();
  await pass(5000);
  assert.equal(asked.length, 1);
  await answer(snapshot("a"));
  await pass(0);
  assert.equal(asked.length, 2);
});

test("failed requests are counted, and never the last", async (t) => {
  const { poll, asked, reported, pass, answer, fail } = world(t);
  poll.listen(() => {});
  await pass(0);
  for (let times = 1; times <= 50; times += 1) {
    await fail(times % 2 ? new RequestError(["no"], 0) : new TypeError("something else"));
    await pass(1000);
    assert.equal(asked.length, times + 1);
  }
  assert.deepEqual(reported.slice(0, 3), [1, 2, 3]);
  await answer(snapshot("a"));
  assert.equal(reported.at(-1), 0);
});

test("an exception in a listener or in the report ends neither the poll nor the other listeners", async (t) => {
  const { poll, asked, held, pass, answer } = world(t);
  const seen = [];
  poll.listen(() => {
    throw new Error("a listener's own");
  });
  poll.listen(({ version }) => seen.push(version));
  held.report = () => {
    throw new Error("the report's own");
  };
  await pass(0);
  for (const version of ["a", "b", "c"]) {
    await answer(snapshot(version));
    await pass(1000);
  }
  assert.deepEqual(seen, ["a", "b", "c"]);
  assert.equal(asked.length, 4);
});

test("a snapshot that holds something else inside can't end it", async (t) => {
  const { poll, asked, pass, answer } = world(t);
  poll.listen(({ jobs }) => jobs[0].progress.fraction);
  await pass(0);
  for (const wrong of [{}, { version: "a", servers: null }, [], { ...snapshot("a"), servers: [null] }, 7, "text"]) {
    const before = asked.length;
    await answer(wrong);
    await pass(1000);
    assert.equal(asked.length, before + 1, JSON.stringify(wrong));
  }
});

test("a page that isn't seen asks for nothing, and goes on when it is", async (t) => {
  const { poll, asked, held, pass, answer } = world(t);
  poll.listen(() => {});
  await pass(0);
  await answer(snapshot("a"));
  held.visible = false;
  await pass(60_000);
  assert.equal(asked.length, 1);
  held.visible = true;
  poll.refresh();
  await pass(0);
  assert.equal(asked.length, 2);
});

test("a late listener gets what is known, and one that left gets nothing", async (t) => {
  const { poll, pass, answer } = world(t);
  const seen = [];
  const end = poll.listen(() => seen.push("first"));
  await pass(0);
  await answer(snapshot("a"));
  poll.listen(() => seen.push("second"));
  end();
  await pass(1000);
  await answer(snapshot("b"));
  assert.deepEqual(seen, ["first", "second", "second"]);
});

test("what is no snapshot is a failed request", async (t) => {
  assert.ok(isSnapshot(snapshot("a")));
  const { version, ...versionless } = snapshot("a");
  for (const wrong of [{}, versionless, { ...snapshot("a"), servers: {} }, { ...snapshot("a"), header: null }]) {
    t.mock.method(globalThis, "fetch", async () => new Response(JSON.stringify(wrong)));
    await assert.rejects(askForSnapshot(null), RequestError);
  }
  const headers = { "console-next-ms": "2500" };
  t.mock.method(
    globalThis,
    "fetch",
    async (url) => new Response(JSON.stringify(snapshot(new URL(url).search)), { headers }),
  );
  const { fresh, next } = await askForSnapshot("a b");
  assert.equal(fresh.version, "?since=a%20b");
  assert.equal(next, 2500);
  t.mock.method(globalThis, "fetch", async () => new Response(null, { status: 204, headers }));
  assert.deepEqual(await askForSnapshot("a"), { fresh: null, next: 2500 });
  assert.equal(version, "a");
});
