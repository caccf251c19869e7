import { settled, until } from "../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { latestReply, oneAtATime } = await import("../../../../ui/page/latest_reply.js");
const { RequestError } = await import("../../../../ui/page/request.js");

/** What was asked, taken and said to have failed; each request is answered by the test. */
function world() {
  const [asked, taken, failed] = [[], [], []];
  const ask = (value) => new Promise((resolve, reject) => asked.push({ value, resolve, reject }));
  const look = latestReply(
    ask,
    (reply) => taken.push(reply),
    (problem) => failed.push(problem.status),
    5,
  );
  return { look, asked, taken, failed };
}

test("the newer request's reply counts", async () => {
  const { look, asked, taken } = world();
  const [old, fresh] = [look("a"), look("b")];
  asked[1].resolve("of b");
  asked[0].resolve("of a");
  assert.deepEqual([await old, await fresh], [false, true]);
  assert.deepEqual(taken, ["of b"]);
});

test("one that failed is made again until its reply comes", async () => {
  const { look, asked, taken, failed } = world();
  const first = look("a");
  for (const round of [1, 2]) {
    asked.at(-1).reject(new RequestError(["away"], 0));
    await until(() => asked.length === round + 1);
  }
  assert.equal(await first, false);
  asked.at(-1).resolve("of a");
  await until(() => taken.length === 1);
  assert.deepEqual(
    [asked.map(({ value }) => value), failed],
    [
      ["a", "a", "a"],
      [0, 0],
    ],
  );
});

test("a refusal isn't asked for again, an older request's failure not either", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { look, asked, failed } = world();
  void look("a");
  const newer = look("b");
  asked[0].reject(new RequestError(["away"], 0));
  asked[1].reject(new RequestError(["no"], 409));
  assert.equal(await newer, false);
  t.mock.timers.tick(60_000);
  await settled();
  assert.deepEqual([asked.length, failed], [2, [409]]);
});

test("a page that isn't seen asks again once it is", async (t) => {
  const { look, asked } = world();
  const shown = [];
  t.mock.method(document, "addEventListener", (_, listener) => shown.push(listener));
  document.visibilityState = "hidden";
  void look("a");
  asked[0].reject(new RequestError(["away"], 0));
  await until(() => shown.length === 1);
  shown[0]();
  assert.deepEqual([asked.length, shown.length], [1, 2]);
  document.visibilityState = "visible";
  shown[1]();
  assert.equal(asked.length, 2);
});

test("what is wanted while it goes on is done once more afterwards", async () => {
  const begun = [];
  const act = oneAtATime(() => new Promise((resolve, reject) => begun.push({ resolve, reject })));
  const first = act();
  void act();
  void act();
  assert.equal(begun.length, 1);
  begun[0].resolve();
  await until(() => begun.length === 2);
  begun[1].reject(new Error("no"));
  await assert.rejects(first);
  void act();
  assert.equal(begun.length, 3);
});
