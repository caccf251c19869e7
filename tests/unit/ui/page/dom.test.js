import assert from "node:assert/strict";
import test from "node:test";

import { pieces } from "../../../../ui/page/dom.js";

test("what isn't there is left out, and never written as a word", () => {
  assert.deepEqual(pieces([null, undefined, false]), []);
  assert.deepEqual(pieces([["a", [null, ["b", false]]], 0, "", undefined]), ["a", "b", "0", ""]);
  const node = { nodeType: 1 };
  assert.deepEqual(pieces([node, [node, null]]), [node, node]);
});
