// A backend on Node's `ws`: /close/N/TEXT closes at once, anything else echoes. It has no limits of
// its own, so that it passes all of Autobahn's cases.
import { WebSocketServer } from 'ws';

const port = Number(process.argv[2]);
const server = new WebSocketServer({
  host: '127.0.0.1',
  port,
  perMessageDeflate: true,
  maxPayload: 64 * 1024 * 1024,
  maxFragments: 1_000_000,
  maxBufferedChunks: 10_000_000,
});

server.on('connection', (socket, request) => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  const [, name, code, reason] = request.url.split('/');
  if (name === 'close') socket.close(Number(code), decodeURIComponent(reason));
});
