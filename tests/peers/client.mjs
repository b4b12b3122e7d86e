// One conversation through the proxy with Node's `ws`; exits 0 if it went as promised.
// Usage: node client.mjs NAME URL CREDENTIALS_FOLDER
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { WebSocket } from 'ws';

const [name, base, folder] = process.argv.slice(2);
const read = (file) => readFileSync(`${folder}/${file}`);
const credentials = { ca: read('root.pem'), cert: read('client.pem'), key: read('client.key') };
const MiB = 1024 * 1024;

async function open(path, options = {}) {
  const url = new URL(path, base);
  const socket = new WebSocket(url, { ...credentials, maxPayload: 64 * MiB, ...options });
  await once(socket, 'open');
  return socket;
}

// Unlike `once`, waits on when an error comes before the close.
function closed(socket) {
  return new Promise((done) => socket.on('close', (...ending) => done(ending)));
}

async function echo(socket, message) {
  const answer = once(socket, 'message');
  socket.send(message);
  const [data, binary] = await answer;
  assert.equal(binary, typeof message !== 'string');
  assert.ok(Buffer.from(message).equals(data), `${message.length} octets came back changed`);
}

async function everySize(perMessageDeflate) {
  const socket = await open('/echo', { perMessageDeflate });
  for (const size of [0, 1, 125, 126, 127, 65_535, 65_536, MiB]) {
    await echo(socket, randomBytes(size));
    await echo(socket, 'é'.repeat(size));
  }
  return socket;
}

const conversations = {
  async plain() {
    const socket = await everySize(false);
    assert.equal(socket.extensions, '');
  },

  async compressed() {
    const socket = await everySize({ threshold: 0 });
    assert.match(socket.extensions, /^permessage-deflate/);
  },

  async limit() {
    const socket = await open('/echo', { perMessageDeflate: false });
    await echo(socket, randomBytes(16 * MiB));
    socket.on('error', () => {});
    socket.send(randomBytes(16 * MiB + 1));
    const [code] = await closed(socket);
    assert.equal(code, 1009);
  },

  async thousand() {
    const sockets = [];
    for (let batch = 0; batch < 20; batch += 1) {
      sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => open('/echo')))));
    }
    for (const size of [10, 1_000, 20_000]) {
      await Promise.all(sockets.map((socket) => echo(socket, randomBytes(size))));
    }
    for (const socket of sockets) socket.terminate();
  },

  async ping() {
    const socket = await open('/echo');
    const pong = once(socket, 'pong');
    socket.ping('here');
    assert.equal(String(await pong), 'here');
  },

  async closedByClient() {
    const socket = await open('/echo');
    socket.close(4001, 'done');
    const [code, reason] = await closed(socket);
    assert.deepEqual([code, String(reason)], [4001, 'done']);
  },

  async closedByBackend() {
    const socket = new WebSocket(new URL('/close/4002/because', base), credentials);
    const [code, reason] = await closed(socket);
    assert.deepEqual([code, String(reason)], [4002, 'because']);
  },

  async noCertificate() {
    const socket = new WebSocket(new URL('/echo', base), { ca: credentials.ca });
    const [error] = await once(socket, 'error');
    assert.match(error.message, /alert certificate required|ECONNRESET/);
  },

  // Takes Autobahn's cases from a fuzzing server behind the proxy, or beside it for plain ws.
  async autobahn() {
    const count = Number(await said('/getCaseCount'));
    for (let number = 1; number <= count; number += 1) await takeCase(`/runCase?case=${number}&agent=ws`);
    await said('/updateReports?agent=ws');
  },
};

async function said(path) {
  const socket = new WebSocket(new URL(path, base), credentials);
  let text = '';
  socket.on('message', (data) => { text += data; });
  await closed(socket);
  return text;
}

async function takeCase(path) {
  const limits = { maxPayload: 64 * MiB, maxFragments: 1_000_000, maxBufferedChunks: 10_000_000 };
  const socket = new WebSocket(new URL(path, base), { ...credentials, ...limits });
  socket.on('error', () => {});
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  await closed(socket);
}

await conversations[name]();
process.exit(0);
