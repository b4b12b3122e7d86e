// One conversation of the JavaScript client over Node's `ws`, told as JSON.
//
//   echo '{"client": "…/clients/js/src/index.js", "url": "wss://…", "folder": CREDENTIALS,
//          "sealing": {"key": …}, "messages": [TEXT…], "echoes": N}' | node sealed.mjs

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';

const { client, url, folder, sealing, messages, echoes } = JSON.parse(readFileSync(0, 'utf8'));
const { SealedWebSocket } = await import(client);
const read = (name) => readFileSync(join(folder, name));
const webSocketOptions = { ca: read('root.pem'), cert: read('client.pem'), key: read('client.key') };

const outcome = { received: [], errors: [], integrity: null };
const socket = new SealedWebSocket(url, [], { ...sealing, WebSocket, webSocketOptions });
socket.onopen = () => {
  outcome.integrity = socket.integrity;
  for (const message of messages) socket.send(message);
};
socket.onmessage = ({ data }) => {
  outcome.received.push(data);
  if (outcome.received.length === echoes) socket.close(1000, 'done');
};
socket.onerror = ({ error }) => outcome.errors.push(`${error.name}: ${error.message}`);
socket.onclose = ({ code, reason, wasClean }) => {
  const told = JSON.stringify({ ...outcome, close: { code, reason, wasClean } });
  process.stdout.write(told, () => process.exit(0));
};
