// Compiled only: the declarations fit a browser's WebSocket and that of ws.
import { SealedWebSocket, type Agreement } from "tidegate-client";
import { WebSocket as NodeWebSocket } from "ws";

const inBrowser = new SealedWebSocket("wss://localhost", "chat", { key: { kid: "k", publicKey: "AA" } });
const inNode = new SealedWebSocket(new URL("wss://localhost"), ["chat"], {
  key: { kid: "k", secret: new Uint8Array(32) },
  WebSocket: NodeWebSocket,
  webSocketOptions: { ca: "" },
});
const plain: SealedWebSocket = new SealedWebSocket("wss://localhost", [], { algorithm: "sha-256", WebSocket });

inBrowser.onmessage = ({ data }) => console.log(data);
inNode.addEventListener("close", ({ code, reason, wasClean }) => console.log(code, reason, wasClean));
plain.onerror = (event) => console.log(event.error.message);
const agreed: Agreement | null = plain.integrity;
const state: 0 | 1 | 2 | 3 = SealedWebSocket.OPEN;
for (const data of ["text", new Uint8Array(1), new ArrayBuffer(1), new Blob([])]) plain.send(data);

// @ts-expect-error a key has a secret or a public half, not both
new SealedWebSocket("wss://localhost", [], { key: { kid: "k", secret: "AA", publicKey: "AA" } });
// @ts-expect-error without a key, sha-256 is asked for by name
new SealedWebSocket("wss://localhost", [], {});
// @ts-expect-error sha-256 takes no key
new SealedWebSocket("wss://localhost", [], { algorithm: "sha-256", key: { kid: "k", secret: "AA" } });
// @ts-expect-error a key that is present has a value
new SealedWebSocket("wss://localhost", [], { key: process.env.KEY && { kid: "k", secret: process.env.KEY } });
// @ts-expect-error no option has this name
new SealedWebSocket("wss://localhost", [], { algorithm: "sha-256", kee: { kid: "k", secret: "AA" } });
console.log(agreed, state);
