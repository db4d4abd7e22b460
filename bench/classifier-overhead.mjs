/**
 * What a classifier costs beside the bare runtime: single pictures through the bundled student, tuned and exported, ten calls of
 * each side in turn, medians. Both sides run the same .onnx file on one thread. On a machine that others use, too, the clock tells how long a
 * Worker waits to be woken; the processor's time does not.
 *
 *     npm run build && node bench/classifier-overhead.mjs [CALLS]
 *
 * | row | the bare side | the classifier's side |
 * | --- | --- | --- |
 * | a file | decode a JPEG's bytes, resize and normalise it (idat's own functions), run | `classify(bytes)` |
 * | pixels | normalise 32 × 32 planar bytes, run | `classify({ width, height, data })` of the same |
 * | numbers | run alone, on numbers that are ready | the same `classify` of pixels |
 * | an adapter each | run alone, the base with another adapter's numbers as input | `use(adapter)`, `classify` of pixels |
 *
 * The bare side blocks its thread while it runs; the classifier does not, as it runs in a Worker, but for the rows with
 * `worker: false`. In a tab (where there is
 * Chromium: /usr/bin/chromium, or another named by IDAT_CHROMIUM) the rows are `pixels`, `numbers`, and a 640 × 480 canvas, which
 * both sides read (`getImageData`), resize and normalise.
 */
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { chromium } from 'playwright-core';
import { decodeImage } from '../dist/data/node/decode.js';
import { normaliseInto, preprocess } from '../dist/data/preprocess.js';
import { readZip } from '../dist/files/web/zip.js';
import { exportRun, fineTune, openAdapter, openClassifier } from '../dist/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const calls = Number(process.argv[2] ?? 400);
const folder = mkdtempSync(join(tmpdir(), 'idat-overhead-'));
const at = (name) => join(folder, name);
const SIDE = 32;
const [mean, std] = [
  [0.5, 0.5, 0.5],
  [0.5, 0.5, 0.5],
];

const data = join(root, 'assets/eurosat-100.zip');
for (const seed of [1, 2]) await fineTune({ data, epochs: 1, warmupEpochs: 0, seed, out: at(`run-${seed}`) });
await exportRun(at('run-1'), { out: at('plain') });
await exportRun(at('run-1'), { out: at('base'), adapterInput: true });
const entries = await readZip(new Blob([readFileSync(data)]));
const jpeg = await entries.find(({ name }) => name.endsWith('.jpg')).read();
const name = 'a picture';
const small = preprocess(await decodeImage(jpeg, { orient: true, name }), SIDE);

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const times = ([bare, own]) => `${bare.toFixed(3)} and ${own.toFixed(3)} ms, ${(own / bare).toFixed(3)} times`;
const tell = (where, row, { wall, cpu }) =>
  console.log(`${where}, ${row}: bare and classifier ${times(wall)}${cpu ? `; of the processor ${times(cpu)}` : ''}`);

/** Calls of a side before the other's turn: enough for the processor's time to be told, which is counted coarsely. */
const TURN = 10;

/** Medians: of calls by the clock and, where it can be told, of turns by the processor's time, which other programs leave alone. */
async function sideBySide(bare, own) {
  const [wall, cpu] = [
    [[], []],
    [[], []],
  ];
  const spent =
    globalThis.process?.cpuUsage && (() => Object.values(process.cpuUsage()).reduce((x, y) => x + y) / 1000);
  for (let turn = 0; turn < calls / TURN + 4; turn++) {
    for (const side of turn % 2 === 0 ? [0, 1] : [1, 0]) {
      const before = spent?.();
      for (let i = 0; i < TURN; i++) {
        const began = performance.now();
        await (side === 0 ? bare : own)();
        if (turn >= 4) wall[side].push(performance.now() - began);
      }
      if (spent && turn >= 4) cpu[side].push((spent() - before) / TURN);
    }
  }
  return { wall: wall.map(median), cpu: spent ? cpu.map(median) : null };
}

const float = (planar) => {
  const numbers = new Float32Array(planar.length);
  normaliseInto(planar, mean, std, numbers, 0);
  return numbers;
};
const onNumbers = (numbers) => ({ images: new Tensor('float32', numbers, [1, 3, SIDE, SIDE]) });
/** Interleaved, as a canvas or an image library has them. */
const pixels = {
  width: SIDE,
  height: SIDE,
  data: Uint8Array.from(small, (_, i) => small[(i % 3) * SIDE * SIDE + Math.floor(i / 3)]),
};

const options = { intraOpNumThreads: 1, interOpNumThreads: 1 };
const session = await InferenceSession.create(join(at('plain'), 'model.onnx'), options);
const base = await InferenceSession.create(join(at('base'), 'model.onnx'), options);
const ready = onNumbers(float(small));
const adapters = [await openAdapter(at('run-1')), await openAdapter(at('run-2'))];
const parameters = adapters.map(({ tensors }) => {
  const all = Float32Array.from([...tensors.values()].flatMap(({ values }) => Array.from(values)));
  return new Tensor('float32', all, [all.length]);
});
const file = async () =>
  session.run(onNumbers(float(preprocess(await decodeImage(jpeg, { orient: true, name }), SIDE))));

for (const worker of [true, false]) {
  const where = worker ? 'Node' : 'Node, in the caller’s thread';
  const classifier = await openClassifier(at('plain'), { threads: 1, worker });
  const switching = await openClassifier(at('base'), { threads: 1, worker });
  const classify = () => classifier.classify(pixels);
  tell(where, 'a file', await sideBySide(file, () => classifier.classify(jpeg)));
  tell(where, 'pixels', await sideBySide(() => session.run(onNumbers(float(small))), classify));
  tell(where, 'numbers', await sideBySide(() => session.run(ready), classify));
  let turn = 0;
  const bare = () => base.run({ ...ready, parameters: parameters[turn % 2] });
  const own = () => {
    void switching.use(adapters[turn++ % 2]);
    return switching.classify(pixels);
  };
  tell(where, 'an adapter each', await sideBySide(bare, own));
  await classifier.close();
  await switching.close();
}

const executablePath = process.env.IDAT_CHROMIUM ?? '/usr/bin/chromium';
if (existsSync(executablePath)) await inTab();
rmSync(folder, { recursive: true });

async function inTab() {
  const PAGE = `<script type="module">
    import * as idat from '/dist/browser/classifier.js';
    import * as ort from '/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs';
    import { normaliseInto, preprocess } from '/dist/data/preprocess.js';
    import { toRgb } from '/dist/data/pixel-image.js';
    ort.env.wasm.numThreads = 1;
    Object.assign(window, { idat, ort, normaliseInto, preprocess, toRgb });
  </script>`;
  const types = { js: 'text/javascript', mjs: 'text/javascript', wasm: 'application/wasm' };
  const server = createServer(({ url }, response) => {
    const path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
    const path0 = path === '/model.onnx' ? join(at('plain'), 'model.onnx') : resolve(join(root, path));
    const found =
      (path === '/model.onnx' || path0.startsWith(resolve(root) + sep)) &&
      statSync(path0, { throwIfNoEntry: false })?.isFile();
    const type = types[path.split('.').at(-1)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': found ? type : 'text/html' });
    if (found) createReadStream(path0).pipe(response);
    else response.end(PAGE);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/page`);
  await page.waitForFunction(() => 'idat' in window);
  const rows = await page.evaluate(
    async ([count, planar, interleaved, side, functions]) => {
      const { idat, ort, normaliseInto, preprocess, toRgb } = window;
      const sideBySide = new Function(
        'calls',
        `const TURN = 10; const median = ${functions[0]}; return ${functions[1]}`,
      )(count);
      const session = await ort.InferenceSession.create('/model.onnx', { executionProviders: ['wasm'] });
      const classifier = await idat.openClassifier('/model.onnx');
      const small = Uint8Array.from(planar);
      const pixels = { width: side, height: side, data: Uint8Array.from(interleaved) };
      const half = [0.5, 0.5, 0.5];
      const float = (bytes) => {
        const numbers = new Float32Array(bytes.length);
        normaliseInto(bytes, half, half, numbers, 0);
        return numbers;
      };
      const fed = (numbers) => ({ images: new ort.Tensor('float32', numbers, [1, 3, side, side]) });
      const ready = fed(float(small));
      const canvas = new OffscreenCanvas(640, 480);
      const context = canvas.getContext('2d', { willReadFrequently: true });
      for (let i = 0; i < 640; i++) {
        context.fillStyle = `hsl(${i} 50% 50%)`;
        context.fillRect(i, 0, 1, 480);
      }
      const onCanvas = () =>
        session.run(fed(float(preprocess(toRgb(context.getImageData(0, 0, 640, 480), 'canvas'), side))));
      return [
        ['a canvas', await sideBySide(onCanvas, () => classifier.classify(canvas))],
        [
          'pixels',
          await sideBySide(
            () => session.run(fed(float(small))),
            () => classifier.classify(pixels),
          ),
        ],
        [
          'numbers',
          await sideBySide(
            () => session.run(ready),
            () => classifier.classify(pixels),
          ),
        ],
      ];
    },
    [calls, [...small], [...pixels.data], SIDE, [`${median}`, `${sideBySide}`]],
  );
  for (const [row, medians] of rows) tell('Tab', row, medians);
  await browser.close();
  server.close();
}
