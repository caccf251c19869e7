// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { sizeLine, told } from "../../../../../ui/tabs/deploy/get_model.js";
import { progressText } from "../../../../../ui/tabs/deploy/get_model_rows.js";

/** @import { Download } from "../../../../../ui/page/types.d.ts" */

/** @type {Download} */
const DOWNLOAD = {
  id: "1",
  name: "Org/M",
  state: "running",
  source: "hub.example",
  path: "",
  total_bytes: 4 * 2 ** 30,
  done_bytes: 2 ** 30,
  wish: "",
  problem: null,
  position: 0,
  speed: 30 * 2 ** 20,
  remaining_s: 105,
  run_id: "r",
};
const SOURCE = {
  number: 0,
  kind: "huggingface",
  name: "hub.example",
  endpoint: "https://hub.example",
  model: "Org/M",
  speed: 2 ** 20,
  same: true,
  can_give: true,
  problem: null,
  token_helps: false,
  has_token: false,
  licence: "",
  gated: false,
  places: [],
};
const OFFER = {
  id: "1",
  name: "Org/M",
  best: 0,
  size_bytes: 2 ** 30,
  left_bytes: 0,
  files: 3,
  facts: [],
  problem: null,
  verdict: null,
  here: [],
  sources: [SOURCE],
};

test("a row says as much as is known", () => {
  const keys = (/** @type {Partial<Download>} */ changes) => progressText({ ...DOWNLOAD, ...changes }).split(" · ");
  assert.deepEqual(keys({}), ["downloads.done", "downloads.speed", "downloads.left", "hub.example"]);
  assert.deepEqual(keys({ speed: null, remaining_s: null }), ["downloads.done", "hub.example"]);
  assert.deepEqual(keys({ wish: "pause", remaining_s: null }), ["downloads.done", "downloads.stopping", "hub.example"]);
  assert.deepEqual(keys({ state: "queued", position: 2 }), ["downloads.done", "downloads.position", "hub.example"]);
  assert.deepEqual(keys({ done_bytes: 2 ** 32, remaining_s: 0 }), [
    "downloads.done",
    "downloads.finishing",
    "hub.example",
  ]);
  assert.deepEqual(keys({ state: "succeeded", path: "/models/M" }), ["4.0 GiB", "/models/M"]);
  assert.deepEqual(keys({ state: "succeeded", total_bytes: 145_412_407_296, path: "/models/72B" }), [
    "135.4 GiB",
    "/models/72B",
  ]);
  assert.equal(progressText({ ...DOWNLOAD, state: "cancelled" }), "downloads.nothing-left");
});

test("a source says how fast it is", () => {
  assert.equal(told(SOURCE, OFFER), "downloads.speed");
  const two = { ...OFFER, sources: [SOURCE, { ...SOURCE, number: 1 }] };
  assert.equal(told(SOURCE, two), "downloads.speed · downloads.fastest");
  assert.equal(
    told({ ...SOURCE, number: 1, same: false, model: "B/M" }, two),
    "B/M · downloads.speed · downloads.other-files",
  );
  assert.equal(told({ ...SOURCE, problem: "gated", can_give: false, number: 1 }, two), "");
});

test("what is left out is said", () => {
  assert.equal(sizeLine(OFFER), "downloads.card.size");
  assert.equal(sizeLine({ ...OFFER, left_bytes: 1 }), "downloads.card.size downloads.card.left");
});
