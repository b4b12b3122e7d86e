/** A secret that the proxy holds too. */
export interface SharedKey {
  /** The key's id in the proxy's keyring. */
  kid: string;
  /** 32 to 64 bytes, or the same in base64url. */
  secret: Uint8Array | string;
  publicKey?: undefined;
}

/** The public half of an X25519 key whose private half the proxy holds. */
export interface PublicKey {
  /** The key's id in the proxy's keyring. */
  kid: string;
  /** 32 bytes, or the same in base64url. */
  publicKey: Uint8Array | string;
  secret?: undefined;
}

/** What a constructor must offer to carry the messages: a browser's `WebSocket` and that of `ws` do. */
export type WebSocketConstructor = new (url: string, protocols: string[], options?: object) => {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly protocol: string;
  readonly readyState: number;
  addEventListener(type: any, listener: (event: any) => void): void;
  close(code?: number, reason?: string): void;
  send(data: string | Uint8Array): void;
};

/** How messages are sealed: with a key, or with `sha-256` where that is asked for by name. */
export type Sealing = WithKey | WithoutKey;

export interface WithKey {
  /** For `hmac-sha-256`. Where it is present it must have a value. */
  key: SharedKey | PublicKey;
  algorithm?: "hmac-sha-256";
}

export interface WithoutKey {
  key?: never;
  /** Notices accidents only: whoever can change a message can make its tag. */
  algorithm: "sha-256";
}

export type SealedWebSocketOptions = Sealing & {
  /** The implementation underneath. Default: the global one. */
  WebSocket?: WebSocketConstructor;
  /** Passed to `ws` as its options, for certificates and the like; only together with `WebSocket`. */
  webSocketOptions?: object;
};

/** What a sealed connection uses. */
export interface Agreement {
  algorithm: "hmac-sha-256" | "sha-256";
  /** The key's id; `null` with `sha-256`. */
  kid: string | null;
  binding: "message";
}

/** A message that arrived is not what the peer sent, or the server did not agree to seal messages. */
export class IntegrityError extends Error {}

/** The error event tells why. */
export interface SealedErrorEvent extends Event {
  readonly message: string;
  readonly error: Error;
}

export interface SealedCloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

export interface SealedWebSocketEvents {
  open: Event;
  message: MessageEvent;
  error: SealedErrorEvent;
  close: SealedCloseEvent;
}

type Handler<Type extends keyof SealedWebSocketEvents> =
  | ((this: SealedWebSocket, event: SealedWebSocketEvents[Type]) => void)
  | null;

/** A WebSocket whose messages and Close are sealed; the message binding of Frame Integrity. */
export class SealedWebSocket extends EventTarget {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /**
   * @throws {DOMException} SyntaxError, if the URL or a subprotocol is malformed
   * @throws {TypeError} if an option is unknown, if there is neither a key nor `algorithm: "sha-256"`, if the key has no
   * value or is malformed, or if WebSocket or WebCrypto is missing
   */
  constructor(url: string | URL, protocols: string | string[] | undefined, options: SealedWebSocketOptions);

  readonly url: string;
  /** The application's subprotocol, once open; without the seal's part of the name. */
  readonly protocol: string;
  readonly extensions: "";
  readonly readyState: 0 | 1 | 2 | 3;
  /** Octets that `send` took and the network has not: data, and tags where they are made already. */
  readonly bufferedAmount: number;
  /** What was agreed, once open. */
  readonly integrity: Agreement | null;
  binaryType: "blob" | "arraybuffer";

  onopen: Handler<"open">;
  onmessage: Handler<"message">;
  onerror: Handler<"error">;
  onclose: Handler<"close">;

  /** @throws {DOMException} InvalidStateError, before the connection is open */
  send(data: string | ArrayBuffer | ArrayBufferView | Blob): void;

  /**
   * @param code 1000 (the default) or 3000 to 4999
   * @param reason at most 80 octets of UTF-8
   * @throws {DOMException} InvalidAccessError or SyntaxError
   */
  close(code?: number, reason?: string): void;

  addEventListener<Type extends keyof SealedWebSocketEvents>(
    type: Type,
    listener: (this: SealedWebSocket, event: SealedWebSocketEvents[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
