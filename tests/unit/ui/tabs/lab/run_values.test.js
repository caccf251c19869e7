import assert from "node:assert/strict";
import test from "node:test";

import "../../../../support/page.js";

const { chosenColumns, facts, keepColumns, read, USUAL } = await import("../../../../../ui/tabs/lab/run_values.js");
const { path, span, ticks } = await import("../../../../../ui/tabs/lab/plot.js");
const { seriesOf } = await import("../../../../../ui/tabs/lab/history.js");

const GIB = 2 ** 30;

test("what isn't known is a dash, the rest has its unit", () => {
  assert.equal(read("tokens", null), "–");
  assert.equal(read("kv_bytes", 3 * GIB), "3.0 GiB");
  assert.equal(read("ttft_ms", 123.4), "123 ms");
  assert.equal(read("load_s", 9.25), "9.3 s");
  assert.equal(read("state", "failed"), "failed");
});

test("rows are compared by every setting, and what differs is marked", () => {
  const row = (id, quant_policy, kv_bytes) => ({
    id,
    kind: "server",
    state: "stopped",
    name: id,
    note: "",
    kv_bytes,
    detail: { config: { quant_policy, tp: 1, extra: [] }, planned: { kv_bytes: GIB }, reason: null },
  });
  const found = new Map(facts([row("a", 0, GIB), row("b", 4, GIB)]).map(([name, ...rest]) => [name, rest]));
  assert.deepEqual(found.get("Settings: quant_policy"), [["0", "4"], true]);
  assert.deepEqual(found.get("Settings: tp"), [["1", "1"], false]);
  assert.deepEqual(found.get("KV cache"), [["1.0 GiB", "1.0 GiB"], false]);
  assert.ok(!found.has("Settings: extra"));
  assert.ok(!found.has("Why it ended"));
});

test("the columns that a person chose are kept, what is spoilt isn't", () => {
  const kept = new Map();
  const store = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) };
  Object.defineProperty(globalThis, "localStorage", { value: store, configurable: true });
  assert.deepEqual(chosenColumns(), USUAL);
  keepColumns(["name", "tokens"]);
  assert.deepEqual(chosenColumns(), ["name", "tokens"]);
  for (const bad of ["{", "[]", '["nothing"]', "7"]) {
    kept.set("lab-columns", bad);
    assert.deepEqual(chosenColumns(), USUAL);
  }
});

test("axes have round places, whatever is drawn on them", () => {
  assert.deepEqual(ticks(0, 100, 5), [0, 20, 40, 60, 80, 100]);
  assert.deepEqual(ticks(0, 0), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks(Number.NaN, 3), [0, 1]);
  for (const [low, high] of [
    [0.001, 0.0037],
    [-5, 12],
    [9.99e9, 1.2e10],
    [7, 7],
  ]) {
    const places = ticks(low, high);
    assert.ok(
      places[0] <= low + 1e-9 && places[places.length - 1] >= high - 1e-9 && places.length < 12,
      `${low} ${high}`,
    );
  }
  assert.equal(span([3, 10], { name: "" })[0], 0);
  assert.ok(span([90, 100], { name: "" })[0] > 0);
});

test("a hole in the history interrupts its line", () => {
  const value = (used) => ({
    host: 1,
    gpus: { 0: [used, 50] },
    shares: { s: used },
    servers: {},
    names: { s: "demo" },
  });
  const rows = [
    [0, value(1)],
    [10, value(2)],
    [100, value(3)],
  ];
  const series = seriesOf({ step: 10, rows }, "memory");
  assert.deepEqual(
    series.map(({ name }) => name),
    ["GPU 0", "demo"],
  );
  assert.deepEqual(series[1].points, [
    [0, 1],
    [10, 2],
    [20, null],
    [100, 3],
  ]);
  const same = (place) => place;
  assert.equal(path(series[1].points, same, same), "M0 1 L10 2 M100 3");
});
