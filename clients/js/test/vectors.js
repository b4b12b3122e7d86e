// The worked examples of the protocol. TIDEGATE_VECTORS names another file.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const inRepository = new URL("../../../tests/vectors/frame-integrity.json", import.meta.url);

export const path = process.env.TIDEGATE_VECTORS ?? fileURLToPath(inRepository);
export const vectors = JSON.parse(readFileSync(path, "utf8"));

export const octets = (hex = "") => new Uint8Array(Buffer.from(hex, "hex"));
export const hex = (data) => Buffer.from(data).toString("hex");

const [secret, x25519] = vectors.keys;
export const keys = {
  secret: { kid: secret.kid, secret: octets(secret.secret) },
  x25519: { kid: x25519.kid, publicKey: octets(x25519.public) },
};

/** How messages are sealed; `none` is `sha-256`. */
export const sealings = {
  secret: { key: keys.secret },
  x25519: { key: keys.x25519 },
  none: { algorithm: "sha-256" },
};
