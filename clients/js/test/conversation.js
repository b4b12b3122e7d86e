import { WebSocket } from "ws";
import { SealedWebSocket } from "tidegate-client";

/** A sealed socket over `ws`, and what happens to it. */
export class Conversation {
  messages = [];
  errors = [];
  #waiting = [];

  constructor(url, { protocols = [], binaryType = "arraybuffer", ...sealing } = {}) {
    this.socket = new SealedWebSocket(url, protocols, { ...sealing, WebSocket });
    this.socket.binaryType = binaryType;
    this.opened = new Promise((resolve) => this.socket.addEventListener("open", resolve));
    this.closed = new Promise((resolve) => this.socket.addEventListener("close", resolve));
    this.socket.addEventListener("error", (event) => this.errors.push(event.error));
    this.socket.addEventListener("message", ({ data }) => {
      this.messages.push(data instanceof ArrayBuffer ? new Uint8Array(data) : data);
      this.#waiting.shift()?.(data);
    });
  }

  /** The next message that arrives. */
  next() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Resolves when so many messages have arrived, or the connection has ended. */
  async received(count) {
    let ended = false;
    this.closed.then(() => (ended = true));
    while (!ended && this.messages.length < count) await Promise.race([this.next(), this.closed]);
  }
}
