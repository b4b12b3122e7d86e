// What a connection is made with beside its URL. Nothing is guessed here: an option that is misspelt, or a key that
// is not there, would end in a connection that seals less than was meant, and nobody would notice.

import { checkedKey } from "./keys.js";
import { kindOf, refuseUnknown } from "./values.js";

const OPTIONS = ["key", "algorithm", "WebSocket", "webSocketOptions"];
const ALGORITHMS = ["hmac-sha-256", "sha-256"];
const BY_NAME = 'ask for algorithm "sha-256" by name, which notices accidents only';

/**
 * The options as given, checked; `key` is `null` for `sha-256`.
 * @param {import("../index.js").SealedWebSocketOptions} options
 * @throws {TypeError}
 */
export function checkedOptions(options) {
  if (options === null || typeof options !== "object") {
    throw new TypeError(`the options are ${kindOf(options)}; they must be an object, such as { key }`);
  }
  refuseUnknown("option", options, OPTIONS);
  const { WebSocket = globalThis.WebSocket, webSocketOptions } = options;
  checkUnderneath(WebSocket, webSocketOptions);
  return { key: sealingKey(options), WebSocket, webSocketOptions };
}

function sealingKey(options) {
  const { key, algorithm } = options;
  const isGiven = "key" in options;
  if (algorithm !== undefined && !ALGORITHMS.includes(algorithm)) {
    const found = typeof algorithm === "string" ? `"${algorithm}"` : kindOf(algorithm);
    throw new TypeError(`algorithm is ${found}; it must be "hmac-sha-256" or "sha-256"`);
  }
  if (isGiven && (key === undefined || key === null)) {
    throw new TypeError(`key is ${key}; give a secret or a publicKey with its kid, or leave key out and ${BY_NAME}`);
  }
  if (isGiven && algorithm === "sha-256") {
    throw new TypeError("sha-256 takes no key; leave key out, or ask for hmac-sha-256");
  }
  if (isGiven) return checkedKey(key);
  if (algorithm === "sha-256") return null;
  if (algorithm === "hmac-sha-256") throw new TypeError("hmac-sha-256 takes a key; give one as key");
  throw new TypeError(`nothing says how to seal; give a key, or ${BY_NAME}`);
}

function checkUnderneath(WebSocket, webSocketOptions) {
  if (WebSocket === undefined) throw new TypeError("no WebSocket here: pass one, { WebSocket }");
  if (typeof WebSocket !== "function") {
    throw new TypeError(`WebSocket is ${kindOf(WebSocket)}; it must be a class, such as that of ws`);
  }
  if (webSocketOptions === undefined) return;
  if (webSocketOptions === null || typeof webSocketOptions !== "object") {
    throw new TypeError(`webSocketOptions is ${kindOf(webSocketOptions)}; it must be an object`);
  }
  if (WebSocket === globalThis.WebSocket) {
    // It would drop them without a word, a client certificate among them.
    throw new TypeError("the global WebSocket takes no webSocketOptions; pass the WebSocket of ws too, or leave them out");
  }
}
