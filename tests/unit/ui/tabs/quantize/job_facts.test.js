import "../../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { isLive, percent, spokenOf, stageText, timing } = await import("../../../../../ui/tabs/quantize/job_facts.js");
const { usualError, worstLayers } = await import("../../../../../ui/tabs/quantize/job_result.js");

const job = (state, more = {}) => ({
  id: "1",
  name: "tiny",
  state,
  stage_text: "",
  started_at: 0,
  ended_at: 0,
  ...more,
});

test("shares are told in percent", () => {
  assert.equal(percent(0.1234), "12.3");
});

test("what stands beside the state", () => {
  assert.match(timing(job("queued", { position: 2, slot: "cpu" })), /2.*CPU|CPU.*2/);
  assert.match(timing(job("queued", { position: 1, slot: "0" })), /GPU 0/);
  assert.match(timing(job("running", { remaining_s: 90 })), /1 min 30 s/);
  assert.match(timing(job("running", { remaining_s: null, started_at: Date.now() / 1000 - 60 })), /1 min/);
  assert.equal(timing(job("running", { remaining_s: null })), "");
  assert.match(timing(job("succeeded", { started_at: 100, ended_at: 145 })), /45 s/);
  assert.equal(timing(job("cancelled", { ended_at: 145 })), "");
});

test("which jobs can be cancelled", () => {
  const live = ["queued", "running", "succeeded", "failed", "cancelled", "interrupted"].filter((s) => isLive(job(s)));
  assert.deepEqual(live, ["queued", "running"]);
});

test("the stage with what is counted in it", () => {
  const progress = { stage: "calibrate", fraction: 0.1, done: 3, of: 24, peak_gpu_bytes: 0 };
  assert.match(stageText(job("running", { stage_text: "calibrating", progress })), /^calibrating, .*3.*24/);
  assert.equal(stageText(job("running", { stage_text: "loading", progress: { ...progress, of: 0 } })), "loading");
  assert.equal(stageText(job("queued")), "");
});

test("within a layer the sample is told, and the layer that is under way", () => {
  const progress = { stage: "calibrate", fraction: 0.2, done: 0, of: 6, peak_gpu_bytes: 0, sample: 37, samples: 128 };
  const text = stageText(job("running", { stage_text: "calibrating", progress }));
  assert.match(text, /^calibrating.*1.*6.*37.*128/);
});

test("the layers of the largest errors", () => {
  const errors = [0.1, 0.4, 0.2, 0.3, 0.05, 0.06, 0.07, 0.08].map((error, layer) => ({ layer, error }));
  assert.deepEqual(
    worstLayers(errors).map(({ layer }) => layer),
    [1, 3],
  );
  assert.equal(worstLayers([]).length, 0);
  assert.equal(worstLayers(errors.slice(0, 1)).length, 1);
  assert.equal(worstLayers(Array(40).fill(errors[0])).length, 3);
});

test("what error of a layer is usual depends on the method", () => {
  assert.equal(usualError(job("succeeded")), 10);
  assert.equal(usualError(job("succeeded", { config: { method: "awq", quant_dtype: "int8" } })), 10);
  assert.equal(usualError(job("succeeded", { config: { method: "smooth_quant", quant_dtype: "int8" } })), 1);
  assert.equal(usualError(job("succeeded", { config: { method: "smooth_quant", quant_dtype: "fp8" } })), 3);
});

test("what is read aloud of a job changes with its state, not with each second", () => {
  const running = { name: "m", state: "running", started_at: Date.now() / 1000 - 5, remaining_s: 60 };
  const said = spokenOf(running);
  assert.equal(spokenOf({ ...running, remaining_s: 30 }), said);
  assert.equal(spokenOf({ ...running, remaining_s: null, started_at: 1 }), said);
  const done = { ...running, state: "succeeded", started_at: 100, ended_at: 160 };
  assert.notEqual(spokenOf(done), spokenOf({ ...done, ended_at: 500 }));
});
