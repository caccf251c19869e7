import { until } from "../../../../support/page.js";

import assert from "node:assert/strict";
import { createServer } from "node:http";
import test from "node:test";

const { changed, Conversation, isUnderWay } = await import("../../../../../ui/tabs/chat/conversation.js");
const { isSafe } = await import("../../../../../ui/tabs/chat/answers.js");

const message = (text) => ({ role: "assistant", content: [{ type: "text", text }, { type: "component" }] });

test("changes of a box", () => {
  const box = [message("a"), message("b")];
  assert.equal(changed(box, { keep: 2, more: [] }), box);
  assert.deepEqual(changed(box, { keep: 1, more: [] }), [message("a")]);
  assert.deepEqual(changed(box, { keep: 0, more: [message("c")] }), [message("c")]);
  assert.deepEqual(changed(box, { keep: 1, grow: "\n\n**c**" }), [message("a"), message("b\n\n**c**")]);
  assert.deepEqual(changed(box, { keep: 0, grow: "!", then: [message("c")] }), [message("a!"), message("c")]);
  assert.deepEqual(box, [message("a"), message("b")]);
});

test("which states are under way", () => {
  assert.ok(isUnderWay("waiting") && isUnderWay("streaming"));
  assert.ok(!["idle", "done", "stopped", "failed"].some(isUnderWay));
});

/** A console whose streams are answered one after the other. */
async function follow(t, ...streams) {
  t.mock.method(console, "info", () => {});
  const server = createServer(async (_, response) => {
    response.writeHead(200);
    await streams.shift()?.(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  document.baseURI = `http://127.0.0.1:${server.address().port}/`;
  const seen = [];
  const conversation = new Conversation({
    grew: () => {
      const [box] = conversation.news();
      if (box) seen.push(box.map(({ content }) => content[0].text).join("|"));
    },
    problem: () => seen.push("problem"),
  });
  conversation.follow();
  return { seen, conversation };
}

const line = (change, state, problem = false) =>
  `${JSON.stringify({ boxes: [change, { keep: 0, more: [] }], two: false, stats: { state }, problem })}\n`;

test("a stream that is cut is read anew from the beginning", async (t) => {
  const { seen, conversation } = await follow(
    t,
    (response) => {
      response.write(line({ keep: 0, more: [message("A")] }, "streaming"));
      response.write(line({ keep: 0, grow: " fo" }, "streaming"));
      setTimeout(() => response.destroy(), 50);
    },
    (response) => response.end("no line of JSON\n"),
    (response) => response.end('{"boxes": [{"keep": 7, "grow": "x"}, {"keep": 0, "more": []}], "stats": {}}\n'),
    (response) => response.end(line({ keep: 0, more: [message("A fox.")] }, "done", true)),
  );
  await until(() => seen.includes("problem"), 15_000);
  assert.deepEqual(seen.slice(-2), ["A fox.", "problem"]);
  assert.deepEqual(conversation.stats, { state: "done" });
  assert.deepEqual(conversation.newsBeside(), [[], []]);
  assert.deepEqual(conversation.newsBeside(), [undefined, undefined]); // Gradio's boxes have them
});

test("a box is given to Gradio where it changed", async (t) => {
  const lines = [
    [
      { keep: 0, more: [message("a")] },
      { keep: 0, more: [message("b")] },
    ],
    [
      { keep: 1, more: [] },
      { keep: 0, grow: "!" },
    ],
    [
      { keep: 1, more: [] },
      { keep: 1, more: [] },
    ],
  ];
  const state = (last) => (last ? "done" : "streaming");
  const server = createServer((_, response) => {
    response.writeHead(200);
    lines.forEach((boxes, number) => {
      const text = `${JSON.stringify({ boxes, stats: { state: state(number === 2) } })}\n`;
      setTimeout(() => (number === 2 ? response.end(text) : response.write(text)), 50 * number);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  document.baseURI = `http://127.0.0.1:${server.address().port}/`;
  /** @type {(string | undefined)[][]} */
  const given = [["", ""]];
  const conversation = new Conversation({
    grew: () => given.push(conversation.news().map((box) => box?.[0].content[0].text)),
    problem: () => {},
  });
  conversation.follow();
  await until(() => conversation.stats.state === "done");
  // Lines that came together are one.
  const boxes = [0, 1].map((lane) => given.map((news) => news[lane]).filter((text) => text !== undefined));
  assert.deepEqual(boxes[0], ["", "a"]);
  assert.equal(boxes[1].at(-1), "b!");
});

test("tokens of lines that came together are all told", async (t) => {
  const one = (tokens, state) =>
    `${JSON.stringify({ boxes: [], two: false, stats: { state }, problem: false, tokens })}\n`;
  const news = [0, 1, 2].map((keep) => ({ place: "1/0", keep, more: [`["${keep}",-1,[]]`] }));
  const seen = [];
  const server = createServer((_, response) => {
    response.writeHead(200);
    response.end(one([news[0]], "streaming") + one([news[1]], "streaming") + one([news[2]], "done"));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  document.baseURI = `http://127.0.0.1:${server.address().port}/`;
  new Conversation({ grew: (_, tokens) => seen.push(...tokens), problem() {}, gone() {} }).follow();
  await until(() => seen.length === 3);
  assert.deepEqual(seen, news);
  const { grown } = await import("../../../../../ui/tabs/chat/answer_tokens.js");
  const texts = (tokens) => tokens.map(({ text }) => text).join("");
  assert.equal(texts(news.reduce(grown, [])), "012");
  assert.equal(texts(grown(news.reduce(grown, []), { place: "1/0", keep: 1, more: ['["x",-1,[]]'] })), "0x");
});

test("a stream that falls silent is asked for anew", async (t) => {
  const { seen } = await follow(
    t,
    (response) => response.write(line({ keep: 0, more: [message("half")] }, "streaming")),
    (response) => response.end(line({ keep: 0, more: [message("whole")] }, "done")),
  );
  await until(() => seen.includes("whole"), 15_000);
  assert.deepEqual(seen, ["half", "whole"]);
});

test("following anew lets the older stream go", async (t) => {
  let gone = false;
  const { seen, conversation } = await follow(
    t,
    (response) => {
      response.write(line({ keep: 0, more: [message("old")] }, "streaming"));
      response.on("close", () => (gone = true));
    },
    (response) => response.end(line({ keep: 0, more: [message("new")] }, "done")),
  );
  await until(() => seen.includes("old"));
  conversation.follow();
  await until(() => seen.includes("new") && gone);
});

test("links that a model may write", () => {
  for (const link of ["https://example.org/a", "http://example.org", "mailto:a@example.org", "/relative", "#part"]) {
    assert.ok(isSafe(link), link);
  }
  for (const link of [
    "javascript:alert(1)",
    " javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>",
    "vbscript:x",
    "blob:http://x/1",
    "http://[",
  ]) {
    assert.ok(!isSafe(link), link);
  }
});
