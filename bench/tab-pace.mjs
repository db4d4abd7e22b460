/**
 * How fast a tab trains beside Node on one thread: the bundled pair on the bundled pictures, in turn, with equal calls. The
 * first epoch, in which frozen prefixes are computed, is left out. Beside it the floor of each: the step's matrix products at the
 * speed of one large product through the same runtime, [788, 768]·[768, 3072], and of the largest that the step has.
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
import { resolveBackbone } from '../dist/backbones/node/registry.js';
import { matrixPeakFeeds, matrixPeakProgram } from '../dist/bench/matrix-peak.js';
import { emit } from '../dist/graph/emit.js';
import { constant, input, linear } from '../dist/graph/ops/index.js';
import { fineTune } from '../dist/index.js';
import { withRuntime } from '../dist/runtime/node/start.js';
import { parseConfig } from '../dist/settings/config.js';
import { planOf } from '../dist/settings/plan.js';
import { median } from '../dist/statistics/index.js';
import { modelSpecs, prefixesOf, stepOf } from '../dist/train/specs.js';

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

const plan = planOf(parseConfig({ data: 'any', ...SETTINGS }));
const backbones = { student: await resolveBackbone(student, {}), teacher: await resolveBackbone(teacher, {}) };
const specs = modelSpecs(plan.models, backbones, 10);
const flopsPerImage =
  stepOf(plan, specs, prefixesOf(specs, plan), SETTINGS.microBatch).program.flops / SETTINGS.microBatch;

/** The first layer of the student's MLP, for the images of one call. */
function ownProduct() {
  const { imageSize, patchSize, width, mlpWidth } = backbones.student.config;
  const rows = SETTINGS.microBatch * ((imageSize / patchSize) ** 2 + 1);
  const weight = constant(
    [mlpWidth, width],
    Float32Array.from({ length: mlpWidth * width }, (_, i) => Math.sin(i)),
  );
  const x = Float32Array.from({ length: rows * width }, (_, i) => Math.cos(i));
  return { program: emit({ y: linear(input('x', [rows, width]), weight) }), feeds: { x } };
}
const PRODUCTS = { large: { program: matrixPeakProgram(), feeds: matrixPeakFeeds() }, own: ownProduct() };
const READINGS = 30;

const server = createServer(({ url }, response) => {
  const product = /^\/product-(\w+)$/.exec(url)?.[1];
  if (product) {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.end(PRODUCTS[product].program.model);
    return;
  }
  const file = join(root, new URL(url, 'http://localhost').pathname);
  const found = statSync(file, { throwIfNoEntry: false })?.isFile() && file.startsWith(root);
  const type =
    { js: 'text/javascript', mjs: 'text/javascript', wasm: 'application/wasm' }[file.split('.').at(-1)] ??
    'application/octet-stream';
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

/** GFLOP/s of a product, at the median and at best. */
const speeds = (name, times) =>
  [median(times), Math.min(...times)].map((ms) => PRODUCTS[name].program.flops / ms / 1e6);

const productInNode = (name) =>
  withRuntime({ device: 'cpu', threads: 1 }, async (runtime) => {
    const { program, feeds } = PRODUCTS[name];
    const session = await runtime.load(() => program);
    const times = [];
    for (let i = 0; i < READINGS; i++) {
      const began = performance.now();
      await session.run(feeds);
      times.push(performance.now() - began);
    }
    return speeds(name, times);
  });

async function productInTab(name) {
  const { x } = PRODUCTS[name].feeds;
  const { shape } = PRODUCTS[name].program.inputs.x;
  const times = await page.evaluate(
    async ([name, length, shape, readings]) => {
      const ort = await import('/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs');
      ort.env.wasm.numThreads = 1;
      const model = new Uint8Array(await (await fetch(`/product-${name}`)).arrayBuffer());
      const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
      const x = new ort.Tensor(
        'float32',
        Float32Array.from({ length }, (_, i) => Math.cos(i)),
        shape,
      );
      const times = [];
      for (let i = 0; i < readings; i++) {
        const began = performance.now();
        await session.run({ x });
        times.push(performance.now() - began);
      }
      await session.release();
      return times;
    },
    [name, x.length, shape, READINGS],
  );
  return speeds(name, times);
}

console.log(`${(flopsPerImage / 1e6).toFixed(0)} MFLOP an image of the step`);
for (let round = 1; round <= rounds; round++) {
  const [node, tab] = [await inNode(round), await inTab(round)];
  console.log(`Node ${node.toFixed(2)} ms/image, tab ${tab.toFixed(2)} ms/image: ${(tab / node).toFixed(2)} times`);
  for (const name of Object.keys(PRODUCTS)) {
    const told = async (where, ms, [, best]) => {
      const floor = flopsPerImage / best / 1e6;
      return `${where} ${best.toFixed(0)} GFLOP/s, floor ${floor.toFixed(2)} ms/image, the step reaches ${((100 * floor) / ms).toFixed(0)} %`;
    };
    console.log(
      `  ${name} product: ${await told('Node', node, await productInNode(name))}; ${await told('tab', tab, await productInTab(name))}`,
    );
  }
}
await browser.close();
server.close();
rmSync(folder, { recursive: true });
