import assert from "node:assert/strict";
import test from "node:test";

import { decoded, drawnOwners, drawnValue, holders, onGpus } from "../../../../../ui/tabs/vram/rows.js";

const GPUS = decoded([
  12.5,
  4096,
  [[10240, 55, 120, 61, [0, 6144, 3, 1024]], null, [null, null, null, null, []]],
  [3, 512, 0, 2048],
  [[0, 250, 1, 2, 30.5, 4096]],
]);
const HOST = decoded([1, 8192, [], [0, 2048, 1, 1024], [[0, 500, 0, 0, null, 1024]]]);

test("a row's figures have names", () => {
  assert.equal(GPUS.at, 12.5);
  assert.equal(GPUS.machine, 4096);
  assert.deepEqual(GPUS.gpus[0], {
    used: 10240,
    utilization: 55,
    watts: 120,
    celsius: 61,
    shares: new Map([
      [0, 6144],
      [3, 1024],
    ]),
  });
  assert.equal(GPUS.gpus[1], null);
  assert.deepEqual(GPUS.caches.get(0), { usage: 0.25, running: 1, waiting: 2, speed: 30.5, size: 4096 });
});

test("who holds memory", () => {
  assert.deepEqual(holders(GPUS), [0, 3]);
  assert.deepEqual(drawnOwners(GPUS), [0, 3]);
  assert.deepEqual(drawnOwners(HOST), [0, 1]);
  assert.equal(onGpus(GPUS, 0), 6144);
  assert.equal(onGpus(GPUS, 9), 0);
});

test("what a trace draws, in GiB", () => {
  const drawn = (row, gpu, kind, owner = -1) => drawnValue({ gpu, owner, kind }, row);
  assert.equal(drawn(GPUS, 0, "others"), 3); // 10 − 6 − 1
  assert.equal(drawn(GPUS, 0, "share", 0), 3); // 6, of which 3 are empty cache
  assert.equal(drawn(GPUS, 0, "cache", 0), 3);
  assert.equal(drawn(GPUS, 0, "share", 3), 1);
  assert.equal(drawn(GPUS, 0, "cache", 3), 0);
  assert.equal(drawn(GPUS, 0, "utilization"), 55);
  assert.equal(drawn(HOST, -1, "others"), 5);
  assert.equal(drawn(HOST, -1, "share", 0), 2); // on the machine's memory a cache has no part of its own
});

test("what couldn't be read is a gap", () => {
  for (const gpu of [1, 2, 7]) {
    for (const kind of ["share", "cache", "others", "utilization"]) {
      assert.equal(drawnValue({ gpu, owner: 0, kind }, GPUS), null, `${gpu} ${kind}`);
    }
  }
});

test("an empty cache is never more than its owner's share", () => {
  const row = decoded([0, 1, [[4096, 0, 0, 0, [0, 1024]]], [], [[0, 0, 0, 0, null, 9999]]]);
  assert.equal(drawnValue({ gpu: 0, owner: 0, kind: "cache" }, row), 1);
  assert.equal(drawnValue({ gpu: 0, owner: 0, kind: "share" }, row), 0);
});
