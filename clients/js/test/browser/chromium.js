// Headless Chromium, driven by its DevTools protocol.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";

const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
  ...["--remote-debugging-port=0", "--window-size=900,1500"],
];

export async function startChromium(flags = []) {
  const profile = mkdtempSync(join(tmpdir(), "tidegate-chromium-"));
  const program = process.env.CHROMIUM ?? "chromium";
  const child = spawn(program, [...FLAGS, ...flags, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const devTools = await Devtools.connect(await announcedUrl(child));
  const { product } = await devTools.call("Browser.getVersion");
  const { targetId } = await devTools.call("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await devTools.call("Target.attachToTarget", { targetId, flatten: true });
  const inPage = (method, parameters) => devTools.call(method, parameters, sessionId);
  return {
    version: product,
    /** Opens a page and gives the value that the expression's promise resolves with. */
    async visit(url, expression) {
      await inPage("Page.enable");
      const loaded = devTools.event("Page.loadEventFired");
      await inPage("Page.navigate", { url });
      await loaded;
      const { result, exceptionDetails } = await inPage("Runtime.evaluate", {
        expression,
        awaitPromise: true,
        returnByValue: true,
      });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    async screenshot() {
      const { data } = await inPage("Page.captureScreenshot", { captureBeyondViewport: true });
      return Buffer.from(data, "base64");
    },
    async stop() {
      const exited = once(child, "exit");
      await devTools.call("Browser.close").catch(() => child.kill());
      await exited;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function announcedUrl(child) {
  for await (const line of createInterface({ input: child.stderr })) {
    const found = line.match(/^DevTools listening on (ws:.*)$/);
    if (found) {
      child.stderr.resume();
      return found[1];
    }
  }
  throw new Error("Chromium ended before it was ready");
}

class Devtools {
  #socket;
  #answers = new Map();
  #events = new Map();
  #count = 0;

  static async connect(url) {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    await once(socket, "open");
    return new Devtools(socket);
  }

  constructor(socket) {
    this.#socket = socket;
    socket.on("message", (text) => this.#arrived(JSON.parse(text)));
    socket.on("close", () => this.#answers.forEach(({ reject }) => reject(new Error("Chromium is gone"))));
  }

  call(method, params = {}, sessionId = undefined) {
    const id = ++this.#count;
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) => this.#answers.set(id, { resolve, reject }));
  }

  event(method) {
    return new Promise((resolve) => this.#events.set(method, resolve));
  }

  #arrived({ id, result, error, method, params }) {
    if (method !== undefined) this.#events.get(method)?.(params);
    const answer = this.#answers.get(id);
    this.#answers.delete(id);
    if (error) answer?.reject(new Error(error.message));
    else answer?.resolve(result);
  }
}
