/**
 * What Teachable Machine does, on the tasks the page is measured on: a dense head on the features of a frozen MobileNet.
 *
 *     npm ci --prefix bench/teachable
 *     node bench/teachable/teachable.mjs FOLDER TASK... [--counts 20,100] [--test 600]
 *
 * FOLDER holds TASK-20.zip and TASK-100.zip, as tools/few-images.mjs makes them; --test measures on the first test images
 * alone, whose order is shuffled. Prints a line of JSON for each task and
 * number of pictures. The head is that of @teachablemachine/image 0.8.5: 100 ReLU units and a softmax, Adam at 0.001, 50
 * passes in batches of 16, on the pooled last features at 224 × 224. Its MobileNet (v2, width 0.35, ImageNet) is fetched
 * from a server and in no package; this one is nsfwjs' MobileNet v2 (width 1, ImageNet, tuned further on another matter),
 * whose weights lie in the package, rounded to 8 bits.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import sharp from 'sharp';
import { readZip } from '../../dist/files/web/zip.js';

const SIDE = 224;
const [EPOCHS, BATCH, RATE, UNITS] = [50, 16, 1e-3, 100];
const SEEDS = [1, 2, 3];
const require = createRequire(import.meta.url);
setWasmPaths(`${join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'dist')}/`);
await tf.setBackend('wasm');
await tf.ready();

/** The model up to its pooled features. */
async function mobileNet() {
  const folder = join(dirname(require.resolve('nsfwjs')), '../models/mobilenet_v2');
  const { modelTopology, weightsManifest } = require(join(folder, 'model.min.js'));
  const encoded = require(join(folder, 'group1-shard1of1.min.js'));
  const bytes = Buffer.from(encoded, 'base64');
  const weightSpecs = weightsManifest.flatMap(({ weights }) => weights);
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const whole = await tf.loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
  return whole;
}

async function pixels(bytes) {
  const { data } = await sharp(bytes)
    .resize(SIDE, SIDE, { fit: 'cover', kernel: 'cubic' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return Float32Array.from(data, (byte) => byte / 255);
}

async function lists(path) {
  const entries = new Map((await readZip(new Blob([readFileSync(path)]))).map((entry) => [entry.name, entry]));
  const list = async (name) =>
    new TextDecoder()
      .decode(await entries.get(name).read())
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
  const [train, test] = [await list('train.txt'), await list('test.txt')];
  return { train, test, read: async (name) => Buffer.from(await entries.get(name).read()) };
}

const features = new Map();
async function featuresOf(model, { read }, names) {
  for (let at = 0; at < names.length; at += 8) {
    const some = names.slice(at, at + 8).filter((name) => !features.has(name));
    if (some.length === 0) continue;
    const data = await Promise.all(some.map(async (name) => pixels(await read(name))));
    const rows = tf.tidy(() => {
      const all = new Float32Array(some.length * data[0].length);
      for (const [i, one] of data.entries()) all.set(one, i * one.length);
      const images = tf.tensor4d(all, [some.length, SIDE, SIDE, 3]);
      return model.predict(images).mean([1, 2]);
    });
    const values = await rows.array();
    rows.dispose();
    process.stderr.write(`\r${features.size} pictures`);
    for (const [i, name] of some.entries()) features.set(name, values[i]);
  }
  return names.map((name) => features.get(name));
}

async function accuracy(train, test, classes, seed) {
  const head = tf.sequential({
    layers: [
      tf.layers.dense({
        ...{ inputShape: [train.x[0].length], units: UNITS, activation: 'relu', useBias: true },
        kernelInitializer: tf.initializers.varianceScaling({ seed }),
      }),
      tf.layers.dense({
        ...{ units: classes, useBias: false, activation: 'softmax' },
        kernelInitializer: tf.initializers.varianceScaling({ seed: seed + 100 }),
      }),
    ],
  });
  head.compile({ optimizer: tf.train.adam(RATE), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  const [x, y] = [tf.tensor2d(train.x), tf.oneHot(tf.tensor1d(train.y, 'int32'), classes)];
  await head.fit(x, y, { epochs: EPOCHS, batchSize: BATCH, shuffle: true, verbose: 0 });
  const answers = await head.predict(tf.tensor2d(test.x)).argMax(-1).array();
  return answers.filter((answer, i) => answer === test.y[i]).length / test.y.length;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { counts: { type: 'string', default: '20,100' }, test: { type: 'string', default: 'Infinity' } },
});
const [folder, ...tasks] = positionals;
const whole = await mobileNet();
const last =
  whole.layers.find(({ name }) => name === 'out_relu') ?? whole.layers.findLast((one) => one.outputShape.length === 4);
const model = tf.model({ inputs: whole.inputs, outputs: last.output });
for (const task of tasks) {
  features.clear();
  for (const count of values.counts.split(',').map(Number)) {
    const data = await lists(join(folder, `${task}-${count}.zip`));
    const began = performance.now();
    const part = async (list) => ({
      x: await featuresOf(
        model,
        data,
        list.map(([name]) => name),
      ),
      y: list.map(([, label]) => Number(label)),
    });
    const [train, test] = [await part(data.train), await part(data.test.slice(0, Number(values.test)))];
    const classes = Math.max(...test.y) + 1;
    const accuracies = [];
    for (const seed of SEEDS) accuracies.push(await accuracy(train, test, classes, seed));
    const mean = accuracies.reduce((a, b) => a + b, 0) / accuracies.length;
    const seconds = (performance.now() - began) / 1000;
    console.log(
      JSON.stringify({
        task,
        count,
        layer: last.name,
        width: train.x[0].length,
        tested: test.y.length,
        mean,
        accuracies,
        seconds,
      }),
    );
  }
}
