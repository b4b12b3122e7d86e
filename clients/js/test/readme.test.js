import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import * as base64url from "../src/base64url.js";
import { startPeer } from "./peer.js";
import { keys } from "./vectors.js";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const [, program] = readme.match(/```js\n(.*?)```/s);
const [, page] = readme.match(/```html\n(.*?)```/s);

test("the README's programs have at most 15 lines", () => {
  assert.ok(program.trim().split("\n").length <= 15);
  assert.ok(page.trim().split("\n").length <= 15);
});

test("the README's first program runs as pasted", async () => {
  const peer = await startPeer();
  const { url, ending } = peer.direct();
  const { kid, secret } = keys.secret;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, TIDEGATE_URL: url, TIDEGATE_KID: kid, TIDEGATE_SECRET: base64url.encode(secret) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  for await (const chunk of child.stdout) output += chunk;
  assert.equal(output, "hello\n");
  assert.equal((await ending).ending, "closed 1000");
  await peer.stop();
});
