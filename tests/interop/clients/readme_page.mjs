// Has a browser run the README's script for pages, and leave the page: node readme_page.mjs URL
// SCRIPT. Ends when the gateway at the URL shows both pushes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { chromium } from 'playwright-core';

const [gatewayUrl, script] = process.argv.slice(2);
const deadlineMilliseconds = 20000;

const server = http.createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/html' });
  response.end(`<!doctype html><script type="module">${readFileSync(script)}</script>\n`);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

async function waitForPushes(count) {
  const deadline = Date.now() + deadlineMilliseconds;
  const line = new RegExp(`^page_views_total\\{.*\\} ${count}$`, 'm');
  while (!line.test(await (await fetch(`${gatewayUrl}/metrics`)).text())) {
    assert(Date.now() < deadline, `not ${count} pushes on the gateway`);
  }
}

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
});
try {
  const page = await browser.newPage();
  const answered = page.waitForEvent('requestfinished', (request) => request.method() === 'POST');
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await answered;
  await waitForPushes(1);
  await page.evaluate(() => 0); // what comes after the response
  await page.goto('about:blank');
  await waitForPushes(2);
  console.log('one push when the page is opened, one when it is left');
} finally {
  await browser.close();
  server.close();
}
