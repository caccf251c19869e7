import { settled, until } from "../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { outbox } = await import("../../../../ui/page/outbox.js");
const { RequestError } = await import("../../../../ui/page/request.js");

/** Each request is answered by the test. */
function world() {
  const [asked, failed] = [[], []];
  const send = (path, value) => new Promise((resolve, reject) => asked.push({ path, value, resolve, reject }));
  return { asked, failed, box: outbox(send, (problem) => failed.push(problem.status), 5) };
}

test("it is sent until it has arrived, and is known meanwhile", async () => {
  const { asked, failed, box } = world();
  const arrived = box.put("words", "My report");
  asked[0].reject(new RequestError(["away"], 0));
  await until(() => asked.length === 2);
  assert.deepEqual([box.waiting("words"), failed], ["My report", [0]]);
  asked[1].resolve({});
  assert.equal(await arrived, true);
  assert.equal(box.waiting("words"), undefined);
});

test("the last one of an address goes, one at a time", async () => {
  const { asked, failed, box } = world();
  const all = ["a", "ab", "abc"].map((text) => box.put("words", text));
  void box.put("name", "Ann");
  asked[0].reject(new RequestError(["away"], 0));
  await settled();
  asked[2].resolve({});
  assert.deepEqual(await Promise.all(all), [true, true, true]);
  assert.deepEqual(
    asked.map(({ path, value }) => [path, value]),
    [
      ["words", "a"],
      ["name", "Ann"],
      ["words", "abc"],
    ],
  );
  assert.deepEqual(failed, []);
});

test("what is refused isn't sent again, and stays", async () => {
  const { asked, failed, box } = world();
  const arrived = box.put("words", "too long");
  asked[0].reject(new RequestError(["Too long."], 422));
  assert.equal(await arrived, false);
  assert.deepEqual([box.waiting("words"), failed, asked.length], ["too long", [422], 1]);
});
