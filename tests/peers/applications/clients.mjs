// One conversation of a real client with its application; exits 0 if it went as promised.
// Usage: NODE_EXTRA_CA_CERTS=FILE node clients.mjs NAME URL [ARGUMENT...]
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import WebSocket from 'ws';

const require = createRequire(import.meta.url);
const [name, base, ...given] = process.argv.slice(2);
const sockets = base.replace(/^http/, 'ws');
const LONG = 'é'.repeat(150_000);

/** With the transports that are given; none: polling, then the upgrade. */
async function socketio() {
  const { io } = await import('socket.io-client');
  const transports = given.length ? given : ['polling', 'websocket', 'webtransport'];
  const socket = io(base, { transports, reconnection: false, forceNew: true });
  const failed = new Promise((_, reject) => socket.on('connect_error', reject).on('disconnect', reject));
  const hello = await Promise.race([new Promise((done) => socket.on('hello', done)), failed]);
  assert.equal(hello.transport, transports[0]);
  if (!given.length && socket.io.engine.transport.name === 'polling') await once(socket.io.engine, 'upgrade');
  assert.equal(socket.io.engine.transport.name, given.length ? given[0] : 'websocket');
  for (const message of ['', 'hello', LONG, Buffer.from([0, 1, 255])]) {
    assert.deepEqual(await socket.timeout(5_000).emitWithAck('echo', message), message);
  }
  const messages = Array.from({ length: 50 }, (_, index) => index);
  assert.deepEqual(await Promise.all(messages.map((it) => socket.emitWithAck('echo', it))), messages);
  const atLast = new Promise((done) => socket.on('at last', done));
  socket.emit('later');
  await Promise.race([atLast, failed]);
  socket.off('disconnect').close();
}

/** Many at once, whose polls only one of several servers knows. */
async function sticky() {
  await Promise.all(Array.from({ length: 10 }, socketio));
}

async function sockjs() {
  const { default: SockJS } = await import('sockjs-client');
  const socket = new SockJS(`${base}/echo`, undefined, { transports: given });
  const messages = [];
  const opened = new Promise((done) => (socket.onopen = done));
  const closed = new Promise((_, reject) => (socket.onclose = (event) => reject(new Error(JSON.stringify(event)))));
  await Promise.race([opened, closed]);
  assert.equal(socket.transport, given[0]);
  const all = new Promise((done) => {
    socket.onmessage = ({ data }) => messages.push(data) === 3 && done();
  });
  for (const message of ['hello', LONG, 'bye']) socket.send(message);
  await Promise.race([all, closed]);
  assert.deepEqual(messages, ['hello', LONG, 'bye']);
  closed.catch(() => {});
  socket.close();
}

async function signalr() {
  const { HttpTransportType, HubConnectionBuilder, LogLevel } = await import('@microsoft/signalr');
  const transport = HttpTransportType[given[0]];
  const hub = new HubConnectionBuilder().withUrl(`${base}/hub`, transport).configureLogging(LogLevel.Error).build();
  await hub.start();
  for (const message of ['', 'hello', LONG]) assert.equal(await hub.invoke('echo', message), message);
  await hub.stop();
}

async function graphql() {
  const { createClient } = await import('graphql-ws');
  const response = await fetch(`${base}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query: '{ hello }' }),
  });
  assert.deepEqual(await response.json(), { data: { hello: 'world' } });
  const client = createClient({ url: `${sockets}/graphql`, webSocketImpl: WebSocket });
  const seen = [];
  for await (const { data } of client.iterate({ query: 'subscription { greetings }' })) seen.push(data.greetings);
  assert.deepEqual(seen, ['hi', 'bonjour', 'hola']);
  for await (const { data } of client.iterate({ query: '{ hello }' })) assert.deepEqual({ ...data }, { hello: 'world' });
  await client.dispose();
}

async function mqtt() {
  const { default: library } = await import('mqtt');
  const client = await library.connectAsync(sockets, { protocolVersion: 4, reconnectPeriod: 0 });
  await client.subscribeAsync('room/+', { qos: 1 });
  for (const message of ['hello', LONG]) {
    const arrived = once(client, 'message');
    await client.publishAsync('room/one', message, { qos: 1 });
    const [topic, payload] = await arrived;
    assert.deepEqual([topic, payload.toString()], ['room/one', message]);
  }
  await client.endAsync();
}

async function stomp() {
  const { Client } = await import('@stomp/stompjs');
  const client = new Client({ webSocketFactory: () => new WebSocket(`${sockets}/ws`, ['v12.stomp']), reconnectDelay: 0 });
  client.connectHeaders = { login: 'guest', passcode: 'guest' };
  const arrived = new Promise((done) => {
    client.onConnect = () => {
      client.subscribe('/queue/room', ({ body }) => done(body));
      client.publish({ destination: '/queue/room', body: LONG });
    };
  });
  client.activate();
  assert.equal(await arrived, LONG);
  await client.deactivate();
}

async function yjs() {
  const Y = require('yjs');
  const { WebsocketProvider } = require('y-websocket');
  const [one, two] = [new Y.Doc(), new Y.Doc()];
  const providers = [one, two].map((document) => {
    const options = { WebSocketPolyfill: WebSocket, disableBc: true };
    return new WebsocketProvider(sockets, new URL(base).port, document, options);
  });
  await Promise.all(providers.map((provider) => new Promise((done) => provider.once('sync', done))));
  const arrived = new Promise((done) => two.getText('text').observe(done));
  one.getText('text').insert(0, LONG);
  await arrived;
  assert.equal(two.getText('text').toString(), LONG);
  providers.forEach((provider) => provider.destroy());
}

const conversations = { graphql, mqtt, signalr, socketio, sockjs, sticky, stomp, yjs };
setTimeout(() => {
  console.error(`${name}: not within 50 s`);
  process.exit(1);
}, 50_000).unref();
await conversations[name]();
process.exit(0);
