// Runs page.html in headless Chromium: it sends, receives, and must refuse a forged message.
//
//   node test/browser/run.js [--url wss://… --ca FILE [--cert FILE --key FILE]]
//                            [--kid ID --secret=BASE64URL | --kid ID --public=BASE64URL] [--subprotocol NAME]
//                            [--screenshot FILE]
//
// Without --url it starts the reference peer and uses the vectors' keys. With it, the server there must echo;
// the man in the middle is put before it. CHROMIUM and PYTHON name the programs.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as base64url from "../../src/base64url.js";
import { startPeer } from "../peer.js";
import { keys as vectorKeys } from "../vectors.js";
import { startChromium } from "./chromium.js";

const names = ["url", "ca", "cert", "key", "kid", "secret", "public", "subprotocol", "screenshot"];
const { values: options } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, { type: "string" }])) });
const root = fileURLToPath(new URL("../..", import.meta.url));
const types = { ".html": "text/html", ".js": "text/javascript" };

const closers = [];
try {
  await main();
} finally {
  for (const close of closers.reverse()) await close();
}

async function main() {
  const target = options.url === undefined ? await referencePeer() : await givenServer();
  const page = await servePage(new URLSearchParams({ ...target, ...chosenKeys() }));
  const chromium = await startChromium(options.ca ? [await trusting(options.url, options.ca)] : []);
  closers.push(() => chromium.stop());
  const outcomes = await chromium.visit(page, "window.outcomes");
  if (options.screenshot) writeFileSync(options.screenshot, await chromium.screenshot());
  for (const outcome of outcomes) check(outcome);
  console.log(`${chromium.version}: ${outcomes.length} conversations as they should be`);
}

async function referencePeer() {
  const peer = await startPeer();
  closers.push(() => peer.stop());
  return { url: peer.direct().url, "forging-url": peer.tampered("flip", "s2c", 2).url };
}

async function givenServer() {
  const script = fileURLToPath(new URL("../../../python/tests/tampering_proxy.py", import.meta.url));
  const certificates = ["ca", "cert", "key"].filter((name) => options[name]).flatMap((name) => [`--${name}`, options[name]]);
  const middle = spawn(process.env.PYTHON ?? "python3", [script, options.url, ...certificates], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  closers.push(async () => middle.kill() && once(middle, "exit"));
  const [line] = await once(createInterface({ input: middle.stdout }), "line");
  const { pathname } = new URL(options.url);
  const query = new URLSearchParams({ tamper: "flip", direction: "s2c", at: 2 });
  return { url: options.url, "forging-url": `${JSON.parse(line).tampering_url}${pathname}?${query}` };
}

function chosenKeys() {
  const subprotocol = options.subprotocol ? { subprotocol: options.subprotocol } : {};
  if (options.secret) return { ...subprotocol, secret: options.secret, "secret-kid": options.kid };
  if (options.public) return { ...subprotocol, public: options.public, "public-kid": options.kid };
  const { secret, x25519 } = vectorKeys;
  return {
    ...subprotocol,
    secret: base64url.encode(secret.secret),
    "secret-kid": secret.kid,
    public: base64url.encode(x25519.publicKey),
    "public-kid": x25519.kid,
  };
}

/** Makes Chromium accept the server's certificate, once it is known to be issued by the CA, and no other. */
async function trusting(url, ca) {
  const { hostname, port } = new URL(url);
  const [cert, key] = [options.cert, options.key].map((file) => file && readFileSync(file));
  const socket = connect({ host: hostname, servername: hostname, port: port || 443, ca: readFileSync(ca), cert, key });
  await once(socket, "secureConnect");
  const publicKey = socket.getPeerX509Certificate().publicKey.export({ type: "spki", format: "der" });
  socket.destroy();
  return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(publicKey).digest("base64")}`;
}

async function servePage(query) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const type = types[extname(path)];
    if (type === undefined) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": type });
    createReadStream(join(root, path)).on("error", () => response.destroy()).pipe(response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  closers.push(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${server.address().port}/test/browser/page.html?${query}`;
}

function check({ title, received, errors, close, integrity }) {
  const everything = ["Grüße", [0, 1, 254, 255], [...Buffer.from("a blob")], "x".repeat(70_000)];
  assert.equal(integrity?.algorithm, "hmac-sha-256", `${title}: ${errors}`);
  if (title.startsWith("An honest path")) {
    assert.deepEqual({ received, errors }, { received: everything, errors: [] }, title);
    assert.deepEqual(close, { code: 4000, reason: "that was all", wasClean: true }, title);
  } else {
    assert.deepEqual(received, everything.slice(0, 1), title);
    assert.deepEqual(errors, ["IntegrityError: frame-integrity: mismatch"], title);
    assert.deepEqual(close, { code: 1008, reason: "frame-integrity: mismatch", wasClean: false }, title);
  }
}
