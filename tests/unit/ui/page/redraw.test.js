import assert from "node:assert/strict";
import test from "node:test";

import { whenChanged } from "../../../../ui/page/redraw.js";

test("what hasn't changed isn't drawn again", () => {
  const drawn = [];
  const draw = whenChanged((value) => drawn.push(value));
  for (const value of [{ a: 1 }, { a: 1 }, { a: 2 }, { a: 1 }, []]) draw(value);
  assert.deepEqual(drawn, [{ a: 1 }, { a: 2 }, { a: 1 }, []]);
});
