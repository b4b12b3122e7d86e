// The checks that a WebSocket makes on its arguments (WHATWG WebSockets, section 3.1).

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** @throws {DOMException} SyntaxError */
export function checkedUrl(url) {
  let parsed;
  try {
    parsed = new URL(url, globalThis.location?.href);
  } catch {
    throw new DOMException(`"${url}" is not a URL`, "SyntaxError");
  }
  if (parsed.protocol === "http:") parsed.protocol = "ws:";
  if (parsed.protocol === "https:") parsed.protocol = "wss:";
  if (parsed.protocol !== "ws:" && parsed.protocol !== "wss:") {
    throw new DOMException(`"${url}" begins with neither ws: nor wss:`, "SyntaxError");
  }
  if (parsed.hash !== "") throw new DOMException(`"${url}" has a fragment`, "SyntaxError");
  return parsed.href;
}

/** @throws {DOMException} SyntaxError */
export function checkedSubprotocols(protocols) {
  const names = typeof protocols === "string" ? [protocols] : [...protocols];
  for (const name of names) {
    if (!TOKEN.test(name)) throw new DOMException(`"${name}" is not a subprotocol name`, "SyntaxError");
  }
  if (new Set(names).size !== names.length) {
    throw new DOMException("a subprotocol is named twice", "SyntaxError");
  }
  return names;
}

/** @throws {DOMException} InvalidAccessError or SyntaxError */
export function checkClose(code, reason, reasonLimit) {
  if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
    throw new DOMException(`close code ${code} is neither 1000 nor 3000 to 4999`, "InvalidAccessError");
  }
  const length = new TextEncoder().encode(reason ?? "").length;
  if (length > reasonLimit) {
    throw new DOMException(
      `a sealed Close has room for a reason of ${reasonLimit} octets; this one has ${length}`,
      "SyntaxError",
    );
  }
}
