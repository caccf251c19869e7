import assert from "node:assert/strict";
import test from "node:test";

import { Selection } from "../../../../ui/page/selection.js";

const items = (...ids) => ids.map((id) => ({ id }));

test("the first, until a person chooses one", () => {
  const selection = new Selection();
  assert.equal(selection.current, null);
  assert.ok(!selection.known);
  selection.show(items("b", "a"));
  assert.equal(selection.current?.id, "b");
  selection.choose("a");
  selection.show(items("c", "b", "a"));
  assert.equal(selection.current?.id, "a");
  selection.choose("");
  assert.equal(selection.current?.id, "c");
});

test("one that isn't there yet is waited for; one that has gone gives way to the first", () => {
  const selection = new Selection();
  selection.show(items("a"));
  selection.choose("new");
  assert.equal(selection.current?.id, "a");
  selection.show(items("new", "a"));
  assert.equal(selection.current?.id, "new");
  selection.show(items("a"));
  assert.equal(selection.current?.id, "a");
});

test("listeners hear of every change, whatever another one does", (t) => {
  t.mock.method(console, "error", () => {});
  const selection = new Selection();
  const seen = [];
  let calls = 0;
  selection.listen(() => {
    calls += 1;
    if (calls > 1) throw new Error("a listener's own");
  });
  selection.listen(() => seen.push(selection.current?.id));
  selection.show(items("a"));
  selection.choose("a");
  assert.deepEqual(seen, [undefined, "a", "a"]);
});
