// What `npm publish` and `npm install` would take: the sources, and nothing that happens to lie beside them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = readdirSync(join(root, "src")).map((name) => `src/${name}`);
const expected = ["README.md", "index.d.ts", "package.json", ...sources].sort();

/** The files of the package that a folder makes. */
function packed(folder) {
  // `npm test --silent` sets a level that silences the answer too.
  const options = ["--dry-run", "--json", "--ignore-scripts", "--loglevel=error"];
  const [{ files }] = JSON.parse(execFileSync("npm", ["pack", ...options], { cwd: folder, encoding: "utf8" }));
  return files.map(({ path }) => path).sort();
}

test("the package holds the sources, the types and the README alone", () => {
  assert.ok(sources.length > 5 && sources.every((name) => name.endsWith(".js")), `not sources alone: ${sources}`);
  assert.deepEqual(packed(root), expected);
});

test("what happens to lie among the sources stays out of the package", () => {
  const copy = mkdtempSync(join(tmpdir(), "tidegate-client-"));
  try {
    for (const name of ["README.md", "index.d.ts", "package.json", "src"]) cpSync(join(root, name), join(copy, name), { recursive: true });
    for (const name of ["foreign.whl", "src/foreign.whl", "src/foreign-1.0.0.tgz", "src/.env", "src/key.pem", "test.log"]) {
      writeFileSync(join(copy, name), "");
    }
    assert.deepEqual(packed(copy), expected);
  } finally {
    rmSync(copy, { recursive: true });
  }
});
