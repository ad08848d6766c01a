// Has a page of another origin push: node browser.mjs URL NUMBERS JOB
//
// The job says how the page compresses the numbers, which it pushes twice. The job `examples`
// pushes what promjs renders, in the ways that are listed in sums.txt.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { chromium } from 'playwright-core';

const [gatewayUrl, numbersFile, job] = process.argv.slice(2);
const deadlineMilliseconds = 20000;

const files = {
  '/': ['text/html', new URL('page.html', import.meta.url)],
  '/promjs.min.js': [
    'text/javascript', new URL('node_modules/promjs/browser/promjs.min.js', import.meta.url),
  ],
};

// Whether the browser has to ask first (a preflight) is its own rule, not ours: the Fetch
// standard, "CORS-safelisted method" and "CORS-safelisted request-header".
const fetches = {
  post: { preflights: 0, options: { method: 'POST' } },
  'post text': {
    preflights: 0,
    options: { method: 'POST', headers: { 'Content-Type': 'text/plain; version=0.0.4' } },
  },
  'post keepalive': { preflights: 0, options: { method: 'POST', keepalive: true } },
  'post preflight': {
    preflights: 1,
    options: { method: 'POST', headers: { 'Content-Type': 'application/octet-stream' } },
  },
  put: { preflights: 1, options: { method: 'PUT' } },
};

async function servePage() {
  const server = http.createServer((request, response) => {
    const file = files[new URL(request.url, 'http://page').pathname];
    response.writeHead(file ? 200 : 404, { 'Content-Type': file?.[0] ?? 'text/plain' });
    response.end(file ? readFileSync(file[1]) : 'not found\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function openPage(browser, server, pushUrl) {
  const page = await browser.newPage();
  page.setDefaultTimeout(deadlineMilliseconds);
  const { port } = server.address();
  await page.goto(`http://127.0.0.1:${port}/?push=${encodeURIComponent(pushUrl)}`);
  return page;
}

async function pushWithFetch(browser, server, way, { preflights, options }) {
  // A path of its own for each way, as preflights are remembered by path.
  const page = await openPage(browser, server, `${gatewayUrl}/metrics/job/browser/by/${way}`);
  let preflightsSeen = 0;
  const devtools = await page.context().newCDPSession(page);
  devtools.on('Network.requestWillBeSent', ({ request }) => {
    preflightsSeen += request.method === 'OPTIONS' ? 1 : 0;
  });
  await devtools.send('Network.enable');
  for (let pushes = 0; pushes < 2; pushes += 1) {
    const answer = await page.evaluate(([w, o]) => pushWithFetch(w, o), [way, options]);
    assert.deepEqual(answer, { status: 200, type: 'application/json', text: answer.text }, way);
    assert.deepEqual(JSON.parse(answer.text), {}, way);
  }
  assert.equal(preflightsSeen, preflights, `preflights of ${way}`);
  await page.close();
}

// A browser opens up to six connections to a server at once.
async function pushAtOnce(browser, server) {
  const page = await openPage(browser, server, `${gatewayUrl}/metrics/job/browser`);
  const answers = await page.evaluate(() => Promise.all(
    Array.from({ length: 12 }, () => pushWithFetch('post at once', { method: 'POST' })),
  ));
  assert.deepEqual(answers.map(({ status }) => status), Array(12).fill(200));
  await page.close();
}

async function pushWithBeacons(browser, server) {
  const page = await openPage(browser, server, `${gatewayUrl}/metrics/job/browser`);
  assert(await page.evaluate(() => pushWithBeacon('beacon')));
  assert(await page.evaluate(() => pushWithBeacon('beacon')));
  await page.evaluate(() => pushWithBeaconWhenLeft('beacon when left'));
  await page.goto('about:blank');
  // Nobody answers a beacon: it has arrived when the gateway shows it.
  const arrived = { beacon: '2', 'beacon when left': '1' };
  const deadline = Date.now() + deadlineMilliseconds;
  for (const [way, pushes] of Object.entries(arrived)) {
    const line = new RegExp(`^browser_pushes_total\\{.*way="${way}".*\\} ${pushes}$`, 'm');
    while (!line.test(await (await fetch(`${gatewayUrl}/metrics`)).text())) {
      assert(Date.now() < deadline, `${way}: not on the gateway`);
    }
  }
}

async function readRefusal(browser, server) {
  const page = await openPage(browser, server, `${gatewayUrl}/metrics/`);
  const refusal = await page.evaluate(() => pushBroken());
  assert.equal(refusal.status, 400, `a broken push is answered ${refusal.status}`);
  assert.match(refusal.type, /^text\/plain/);
  assert.match(refusal.text, /^line \d+: [^\n]+\n?$/);
  return refusal.text.trim();
}

async function pushExamples(browser, server) {
  for (const [way, how] of Object.entries(fetches)) {
    await pushWithFetch(browser, server, way, how);
  }
  await pushAtOnce(browser, server);
  await pushWithBeacons(browser, server);
  console.log(`the page reads: ${await readRefusal(browser, server)}`);
}

// `Content-Encoding` makes the browser ask first, whether this field is allowed.
async function pushCompressed(browser, server) {
  const page = await openPage(browser, server, `${gatewayUrl}/metrics/job/${job}`);
  const text = readFileSync(`${numbersFile}.prom`, 'utf8');
  const coding = job.replace('browser-', '');
  for (let pushes = 0; pushes < 2; pushes += 1) {
    const answer = await page.evaluate(([c, t]) => pushCompressed(c, t), [coding, text]);
    assert.equal(answer.status, 200, answer.text);
  }
}

const server = await servePage();
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});
try {
  await (job === 'examples' ? pushExamples : pushCompressed)(browser, server);
} finally {
  await browser.close();
  server.close();
}
