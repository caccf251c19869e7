import "../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { duration, gib, number, shortGib, size, sizesUpTo } = await import("../../../../ui/page/format.js");

test("bytes as GiB", () => {
  for (const [bytes, text] of [
    [0, "0.0 GiB"],
    [2 ** 30, "1.0 GiB"],
    [1.234 * 2 ** 30, "1.23 GiB"],
    [12.34 * 2 ** 30, "12.3 GiB"],
    [2048 * 2 ** 30, "2,048.0 GiB"],
    [null, "–"],
    [undefined, "–"],
  ]) {
    assert.equal(gib(bytes), text);
  }
  assert.equal(shortGib(23.5 * 2 ** 30), "23.5");
});

test("sizes of files", () => {
  for (const [bytes, text] of [
    [0, "0 MiB"],
    [1, "< 0.1 MiB"],
    [2 ** 20 / 10, "0.1 MiB"],
    [5.25 * 2 ** 20, "5.3 MiB"],
    [2 ** 30 - 1, "1,024 MiB"],
    [2 ** 30, "1.0 GiB"],
    [12.34 * 2 ** 30, "12.3 GiB"],
  ]) {
    assert.equal(size(bytes), text);
  }
});

test("sizes that stand together have one unit", () => {
  const small = sizesUpTo(1.5 * 2 ** 20);
  assert.equal(small(1.5 * 2 ** 20), "1.5 MiB");
  assert.equal(small(2 ** 20 / 32), "0.031 MiB");
  assert.equal(small(0), "0 MiB");
  assert.equal(small(12), "< 0.001 MiB");
  const large = sizesUpTo(14.4 * 2 ** 30);
  assert.equal(large(14.4 * 2 ** 30), "14.4 GiB");
  assert.equal(large(5.25 * 2 ** 30), "5.25 GiB");
  assert.equal(large(30 * 2 ** 20), "0.029 GiB");
});

test("seconds as two units at most", () => {
  for (const [seconds, text] of [
    [0, "0 s"],
    [0.4, "0 s"],
    [-3, "0 s"],
    [45, "45 s"],
    [59.6, "1 min"],
    [60, "1 min"],
    [200, "3 min 20 s"],
    [3600, "1 h"],
    [3605, "1 h"],
    [7500, "2 h 5 min"],
    [86400 * 3 + 4 * 3600 + 59, "3 d 4 h"],
    [NaN, "–"],
    [Infinity, "–"],
    [null, "–"],
    [undefined, "–"],
  ]) {
    assert.equal(duration(seconds), text, String(seconds));
  }
});

test("numbers", () => {
  assert.equal(number(1234.56), "1,234.6");
  assert.equal(number(1234.56, 0), "1,235");
  assert.equal(number(0), "0");
  assert.equal(number(null), "–");
});
