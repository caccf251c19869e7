import "../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { later } = await import("../../../../ui/page/later.js");

/** A module that comes when it is told to. */
function loading() {
  const asked = [];
  const load = () => new Promise((resolve, reject) => asked.push({ resolve, reject }));
  return { asked, load };
}

test("a press is answered when the module is there", async () => {
  const { asked, load } = loading();
  const seen = [];
  const press = later(load, (module, value) => seen.push([module, value]));
  const done = press(1);
  assert.deepEqual(seen, []);
  asked[0].resolve("module");
  await done;
  assert.deepEqual(seen, [["module", 1]]);
});

test("of several presses meanwhile the last counts, once", async () => {
  const { asked, load } = loading();
  const seen = [];
  const press = later(load, (_, value) => seen.push(value));
  const first = press(1);
  await press(2);
  await press(3);
  asked[0].resolve({});
  await first;
  assert.equal(asked.length, 1);
  assert.deepEqual(seen, [3]);
  const again = press(4);
  asked[1].resolve({});
  await again;
  assert.deepEqual(seen, [3, 4]);
});

test("where it doesn't come, that is said, and another try does what was pressed", async () => {
  const { asked, load } = loading();
  const seen = [];
  const tries = [];
  const press = later(
    load,
    (_, value) => seen.push(value),
    (again) => tries.push(again),
  );
  const done = press("it");
  asked[0].reject(new Error("no connection"));
  await done;
  assert.equal(tries.length, 1);
  tries[0]();
  asked[1].resolve({});
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(seen, ["it"]);
});
