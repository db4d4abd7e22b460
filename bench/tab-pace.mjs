/**
 * How fast a tab trains beside Node on one thread: the bundled pair on the bundled pictures, in turn, with equal calls. The
 * first epoch, in which frozen prefixes are computed, is left out.
 *
 *     npm run build && node bench/tab-pace.mjs [ROUNDS]
 *
 * Needs Chromium (/usr/bin/chromium, or another named by IDAT_CHROMIUM).
 */
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { fineTune } from '../dist/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const rounds = Number(process.argv[2] ?? 3);
const [student, teacher] = ['vit_micro_patch4_32.cifar10', 'vit_nano_patch4_32.cifar10'];
const SETTINGS = {
  student,
  teacher,
  epochs: 4,
  warmupEpochs: 0,
  batchSize: 48,
  microBatch: 16,
  protocol: 'last',
  replicas: 1,
};

const server = createServer(({ url }, response) => {
  const file = join(root, new URL(url, 'http://localhost').pathname);
  const found = statSync(file, { throwIfNoEntry: false })?.isFile() && file.startsWith(root);
  const type =
    { js: 'text/javascript', wasm: 'application/wasm' }[file.split('.').at(-1)] ?? 'application/octet-stream';
  response.writeHead(200, { 'content-type': found ? type : 'text/html' });
  if (found) createReadStream(file).pipe(response);
  else response.end('<script type="module">import * as i from "/dist/browser/idat.js"; window.idat = i;</script>');
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const folder = mkdtempSync(join(tmpdir(), 'idat-tab-pace-'));
const browser = await chromium.launch({
  executablePath: process.env.IDAT_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/page`);
await page.waitForFunction(() => 'idat' in window);

/** Milliseconds an image of the fastest epoch but the first. */
const fastest = (epochs, images) => (1000 * Math.min(...epochs.slice(1))) / images;

async function inNode(round) {
  const epochs = [];
  let images = 0;
  const onProgress = (event) => {
    if (event.kind === 'epoch') epochs.push(event.seconds);
    if (event.kind === 'step') images = event.steps * SETTINGS.batchSize;
  };
  const data = join(root, 'assets/eurosat-100.zip');
  const out = join(folder, `${round}`);
  await fineTune({ ...SETTINGS, data, out, device: 'cpu', threads: 1 }, { onProgress });
  return fastest(epochs, images);
}

async function inTab(round) {
  const [epochs, images] = await page.evaluate(
    async ([settings, run]) => {
      const epochs = [];
      let images = 0;
      const onProgress = (event) => {
        if (event.kind === 'epoch') epochs.push(event.seconds);
        if (event.kind === 'step') images = event.steps * settings.batchSize;
      };
      const of = (name) => `/assets/models/${name}.safetensors`;
      const weights = { student: of(settings.student), teacher: of(settings.teacher) };
      await window.idat.fineTune({ ...settings, weights, run, data: '/assets/eurosat-100.zip' }, { onProgress });
      return [epochs, images];
    },
    [SETTINGS, `pace-${round}`],
  );
  return fastest(epochs, images);
}

for (let round = 1; round <= rounds; round++) {
  const [node, tab] = [await inNode(round), await inTab(round)];
  console.log(`Node ${node.toFixed(2)} ms/image, tab ${tab.toFixed(2)} ms/image: ${(tab / node).toFixed(2)} times`);
}
await browser.close();
server.close();
rmSync(folder, { recursive: true });
