// The Node applications, each set up as its own documents do it.
// Usage: node servers.mjs NAME PORT
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const [name, port] = process.argv.slice(2);

/** https://socket.io/docs/v4/server-initialization */
async function socketio(http) {
  const { Server } = await import('socket.io');
  new Server(http).on('connection', (socket) => {
    socket.emit('hello', { server: port, transport: socket.conn.transport.name });
    socket.on('echo', (message, reply) => reply(message));
    socket.on('later', () => setTimeout(() => socket.emit('at last'), 500));
  });
}

/** https://github.com/sockjs/sockjs-node */
async function sockjs(http) {
  const { default: library } = await import('sockjs');
  const echo = library.createServer({ log() {} });
  echo.on('connection', (connection) => connection.on('data', (message) => connection.write(message)));
  echo.installHandlers(http, { prefix: '/echo' });
}

/** https://the-guild.dev/graphql/ws/get-started; the query over POST is graphql-http's. */
async function graphql(http) {
  const { buildSchema, graphql: execute } = await import('graphql');
  const { useServer } = await import('graphql-ws/use/ws');
  const { WebSocketServer } = await import('ws');
  const schema = buildSchema('type Query { hello: String } type Subscription { greetings: String }');
  const roots = {
    query: { hello: () => 'world' },
    subscription: {
      greetings: async function* () {
        for (const greetings of ['hi', 'bonjour', 'hola']) yield { greetings };
      },
    },
  };
  useServer({ schema, roots }, new WebSocketServer({ server: http, path: '/graphql' }));
  http.on('request', async (request, response) => {
    const { query } = JSON.parse(await content(request));
    const result = await execute({ schema, source: query, rootValue: roots.query });
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(result));
  });
}

/** https://github.com/moscajs/aedes/blob/main/docs/Examples.md (MQTT over WebSocket) */
async function mqtt(http) {
  const { Aedes } = await import('aedes');
  const { WebSocketServer, createWebSocketStream } = await import('ws');
  const broker = await Aedes.createBroker();
  const sockets = new WebSocketServer({ server: http, handleProtocols: (offered) => [...offered][0] });
  sockets.on('connection', (socket, request) => broker.handle(createWebSocketStream(socket), request));
}

/** https://github.com/yjs/y-websocket (its server, in one process with others' sockets) */
async function yjs(http) {
  const { WebSocketServer } = await import('ws');
  const { setupWSConnection } = require('y-websocket/bin/utils');
  new WebSocketServer({ server: http }).on('connection', setupWSConnection);
}

/** https://vite.dev/guide/ with the check of the Host as it is by default */
async function vite() {
  const { createServer: createVite } = await import('vite');
  const server = await createVite({ root: process.argv[4], server: { host: '127.0.0.1', port: +port, strictPort: true } });
  let edits = 0;
  const edit = () => writeFile(`${process.argv[4]}/part.js`, `export const text = 'edited ${++edits}';\n`);
  server.ws.on('page:shown', edit);
  await server.listen();
}

async function content(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

/**
 * A hub with a method `echo`, by the protocol's text: negotiate, then JSON records over any of the three transports.
 * https://github.com/dotnet/aspnetcore/tree/main/src/SignalR/docs/specs
 */
async function signalr(http) {
  const { WebSocketServer } = await import('ws');
  const sockets = new WebSocketServer({ noServer: true });
  const hubs = new Map();
  http.on('upgrade', (request, socket, head) => {
    const hub = hubs.get(new URL(request.url, 'http://x').searchParams.get('id'));
    if (!hub) return socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
    sockets.handleUpgrade(request, socket, head, (opened) => {
      hub.deliverTo((record) => opened.send(record));
      opened.on('message', (data) => hub.received(data.toString()));
    });
  });
  http.on('request', async (request, response) => {
    const url = new URL(request.url, 'http://x');
    if (url.pathname === '/hub/negotiate') return negotiate(hubs, response);
    const hub = hubs.get(url.searchParams.get('id'));
    if (!hub) return response.writeHead(404).end();
    if (request.method === 'POST') {
      hub.received(await content(request));
      return response.writeHead(200).end();
    }
    if (request.method === 'DELETE') return response.writeHead(202).end();
    if (request.headers.accept === 'text/event-stream') return streamEvents(hub, response);
    return poll(hub, response);
  });
}

function negotiate(hubs, response) {
  const connectionToken = randomUUID();
  hubs.set(connectionToken, new Hub());
  const transports = ['WebSockets', 'ServerSentEvents', 'LongPolling'];
  const availableTransports = transports.map((transport) => ({ transport, transferFormats: ['Text', 'Binary'] }));
  const answer = { connectionToken, connectionId: randomUUID(), negotiateVersion: 1, availableTransports };
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
}

function streamEvents(hub, response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  response.write(':\r\n\r\n');
  hub.deliverTo((record) => response.write(`data: ${record}\r\n\r\n`));
}

/** The first poll is answered at once, which says that the connection is there. */
function poll(hub, response) {
  if (!hub.polled) {
    hub.polled = true;
    return response.writeHead(200).end();
  }
  hub.deliverTo((record) => {
    hub.deliver = undefined;
    response.writeHead(200).end(record);
  });
}

/** One client's connection, whatever carries it. */
class Hub {
  waiting = [];

  deliverTo(deliver) {
    this.deliver = deliver;
    while (this.deliver && this.waiting.length) this.deliver(this.waiting.shift());
  }

  send(record) {
    this.waiting.push(`${JSON.stringify(record)}\u001e`);
    if (this.deliver) this.deliverTo(this.deliver);
  }

  received(text) {
    for (const record of text.split('\u001e').filter(Boolean).map(JSON.parse)) {
      if (record.protocol) this.send({});
      if (record.type === 1) this.send({ type: 3, invocationId: record.invocationId, result: record.arguments[0] });
    }
  }
}

const applications = { graphql, mqtt, signalr, socketio, sockjs, yjs };
if (name === 'vite') {
  await vite();
} else {
  const http = createServer();
  await applications[name](http);
  http.listen(+port, '127.0.0.1');
}
