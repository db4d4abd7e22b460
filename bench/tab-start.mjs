/**
 * How long a tab takes from the call of fineTune to its first step, with an empty cache: files fetched over a line of so many
 * megabits a second (text and WebAssembly compressed, as servers send them), runtime started, pictures decoded, programs made.
 *
 *     npm run build && node bench/tab-start.mjs [ROUNDS] [MBIT] [DIST]      default: 5 rounds, 50 Mbit/s, this package's dist/browser
 *
 * Another folder DIST, of an earlier build, is measured in turn with this one. Needs Chromium (/usr/bin/chromium, or another
 * named by IDAT_CHROMIUM).
 */
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('..', import.meta.url));
const rounds = Number(process.argv[2] ?? 5);
const bytesPerMs = (Number(process.argv[3] ?? 50) * 1e6) / 8 / 1000;
const folders = { now: join(root, 'dist/browser'), ...(process.argv[4] && { before: resolve(process.argv[4]) }) };
const [student, teacher] = ['vit_micro_patch4_32.cifar10', 'vit_nano_patch4_32.cifar10'];
const TYPES = { js: 'text/javascript', wasm: 'application/wasm' };

const packed = new Map();
function answerOf(path) {
  const [, folder, name] = /^\/(now|before)\/([\w.-]+)$/.exec(path) ?? [];
  const file = folder in folders ? join(folders[folder], name) : join(root, path);
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return null;
  const type = TYPES[file.split('.').at(-1)];
  if (!packed.has(file)) packed.set(file, type ? gzipSync(readFileSync(file)) : readFileSync(file));
  return { bytes: packed.get(file), type };
}

/** All answers share the line: what it is busy with until when. */
let busyUntil = 0;
async function send(response, bytes) {
  for (let at = 0; at < bytes.length; at += 65536) {
    const part = bytes.subarray(at, at + 65536);
    busyUntil = Math.max(busyUntil, performance.now()) + part.length / bytesPerMs;
    await new Promise((done) => setTimeout(done, busyUntil - performance.now()));
    response.write(part);
  }
  response.end();
}
const server = createServer(({ url }, response) => {
  const { pathname, search } = new URL(url, 'http://localhost');
  const found = pathname === '/page' ? null : answerOf(pathname);
  const headers = { 'cache-control': 'no-store' };
  if (!found) {
    response.writeHead(200, { ...headers, 'content-type': 'text/html' });
    const from = search.slice(1);
    response.end(`<script type="module">import * as i from "/${from}/idat.js"; window.idat = i;</script>`);
    return;
  }
  const { bytes, type } = found;
  const encoding = type ? { 'content-type': type, 'content-encoding': 'gzip' } : {};
  response.writeHead(200, { ...headers, ...encoding, 'content-length': bytes.length });
  void send(response, bytes);
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const url = `http://127.0.0.1:${server.address().port}`;

async function start(folder) {
  const browser = await chromium.launch({
    executablePath: process.env.IDAT_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  const page = await browser.newPage();
  await page.goto(`${url}/page?${folder}`);
  await page.waitForFunction(() => 'idat' in window);
  const seconds = await page.evaluate(
    async ([student, teacher]) => {
      const of = (name) => `/assets/models/${name}.safetensors`;
      const weights = { student: of(student), teacher: of(teacher) };
      const stop = new AbortController();
      const began = performance.now();
      let first = null;
      const onProgress = (event) => {
        if (event.kind !== 'step') return;
        first ??= (performance.now() - began) / 1000;
        stop.abort();
      };
      const request = {
        student,
        teacher,
        weights,
        data: '/assets/eurosat-100.zip',
        run: 'start',
        replicas: 2,
        epochs: 1,
      };
      await window.idat
        .fineTune({ ...request, warmupEpochs: 0 }, { onProgress, signal: stop.signal })
        .catch((error) => {
          if (error.code !== 'run.interrupted') throw error;
        });
      return first;
    },
    [student, teacher],
  );
  await browser.close();
  return seconds;
}

const all = Object.fromEntries(Object.keys(folders).map((name) => [name, []]));
for (let round = 1; round <= rounds; round++) {
  for (const folder of Object.keys(folders)) all[folder].push(await start(folder));
  console.log(
    Object.entries(all)
      .map(([name, times]) => `${name} ${times.at(-1).toFixed(2)} s`)
      .join(', '),
  );
}
for (const [name, times] of Object.entries(all)) {
  const [low, middle] = [0, Math.floor(times.length / 2)].map((at) => [...times].sort((a, b) => a - b)[at]);
  console.log(`${name}: ${middle.toFixed(2)} s to the first step (median), ${low.toFixed(2)} s at best`);
}
server.close();
