// Looks at the status page in a browser: node status_page.mjs URL [FOLDER FOR SCREENSHOTS]
//
// Pushes hostile labels first. In every size and theme, with scripts and without: nothing of them
// becomes markup, the browser reports no violation of the policy and fetches nothing else, nothing
// is wider than the screen, and searching, opening and sorting work, also by the keyboard alone.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [gatewayUrl, screenshots] = process.argv.slice(2);

const SIZES = [[1280, 900], [390, 844]];
const THEMES = ['light', 'dark'];
const SCRIPTS = [true, false];

const HOSTILE = [
  '</script><script>document.title="owned"</script>',
  '</style><style>body{display:none}</style>',
  '<img src=http://127.0.0.1:1/x onerror=document.title="owned">',
  '\'" autofocus onfocus="document.title=1" style="position:fixed;inset:0"',
  '\u001b[31mred\u001b[0m \u202etxt.exe\u202c \u2066\u200f',
  '\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627',
  '&lt;b&gt;&amp;\ufeff\u0007 a'.repeat(40),
  'w'.repeat(3000),
];

const quoted = (text) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');

async function pushHostile() {
  const lines = ['# TYPE hostile_seconds histogram'];
  HOSTILE.forEach((text, at) => {
    const name = `hostile_${at}_total`;
    lines.push(`# HELP ${name} ${text}`, `# TYPE ${name} counter`);
    lines.push(`${name}{text="${quoted(text)}"} ${at}`);
    const labels = `text="${quoted(text)}"`;
    [[0.1, 3], [0.5, 9], [2.5, 10], ['+Inf', 12]].forEach(([bound, count]) => {
      lines.push(`hostile_seconds_bucket{${labels},le="${bound}"} ${count}`);
    });
    lines.push(`hostile_seconds_sum{${labels}} 7`, `hostile_seconds_count{${labels}} 12`);
  });
  const body = `${lines.join('\n')}\n`;
  const answer = await fetch(`${gatewayUrl}/metrics`, { method: 'POST', body });
  assert.equal(answer.status, 200, await answer.text());
  const path = `/metrics/job/${encodeURIComponent('<i>x')}/x`;
  assert.equal((await fetch(gatewayUrl + path, { method: 'POST', body: 'x 1\n' })).status, 400);
}

// What the page must be like whatever it shows.
async function check(page, seen, what) {
  assert.equal(await page.title(), 'Aggregation gateway', what);
  const found = await page.evaluate(() => ({
    width: document.scrollingElement.scrollWidth - window.innerWidth,
    scripts: document.scripts.length,
    styles: document.styleSheets.length,
    images: document.images.length,
    styled: document.querySelectorAll('body [style]').length,
    background: getComputedStyle(document.body).backgroundColor,
    // Nobody hears a control without a name.
    nameless: [...document.querySelectorAll('a, button, input')].filter(
      (element) => !(element.textContent.trim() || element.labels?.length
        || element.type === 'hidden'),
    ).length,
  }));
  assert(found.width <= 0, `${what}: ${found.width} px too wide`);
  assert.deepEqual(
    [found.scripts, found.styles, found.images, found.styled, found.nameless],
    [1, 1, 0, 0, 0],
    what,
  );
  assert.notEqual(found.background, 'rgba(0, 0, 0, 0)', `${what}: the style is not applied`);
  assert.deepEqual(seen, { errors: [], requests: [] }, what);
}

async function open(browser, [width, height], theme, javaScriptEnabled) {
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: theme, javaScriptEnabled, baseURL: gatewayUrl,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  const seen = { errors: [], requests: [] };
  page.on('console', (message) => {
    if (message.type() === 'error') seen.errors.push(message.text());
  });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('dialog', (dialog) => { seen.errors.push('a dialog'); dialog.dismiss(); });
  page.on('request', (request) => {
    if (!request.isNavigationRequest() && !request.url().startsWith('data:')) {
      seen.requests.push(request.url());
    }
  });
  return { context, page, seen };
}

async function look(browser, size, theme, hasScript) {
  const name = `${size[0]}-${theme}${hasScript ? '' : '-without-script'}`;
  const { context, page, seen } = await open(browser, size, theme, hasScript);
  const shoot = async (what) => {
    await check(page, seen, `${name} ${what}`);
    if (screenshots) {
      await page.screenshot({ path: `${screenshots}/${name}-${what}.png`, fullPage: true });
    }
  };
  await page.goto('/');
  await shoot('start');
  // By the keyboard alone.
  await page.focus('#q');
  await page.keyboard.type('HOSTILE sec');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=HOSTILE/);
  await shoot('search');
  await page.focus('.families tbody a');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, 'none', `${name}: the focus is not seen`);
  await page.keyboard.press('Enter');
  await page.waitForURL(/family=hostile_seconds/);
  assert.equal(await page.locator('.opened tbody tr').count(), HOSTILE.length, name);
  await shoot('opened');
  await page.goto('/?q=hostile');
  await page.click('thead a >> text=Series');
  await page.waitForURL(/sort=series/);
  assert.match(await page.locator('.families tbody a').first().innerText(), /hostile_seconds/);
  for (const [at, text] of HOSTILE.entries()) {
    await page.goto(`/?family=hostile_${at}_total&q=${encodeURIComponent(text.slice(0, 20))}`);
    await check(page, seen, `${name} hostile_${at}`);
  }
  await context.close();
}

async function checkCountdown(browser) {
  const { context, page } = await open(browser, SIZES[0], THEMES[0], true);
  await page.goto('/');
  const uptime = await page.innerText('[data-up]');
  await page.waitForFunction(
    (before) => document.querySelector('[data-up]').textContent !== before, uptime,
  );
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'q');
  await context.close();
}

await pushHostile();
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});
try {
  for (const size of SIZES) {
    for (const theme of THEMES) {
      for (const hasScript of SCRIPTS) {
        await look(browser, size, theme, hasScript);
      }
    }
  }
  await checkCountdown(browser);
  console.log(`the status page in ${SIZES.length * THEMES.length * SCRIPTS.length} browsers`);
} finally {
  await browser.close();
}
