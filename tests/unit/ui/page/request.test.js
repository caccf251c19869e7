import { until } from "../../../support/page.js";

import assert from "node:assert/strict";
import { createServer } from "node:http";
import test, { after, before } from "node:test";

const { consoleTime, get, getIfNew, link, post, readLines, RequestError } =
  await import("../../../../ui/page/request.js");

const OFFLINE = JSON.stringify(["The console doesn't answer. What runs goes on; this page tries again."]);
/** What the server does with the next requests, by path. */
const answers = new Map();
let server;

before(async () => {
  server = createServer((request, response) => answers.get(request.url.split("?")[0])(response, request));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  document.baseURI = `http://127.0.0.1:${server.address().port}/user/me/`;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

/** The path of an address that is answered so. */
function answered(name, answer) {
  answers.set(`/user/me/console/${name}`, answer);
  return name;
}

const json = (status, body) => (response) => {
  response.writeHead(status, { "content-type": "application/json" }).end(body);
};

/** Rejects with a RequestError, whatever went wrong. */
async function failure(promise) {
  const problem = await promise.then(
    (value) => assert.fail(`resolved to ${JSON.stringify(value)}`),
    (error) => error,
  );
  assert.ok(problem instanceof RequestError, String(problem));
  assert.ok(problem.messages.length > 0);
  return problem;
}

test("an address stands below the page's, behind any prefix", () => {
  assert.equal(link("log/a%20b?offset=1"), `${document.baseURI}console/log/a%20b?offset=1`);
});

test("what came, nothing new, and what the console says", async () => {
  assert.deepEqual(await get(answered("ok", json(200, '{"a": 1}'))), { a: 1 });
  assert.equal(await getIfNew(answered("same", (response) => response.writeHead(204).end())), null);
  const refused = await failure(get(answered("no", json(403, '{"messages": ["Not you.", "Nor you."]}'))));
  assert.deepEqual([refused.messages, refused.status], [["Not you.", "Nor you."], 403]);
});

for (const [name, answer] of Object.entries({
  "no JSON": json(200, "<html>a proxy's own page</html>"),
  "no JSON, and an error": json(502, "<html>Bad gateway</html>"),
  "half of it": json(200, '{"version": "1", "servers": ['),
  nothing: json(200, ""),
  null: json(200, "null"),
  "a number": json(200, "7"),
  "cut off in mid-body": (response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
    response.write('{"a": 1}');
    setImmediate(() => response.destroy());
  },
  "cut off before the first byte": (response) => response.destroy(),
  "silent from the beginning": () => {},
  "silent after the head": (response) => response.writeHead(200).flushHeaders(),
  "silent in mid-body": (response) => response.writeHead(200).write('{"a": '),
})) {
  test(`a failure: ${name}`, async () => {
    const path = answered(`bad/${encodeURIComponent(name)}`, answer);
    await failure(get(path, { silence: 100 }));
    await failure(readLines(path, { silence: 100 }, () => {}).then(() => get(path, { silence: 100 })));
  });
}

test("a reply may take longer than the deadline while it goes on", async () => {
  const path = answered("slow", async (response) => {
    response.writeHead(200);
    for (const piece of ['{"a"', ":", " [1", ", 2", "]}"]) {
      response.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 80));
    }
    response.end();
  });
  assert.deepEqual(await get(path, { silence: 250 }), { a: [1, 2] });
});

test("a POST's body", async () => {
  const path = answered("post", async (response, request) => {
    let body = "";
    for await (const piece of request) body += piece;
    json(200, JSON.stringify([request.method, request.headers["content-type"], JSON.parse(body)]))(response);
  });
  assert.deepEqual(await post(path, { seconds: "1" }), ["POST", "application/json", { seconds: "1" }]);
});

test("a POST that is done without a word", async () => {
  assert.deepEqual(await post(answered("done", (response) => response.writeHead(204).end())), {});
});

test("lines, in whatever pieces they come", async () => {
  const path = answered("lines", async (response) => {
    response.writeHead(200);
    for (const piece of [
      '{"n": 1}\n{"n": 2}\n\n{"te',
      'xt": "',
      Buffer.from([0xe4, 0xbd]),
      Buffer.from([0xa0]),
      '"}\n\n',
    ]) {
      response.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    response.end();
  });
  const seen = [];
  await readLines(path, {}, (lines) => seen.push(...lines));
  assert.deepEqual(seen, [{ n: 1 }, { n: 2 }, { text: "你" }]);
});

test("empty lines keep a stream alive; silence ends it", async () => {
  let beating = true;
  const path = answered("alive", async (response) => {
    response.writeHead(200).write('{"n": 1}\n');
    for (let beat = 0; beat < 8; beat += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      response.write("\n");
    }
    beating = false;
  });
  const seen = [];
  await failure(readLines(path, { silence: 300 }, (lines) => seen.push(...lines)));
  assert.ok(!beating);
  assert.deepEqual(seen, [{ n: 1 }]);
});

test("a line that breaks off is no line", async () => {
  const path = answered("broken", (response) => response.writeHead(200).end('{"n": 1}\n{"n": 2'));
  const seen = [];
  await failure(readLines(path, {}, (lines) => seen.push(...lines)));
  assert.deepEqual(seen, [{ n: 1 }]);
});

test("who asked can give up", async () => {
  let came = false;
  let gone = false;
  const path = answered("given-up", (response) => {
    came = true;
    response.writeHead(200).flushHeaders();
    response.on("close", () => (gone = true));
  });
  const abort = new AbortController();
  const asked = failure(readLines(path, { signal: abort.signal }, () => {}));
  await until(() => came);
  abort.abort();
  await asked;
  await until(() => gone);
  await failure(get(path, { signal: abort.signal }));
});

test("the console's clock", async () => {
  answered("texts.json", (response) => response.writeHead(200, { date: "Wed, 25 Nov 2026 12:00:00 GMT" }).end());
  assert.equal(await consoleTime(), Date.UTC(2026, 10, 25, 12));
});
