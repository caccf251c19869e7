// @ts-check
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const { essence, whole, words } = await import("../../../../ui/page/command_text.js");

const SERVE =
  "HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 /opt/lm/bin/lmdeploy serve api_server '/root/my models/7b' " +
  "--server-name 127.0.0.1 --server-port 23333 --model-name 7b --quant-policy 4 --cache-max-entry-count 0.4 " +
  `--trust-remote-code --api-keys "$(cat '/s t/k')" --allow-origins none`;
const LITE =
  "(cd /c && CUDA_VISIBLE_DEVICES='' /opt/lm/bin/lmdeploy lite auto_awq /m --work-dir /.m.partial --w-bits 4) &&\nmv -T /.m.partial /m-4bit";

test("a flag a line, the program and its model first, plumbing folded", () => {
  assert.deepEqual(essence(SERVE), {
    text: [
      "lmdeploy serve api_server '/root/my models/7b' \\",
      "    --server-port 23333 \\",
      "    --model-name 7b \\",
      "    --quant-policy 4 \\",
      "    --cache-max-entry-count 0.4 \\",
      "    --trust-remote-code",
    ].join("\n"),
    folded: true,
  });
  assert.equal(essence(LITE).text, "lmdeploy lite auto_awq /m \\\n    --work-dir /.m.partial \\\n    --w-bits 4");
  assert.deepEqual(essence("lmdeploy serve api_server /m"), { text: "lmdeploy serve api_server /m", folded: false });
});

test("the whole keeps every word", () => {
  for (const text of [SERVE, LITE])
    assert.deepEqual(
      words(whole(text)).filter((word) => word !== "\\\n"),
      words(text),
    );
  assert.equal(whole(LITE).split("\n").at(-1), "mv -T /.m.partial /m-4bit");
});

test("a shell reads the whole as it reads the one line, whatever the words", () => {
  const odd = [
    "a b",
    "it's",
    '"',
    "--",
    "--x",
    "new\nline",
    "通义千问",
    "$(touch x)",
    "\\",
    "&&",
    "",
    "-n",
    "*",
    "--q='",
  ];
  /** @param {string} word */
  const quoted = (word) => `'${word.replaceAll("'", `'"'"'`)}'`;
  const line = `A=${quoted(odd.join(" "))} env printf %s/ ${odd.map(quoted).join(" --flag ")} "$(printf '%s' 'x) "y')"`;
  /** @param {string} text */
  const run = (text) => execFileSync("bash", ["-c", text], { encoding: "utf8" });
  assert.equal(run(whole(line)), run(line));
});

test("a proxy's command is shown without where its script lies", () => {
  const { text, folded } = essence(
    '/env/bin/python /console/children/proxy_entry.py serve proxy --server-name 127.0.0.1 --server-port 8000 --api-keys "$(cat /k)" --disable-cache-status --node-keys /n.json --routing-strategy random',
  );
  assert.equal(text, "python proxy_entry.py serve proxy \\\n    --server-port 8000 \\\n    --routing-strategy random");
  assert.ok(folded);
});
