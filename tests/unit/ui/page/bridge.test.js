import { settled } from "../../../support/page.js";

import assert from "node:assert/strict";
import test from "node:test";

const { Bridge, createMeeting, sentWhenBack } = await import("../../../../ui/page/bridge.js");

/** Gradio's side of an element. */
function gradio() {
  const told = [];
  let changed = () => {};
  return {
    told,
    element: { classList: { remove() {} }, closest: () => null },
    options: {},
    props: { value: "" },
    trigger: (event, data) => told.push([event, data]),
    watch: (_, callback) => (changed = callback),
    /** A handler gave the bridge that value. */
    give(value) {
      this.props.value = value;
      changed();
    },
  };
}

test("an area's script is loaded once, when its first element is there", async () => {
  const loaded = [];
  const mounted = [];
  const meeting = createMeeting(async (area) => {
    loaded.push(area);
    return { parts: { status: () => mounted.push("status"), log: () => mounted.push("log") } };
  });
  assert.deepEqual(loaded, []);
  await Promise.all([meeting.mount("deploy", "status", gradio()), meeting.mount("deploy", "log", gradio())]);
  assert.deepEqual([loaded, mounted], [["deploy"], ["status", "log"]]);
});

test("what is told before is heard afterwards, the last of each name", async () => {
  const heard = [];
  const meeting = createMeeting(async () => ({
    parts: { status() {} },
    events: {
      changed: (...values) => heard.push(["changed", ...values]),
      fit: (...values) => heard.push(["fit", ...values]),
    },
  }));
  assert.equal(await meeting.hear("deploy", "changed", [1]), undefined);
  await meeting.hear("deploy", "changed", [2]);
  await meeting.hear("deploy", "fit", ["turbomind"]);
  await meeting.hear("quantize", "changed", [9]);
  await meeting.mount("deploy", "status", gradio());
  assert.deepEqual(heard, [
    ["changed", 2],
    ["fit", "turbomind"],
  ]);
});

test("an answer goes back to Gradio", async () => {
  const meeting = createMeeting(async () => ({
    parts: { page() {} },
    events: { pause: () => "Resume", shown: () => [[], []] },
  }));
  await meeting.mount("vram", "page", gradio());
  assert.equal(await meeting.hear("vram", "pause", []), "Resume");
  assert.deepEqual(await meeting.hear("vram", "shown", []), [[], []]);
});

test("a part that fails, and an event that nobody knows, are said and end nothing", async (t) => {
  const said = t.mock.method(console, "error", () => {});
  const mounted = [];
  const meeting = createMeeting(async () => ({
    parts: {
      bad() {
        throw new Error("bad");
      },
      good: () => mounted.push("good"),
    },
  }));
  await meeting.mount("deploy", "bad", gradio());
  await meeting.mount("deploy", "unknown", gradio());
  await meeting.mount("deploy", "good", gradio());
  await meeting.hear("deploy", "unknown", []);
  assert.deepEqual(mounted, ["good"]);
  assert.equal(said.mock.callCount(), 3);
});

test("what the script tells waits for Gradio's element", () => {
  const bridge = new Bridge();
  bridge.tell("plan");
  bridge.tell("sample", { index: 2 });
  bridge.share("server-1");
  const side = gradio();
  bridge.attach(side.element, side);
  assert.deepEqual(side.told, [
    ["plan", {}],
    ["sample", { index: 2 }],
  ]);
  assert.equal(side.props.value, "server-1");
  bridge.tell("edit");
  assert.deepEqual(side.told.at(-1), ["edit", {}]);
});

test("a value that a handler gave is heard", () => {
  const bridge = new Bridge();
  const heard = [];
  bridge.onShared((value) => heard.push(value));
  const side = gradio();
  bridge.attach(side.element, side);
  bridge.share("mine");
  side.give("new-server");
  assert.deepEqual(heard, ["new-server"]);
});

test("changes of one moment are told once, in their order", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const bridge = new Bridge();
  const side = gradio();
  bridge.attach(side.element, side);
  const changed = bridge.settled("plan", "preview");
  for (let times = 0; times < 5; times += 1) {
    changed();
    t.mock.timers.tick(10);
  }
  assert.deepEqual(side.told, []);
  t.mock.timers.tick(20);
  await settled();
  assert.deepEqual(
    side.told.map(([event]) => event),
    ["plan", "preview"],
  );
});

test("what is typed while an earlier text is sent is told when the console is back", (t) => {
  const heard = {};
  const listen = (name, listener) => (heard[name] = listener);
  t.mock.method(document, "addEventListener", listen);
  globalThis.addEventListener = listen;
  globalThis.Element = class {
    closest() {
      return this;
    }
  };
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.Element;
  });
  const target = new Element();
  let told = 0;
  const come = sentWhenBack("box", () => told++);
  heard.input({ target });
  heard.focusout({ target });
  heard.input({ target });
  come();
  heard["console-back"]();
  assert.equal(told, 1);
  come();
  heard["console-back"]();
  assert.equal(told, 1);
});
