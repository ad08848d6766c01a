// Pushes with prom-client as its README says: node node_client.mjs URL NUMBERS JOB
//
// The job says how the numbers are pushed, twice. The job `examples` pushes all types of metrics
// in the ways that are listed in sums.txt; values are dyadic there, so that sums are exact in any
// order.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import client from 'prom-client';

const [gatewayUrl, numbersFile, job] = process.argv.slice(2);

function registryOfAllTypes() {
  const register = new client.Registry();
  const registers = [register];
  const jobs = new client.Counter({
    name: 'node_jobs_total', help: 'Jobs done.\nBy queue: \\o/', labelNames: ['queue'], registers,
  });
  jobs.inc({ queue: '"\\\nü/λ' }, 1.5);
  new client.Gauge({ name: 'node_files', help: 'Files open.', registers }).set(5);
  // prom-client writes NaN as `Nan`, and its default metrics do so soon after the start.
  new client.Gauge({ name: 'node_nothing_seen', help: 'No mean yet.', registers }).set(NaN);
  const duration = new client.Histogram({
    name: 'node_job_seconds', help: 'Seconds.', buckets: [0.5, 1, 2.5], registers,
  });
  [0.25, 1, 2, 64].forEach((seconds) => duration.observe(seconds));
  new client.Summary({ name: 'node_batch_bytes', help: 'Bytes.', registers }).observe(512);
  return register;
}

let pushesAnswered = 0;

async function push(method, gateway, parameters) {
  const { resp, body } = await gateway[method](parameters);
  assert.equal(resp.statusCode, 200);
  assert.equal(resp.headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(body), {});
  pushesAnswered += 1;
}

async function pushExamples() {
  const register = registryOfAllTypes();
  const gateway = new client.Pushgateway(gatewayUrl, {}, register);
  await push('push', gateway, { jobName: 'node_push' });
  await push('push', gateway, { jobName: 'node_push' });

  const agent = new http.Agent({ keepAlive: true, keepAliveMsecs: 10000, maxSockets: 5 });
  const keepingAlive = new client.Pushgateway(gatewayUrl, { timeout: 5000, agent }, register);
  const groupings = { path: '/tmp', zone: 'a +1%' };
  for (let pushes = 0; pushes < 3; pushes += 1) {
    await push('pushAdd', keepingAlive, { jobName: 'node/add', groupings });
  }
  await Promise.all(Array.from({ length: 20 }, () => (
    push('pushAdd', keepingAlive, { jobName: 'node_parallel' })
  )));
  agent.destroy();

  const withoutJob = new client.Pushgateway(gatewayUrl, { requireJobName: false }, register);
  await push('pushAdd', withoutJob);
  await push('pushAdd', withoutJob);

  client.collectDefaultMetrics();
  const ofTheProcess = new client.Pushgateway(gatewayUrl);
  await push('pushAdd', ofTheProcess, { jobName: 'node_default' });
  await push('push', ofTheProcess, { jobName: 'node_default' });
  console.log(`${pushesAnswered} pushes were answered 200 {}`);
}

// Records that end with NUL, of three fields divided by tabs.
function readNumbers() {
  const records = readFileSync(numbersFile, 'utf8').split('\0').slice(0, -1);
  return records.map((record) => {
    const [kind, label, value] = record.split('\t');
    return { kind, label, value: Number(value) };
  });
}

function registryOf(numbers, contentType) {
  const register = new client.Registry(contentType);
  const enableExemplars = contentType === client.Registry.OPENMETRICS_CONTENT_TYPE;
  const common = { registers: [register], enableExemplars };
  const jobs = new client.Counter({
    name: 'interop_jobs_total', help: 'Jobs done.', labelNames: ['queue'], ...common,
  });
  const level = new client.Gauge({
    name: 'interop_level', help: 'Level.', labelNames: ['place'], registers: [register],
  });
  const seconds = new client.Histogram({
    name: 'interop_job_seconds', help: 'Seconds.', labelNames: ['route'],
    buckets: [0.5, 1, 2.5], ...common,
  });
  const exemplarLabels = { trace_id: 'ü' };
  const add = {
    counter: (queue, value) => (enableExemplars
      ? jobs.inc({ labels: { queue }, value, exemplarLabels }) : jobs.inc({ queue }, value)),
    gauge: (place, value) => level.set({ place }, value),
    histogram: (route, value) => (enableExemplars
      ? seconds.observe({ labels: { route }, value, exemplarLabels })
      : seconds.observe({ route }, value)),
  };
  numbers.forEach(({ kind, label, value }) => add[kind](label, value));
  return register;
}

// The library sends no Content-Type by itself.
const openMetrics = client.Registry.OPENMETRICS_CONTENT_TYPE;
const ways = {
  'node-push': { method: 'push' },
  'node-pushadd': { method: 'pushAdd' },
  'node-gzip': { method: 'pushAdd', headers: { 'Content-Encoding': 'gzip' } },
  'node-openmetrics': {
    method: 'pushAdd', type: openMetrics, headers: { 'Content-Type': openMetrics },
  },
};

async function pushNumbers() {
  const { method, type, headers } = ways[job];
  const register = registryOf(readNumbers(), type);
  const gateway = new client.Pushgateway(gatewayUrl, headers ? { headers } : {}, register);
  await push(method, gateway, { jobName: job });
  await push(method, gateway, { jobName: job });
}

await (job === 'examples' ? pushExamples() : pushNumbers());
