import { checkClose, checkedSubprotocols, checkedUrl } from "./arguments.js";
import { IntegrityError } from "./errors.js";
import { CloseEvent, ErrorEvent } from "./events.js";
import { makeOffer } from "./offer.js";
import { checkedOptions } from "./options.js";
import { openBinary, openReason, openText, REASON_LIMIT, sealBinary, sealReason, sealText } from "./seal.js";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

const NORMAL = 1000;
const NO_CODE = 1005;
const ABNORMAL = 1006;
const POLICY_VIOLATION = 1008;
// Browsers let scripts send 1000 and 3000 to 4999 alone: there, this one stands for 1008.
const POLICY_VIOLATION_BY_SCRIPT = 4008;

const encoder = new TextEncoder();

/** A WebSocket whose messages and Close are sealed; the message binding of Frame Integrity. */
export class SealedWebSocket extends EventTarget {
  #url;
  #binaryType = "blob";
  #state = CONNECTING;
  #socket = null;
  #offer = null;
  #subprotocols;
  #protocol = "";
  #tags = null;
  // WebCrypto is asynchronous and the order of messages is not: each direction is a queue.
  #outgoing = Promise.resolve();
  #incoming = Promise.resolve();
  #unsent = 0;
  #cause = undefined;
  #handlers = new Map();

  /**
   * @param {string | URL} url
   * @param {string | string[]} [protocols] the application's
   * @param {object} options see index.d.ts
   */
  constructor(url, protocols = [], options = {}) {
    super();
    this.#url = checkedUrl(url);
    this.#subprotocols = checkedSubprotocols(protocols);
    const { key, WebSocket, webSocketOptions } = checkedOptions(options);
    if (globalThis.crypto?.subtle === undefined) {
      throw new TypeError("no WebCrypto here: browsers have it on https pages and on localhost alone");
    }
    this.#connect(key, WebSocket, webSocketOptions).catch((error) => this.#abandon(error));
  }

  get url() {
    return this.#url;
  }

  /** The application's subprotocol, once open. */
  get protocol() {
    return this.#protocol;
  }

  /** None can be agreed beside the seal. */
  get extensions() {
    return "";
  }

  /** What was agreed, once open. */
  get integrity() {
    if (this.#tags === null) return null;
    return { algorithm: this.#offer.algorithm, kid: this.#offer.kid, binding: "message" };
  }

  get readyState() {
    const closing = this.#state === OPEN && this.#socket.readyState > OPEN;
    return closing ? CLOSING : this.#state;
  }

  get bufferedAmount() {
    return this.#unsent + (this.#socket?.bufferedAmount ?? 0);
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    if (type === "blob" || type === "arraybuffer") this.#binaryType = type;
  }

  /** @param {string | ArrayBuffer | ArrayBufferView | Blob} data */
  send(data) {
    if (this.#state === CONNECTING) {
      throw new DOMException("the connection is not open yet", "InvalidStateError");
    }
    const isText = !(data instanceof Blob || data instanceof ArrayBuffer || ArrayBuffer.isView(data));
    const octets = isText ? encoder.encode(String(data)) : copied(data);
    this.#unsent += octets.size ?? octets.length;
    if (this.#state !== OPEN) return; // lost, and counted, as a WebSocket does
    this.#enqueue(async () => {
      const whole = octets instanceof Blob ? new Uint8Array(await octets.arrayBuffer()) : octets;
      const sealed = await (isText ? sealText : sealBinary)(this.#tags.sending, whole);
      this.#socket.send(sealed);
      this.#unsent -= whole.length;
    });
  }

  /** @param {number} [code] @param {string} [reason] at most 80 octets of UTF-8 */
  close(code, reason) {
    checkClose(code, reason, REASON_LIMIT);
    if (this.#state > OPEN) return;
    if (this.#state === CONNECTING) {
      this.#state = CLOSING;
      queueMicrotask(() => this.#abandon(new Error("closed before the connection was open")));
      return;
    }
    this.#state = CLOSING;
    this.#enqueue(() => this.#sendClose(code ?? NORMAL, reason ?? ""));
  }

  async #connect(key, WebSocket, webSocketOptions) {
    this.#offer = await makeOffer(key);
    if (this.#state !== CONNECTING) return;
    const offered = this.#subprotocols.length > 0 ? this.#subprotocols : [""];
    const names = new Map(offered.map((subprotocol) => [this.#offer.name(subprotocol), subprotocol]));
    // The third argument is for `ws`; browsers take no notice of it.
    const socket = new WebSocket(this.#url, [...names.keys()], { perMessageDeflate: false, ...webSocketOptions });
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.addEventListener("open", () => this.#receive(() => this.#opened(names.get(socket.protocol))));
    socket.addEventListener("message", ({ data }) => this.#receive(() => this.#arrived(data)));
    socket.addEventListener("close", (event) => this.#receive(() => this.#ended(event)));
    socket.addEventListener("error", (event) => {
      this.#cause = event.error; // told with the close event that follows
    });
  }

  #enqueue(task) {
    this.#outgoing = this.#outgoing
      .then(() => this.#state !== CLOSED && task())
      .catch((error) => this.#abandon(error));
  }

  #receive(task) {
    this.#incoming = this.#incoming
      .then(() => this.#state !== CLOSED && task())
      .catch((error) => this.#refuse(error));
  }

  async #opened(subprotocol) {
    if (subprotocol === undefined) throw new IntegrityError("the server did not accept frame-integrity");
    this.#protocol = subprotocol;
    if (this.#offer.kid === null) await this.#ready(null);
  }

  async #ready(greeting) {
    this.#tags = await this.#offer.tags(greeting);
    if (this.#state !== CONNECTING) return;
    this.#state = OPEN;
    this.#emit(new Event("open"));
  }

  async #arrived(data) {
    if (this.#tags === null) {
      await this.#ready(typeof data === "string" ? data : null);
      return;
    }
    const opened =
      typeof data === "string"
        ? await openText(this.#tags.receiving, data)
        : (await openBinary(this.#tags.receiving, new Uint8Array(data))).buffer;
    if (this.#state !== OPEN) return; // a WebSocket delivers nothing once close() was called
    const blob = typeof opened !== "string" && this.#binaryType === "blob";
    const { origin } = new URL(this.#url);
    this.#emit(new MessageEvent("message", { data: blob ? new Blob([opened]) : opened, origin }));
  }

  async #ended({ code, reason, wasClean }) {
    const cause = this.#cause;
    if (this.#tags === null) {
      this.#abandon(new Error("the server refused, or could not be reached", { cause }));
      return;
    }
    if (code === ABNORMAL) {
      this.#abandon(new IntegrityError("the connection ended without a sealed Close", { cause }));
      return;
    }
    const opened = await openReason(this.#tags.receiving, code === NO_CODE ? 0 : code, reason);
    this.#finish(code, opened, wasClean);
  }

  /** Ends the conversation because of what arrived. */
  #refuse(error) {
    if (this.#state === CLOSED) return;
    if (this.#tags === null || !(error instanceof IntegrityError)) {
      this.#abandon(error);
      return;
    }
    const { sending } = this.#tags;
    this.#outgoing = this.#outgoing.then(() => this.#closeForPolicy(sending, error.message)).catch(() => {});
    this.#fail(error, POLICY_VIOLATION, error.message);
  }

  /** Ends it without a word to the peer that could be sealed. */
  #abandon(error) {
    if (this.#state === CLOSED) return;
    if (this.#socket !== null && this.#socket.readyState < CLOSING) this.#socket.close();
    this.#fail(error, ABNORMAL, "");
  }

  #fail(error, code, reason) {
    this.#state = CLOSED;
    this.#emit(new ErrorEvent("error", { message: error.message, error }));
    this.#finish(code, reason, false);
  }

  #finish(code, reason, wasClean) {
    this.#state = CLOSED;
    this.#emit(new CloseEvent("close", { code, reason, wasClean }));
  }

  async #sendClose(code, reason) {
    this.#socket.close(code, await sealReason(this.#tags.sending, code, reason));
  }

  async #closeForPolicy(sending, reason) {
    const socket = this.#socket;
    if (socket.readyState !== OPEN) return;
    const limited = globalThis.WebSocket !== undefined && socket instanceof globalThis.WebSocket;
    const code = limited ? POLICY_VIOLATION_BY_SCRIPT : POLICY_VIOLATION;
    socket.close(code, await sealReason(sending, code, reason));
  }

  #emit(event) {
    this.dispatchEvent(event);
  }

  static {
    const states = Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED });
    for (const [name, value] of states) {
      Object.defineProperty(this, name, { value, enumerable: true });
      Object.defineProperty(this.prototype, name, { value, enumerable: true });
    }
    for (const type of ["open", "message", "error", "close"]) {
      Object.defineProperty(this.prototype, `on${type}`, {
        get() {
          return this.#handlers.get(type) ?? null;
        },
        set(handler) {
          this.removeEventListener(type, this.#handlers.get(type));
          this.#handlers.delete(type);
          if (typeof handler !== "function") return;
          this.#handlers.set(type, handler);
          this.addEventListener(type, handler);
        },
        enumerable: true,
        configurable: true,
      });
    }
  }
}

/** The data as it is now: the caller may change its buffer before the tag is made. */
function copied(data) {
  if (data instanceof Blob) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data.slice(0));
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
}
