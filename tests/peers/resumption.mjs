// One attempt of Node's `ws` to come in; prints one line of JSON: whether the TLS session was resumed, and the verdict.
// Usage: node resumption.mjs URL CA CHAIN KEY TLS_VERSION save|resume|full SESSION_FILE; CHAIN "-": shows none.
import { readFileSync, writeFileSync } from 'node:fs';
import { WebSocket } from 'ws';

const [url, ca, chain, key, version, how, file] = process.argv.slice(2);
const shown = chain === '-' ? {} : { cert: readFileSync(chain), key: readFileSync(key) };
let connection;
let session;

function tell(verdict) {
  if (how === 'save') writeFileSync(file, session);
  console.log(JSON.stringify({ verdict, resumed: Boolean(connection.isSessionReused()) }));
  process.exit(0);
}

function watch(request) {
  request.on('socket', (socket) => {
    connection = socket;
    socket.on('session', (ticket) => { session = ticket; });
  });
  request.end();
}

const socket = new WebSocket(url, {
  ...shown,
  ca: readFileSync(ca),
  minVersion: version,
  maxVersion: version,
  session: how === 'resume' ? readFileSync(file) : undefined,
  perMessageDeflate: false,
  finishRequest: watch,
});
socket.on('message', (message) => {
  const told = JSON.parse(String(message)).fields.some(([name]) => name === 'client-cert');
  tell(told ? 'in, with a certificate' : 'in, without a certificate');
});
socket.on('unexpected-response', (_, response) => tell(String(response.statusCode)));
socket.on('error', () => tell('no TLS'));
