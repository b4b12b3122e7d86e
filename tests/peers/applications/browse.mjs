// Opens a page in headless Chromium and prints what an expression resolves to.
// Usage: NODE_EXTRA_CA_CERTS=FILE node browse.mjs URL EXPRESSION
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { startChromium } from './chromium.js';

const [url, expression] = process.argv.slice(2);

/** Makes Chromium accept the server's certificate, which Node has judged, and no other. */
async function trusting({ hostname, port }) {
  const socket = connect({ host: hostname, servername: hostname, port });
  await once(socket, 'secureConnect');
  const { publicKey } = new X509Certificate(socket.getPeerCertificate().raw);
  socket.destroy();
  const hash = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
  return `--ignore-certificate-errors-spki-list=${hash}`;
}

const chromium = await startChromium([await trusting(new URL(url))]);
try {
  const late = new Promise((_, reject) => setTimeout(reject, 45_000, new Error(`${url}: not within 45 s`)).unref());
  console.log(await Promise.race([chromium.visit(url, expression), late]));
} finally {
  await chromium.stop();
}
