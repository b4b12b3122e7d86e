// Starts the reference peer of the Python client, with its man in the middle.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { path } from "./vectors.js";

const script = fileURLToPath(new URL("../../python/tests/reference_peer.py", import.meta.url));

export async function startPeer() {
  const process_ = spawn(process.env.PYTHON ?? "python3", [script, path, "--tamper"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: process_.stdout });
  const { url, tampering_url } = JSON.parse((await once(lines, "line"))[0]);
  const endings = new Map(); // by the number that each test puts into its URL
  lines.on("line", (line) => {
    const ending = JSON.parse(line);
    settle(endings, ending.query.n).resolve(ending);
  });
  let count = 0;
  const numbered = (base, query) => {
    const n = String(++count);
    return { url: `${base}/?${new URLSearchParams({ ...query, n })}`, ending: settle(endings, n).promise };
  };
  return {
    /** A URL of the peer, and how the peer saw the connection end. */
    direct: (query = {}) => numbered(url, query),
    /** The same through the man in the middle. */
    tampered: (tamper, direction, at = 1) => numbered(tampering_url, { tamper, direction, at }),
    async stop() {
      process_.kill();
      await once(process_, "exit");
    },
  };
}

function settle(endings, n) {
  if (!endings.has(n)) {
    const entry = {};
    entry.promise = new Promise((resolve) => (entry.resolve = resolve));
    endings.set(n, entry);
  }
  return endings.get(n);
}
