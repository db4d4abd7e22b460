/** Classifiers of exports beside those of their runs, adapters over one base, and what is no export. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { fitAdapter } from '../src/classify/adapter.js';
import { encodeModel } from '../src/graph/onnx-proto.js';
import {
  type Classifier,
  type ClassifierSource,
  exportRun,
  fineTune,
  type ImagePrediction,
  type OpenOptions,
  openAdapter,
  openClassifier,
  packRun,
  predict,
} from '../src/index.js';
import { aboutExport } from '../src/onnx/about.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
const at = (name: string) => join(root, name);
let images: string[];

async function open(source: ClassifierSource, options: OpenOptions = {}): Promise<Classifier> {
  const classifier = await openClassifier(source, { threads: 1, ...options });
  onTestFinished(() => classifier.close());
  return classifier;
}

async function answerFrom(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A model that says other things of itself. */
function claiming(model: string, claims: Record<string, string>): Buffer {
  const field = (number: number, bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([number * 8 + 2, ...varint(bytes.length)]), bytes]);
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
  const metadata = Object.entries(claims).map(([key, value]) =>
    field(14, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))])),
  );
  return Buffer.concat([readFileSync(at(model)), ...metadata]);
}

/** The largest difference there is. */
const apart = (some: readonly Float32Array[], others: readonly Float32Array[]): number =>
  Math.max(...some.flatMap((row, i) => Array.from(row, (x, k) => Math.abs(x - others[i]![k]!))));

beforeAll(async () => {
  const data = await makeImageFolder(root, 10);
  const common = { ...settings(data, at('three')), epochs: 2 };
  await fineTune({ ...common, protocol: 'val' });
  // the same base and method, two classes
  const two = at('two-classes');
  for (const name of ['red', 'blue']) {
    mkdirSync(join(two, name), { recursive: true });
    for (let i = 0; i < 10; i++) writeFileSync(join(two, name, `${i}.png`), readFileSync(join(data, name, `${i}.png`)));
  }
  await fineTune({ ...common, data: two, out: at('two'), seed: 3 });
  await fineTune({ ...common, out: at('other-method'), method: 'linear', epochs: 1 });
  images = [1, 2, 3, 4].flatMap((i) => ['red', 'green', 'blue'].map((name) => join(data, name, `${i}.png`)));
  await exportRun(at('three'), { out: at('plain') });
  await exportRun(at('three'), { out: at('pixels'), resize: 'graph' });
  await exportRun(at('three'), { out: at('small'), quantize: 'int8' });
  await exportRun(at('three'), { out: at('library'), format: 'transformers.js' });
  await exportRun(at('three'), { out: at('base'), adapterInput: true });
  await exportRun(at('two'), { out: at('base-of-two'), adapterInput: true });
  await packRun(at('two'), at('packed'));
}, 240_000);
afterAll(() => rmSync(root, { recursive: true }));

describe('an export', () => {
  it.each(['plain', 'plain/model.onnx', 'pixels', 'library', 'base'])('(%s) answers as its run does', async (name) => {
    const [run, exported] = [await open(at('three')), await open(at(name))];
    expect(exported.classes).toEqual(run.classes);
    expect(exported.imageSize).toEqual(run.imageSize);
    expect(run.threshold()).toEqual(expect.any(Number));
    expect(exported.threshold()).toBe(run.threshold());
    expect(apart(await exported.logits(images), await run.logits(images))).toBeLessThan(1e-4);
    expect(apart(await exported.features(images), await run.features(images))).toBeLessThan(1e-4);
    expect(apart([await exported.logits(images[0]!)], [(await exported.logits(images))[0]!])).toBeLessThan(1e-4);
  });

  it('in 8 bits answers one image as it does among others, and nearly as the run', async () => {
    const [run, small] = [await open(at('three')), await open(at('small'))];
    const together = await small.logits(images);
    expect(await Promise.all(images.map((image) => small.logits(image)))).toEqual(together);
    expect(apart(together, await run.logits(images))).toBeLessThan(0.5);
    expect(apart(together, await run.logits(images))).toBeGreaterThan(0);
  });

  it('is predicted with, and takes Blobs', async () => {
    const answers = await predict(at('plain'), [images[0]!, new Blob([readFileSync(images[0]!)])], { top: 1 });
    expect(answers[0]!.predictions).toHaveLength(1);
    expect(answers[1]).toEqual({ ...answers[0], path: 'image 2' });
  });

  it('stops when it is asked to', async () => {
    const classifier = await open(at('plain'));
    const stop = new AbortController();
    const asked = classifier.classify(Array(300).fill(images[0]), { signal: stop.signal });
    setTimeout(() => stop.abort(), 5);
    await expect(asked).rejects.toMatchObject({ code: 'run.interrupted' });
    expect((await classifier.classify(images[0]!)).predictions).toHaveLength(3);
  });
});

describe('none of the classes', () => {
  it('is said of as many as the share of validation images that is not kept', async () => {
    const classifier = await open(at('plain'));
    const answers = await classifier.classify(images, { keep: 0.5 });
    const [strict, loose] = [classifier.threshold(0.5)!, classifier.threshold(1)!];
    expect(strict).toBeGreaterThan(loose);
    expect(classifier.threshold()).toBeLessThan(strict);
    for (const { none, familiarity } of answers) expect(none).toBe(familiarity! < strict);
    expect(new Set(answers.map(({ none }) => none)).size).toBe(2);
    expect(() => classifier.threshold(0.2)).toThrow('keep: expected a share from 0.5 to 1');
  });

  it('cannot be told where nobody measured it', async () => {
    const path = join(at('three'), 'result.json');
    const whole = readFileSync(path, 'utf8');
    const { familiarities: _, ...result } = JSON.parse(whole);
    writeFileSync(path, JSON.stringify(result));
    onTestFinished(() => writeFileSync(path, whole));
    const classifier = await open(at('three'));
    expect(classifier.threshold()).toBeNull();
    expect((await classifier.classify(images[0]!)).none).toBeNull();
  });
});

describe('another adapter', () => {
  const places = { run: 'two', 'its file': 'two/student.safetensors', packed: 'packed', exported: 'base-of-two' };
  const bases = { run: 'three', export: 'base' };
  const cases = Object.entries(bases).flatMap(([kind, base]) =>
    Object.entries(places).map(([name, adapter]) => [kind, name, base, adapter] as const),
  );
  it.each(cases)('over a %s (%s) answers as if it were opened with it', async (_, __, base, adapter) => {
    const classifier = await open(at(base));
    const before = await classifier.logits(images);
    const fresh = await open(at('two'));
    await classifier.use(at(adapter));
    expect(classifier.classes).toEqual(['blue', 'red']);
    const after = await classifier.logits(images);
    expect(after[0]).toHaveLength(2);
    expect(apart(after, await fresh.logits(images))).toBeLessThan(1e-4);
    expect(apart(await classifier.features(images), await fresh.features(images))).toBeLessThan(1e-4);
    await classifier.use(await openAdapter(at('three')));
    expect(await classifier.logits(images)).toEqual(before);
  });

  it('answers what is asked from then on, and what was asked before is answered by the one before', async () => {
    const classifier = await open(at('base'));
    const [three, two] = [await openAdapter(at('three')), await openAdapter(at('two'))];
    const expected: ImagePrediction[][] = [];
    for (const adapter of [three, two]) {
      await classifier.use(adapter);
      expected.push(await classifier.classify(images.slice(0, 3)));
    }
    const asked = Array.from({ length: 10 }, (_, i) => {
      void classifier.use(i % 2 === 0 ? three : two);
      return classifier.classify(images.slice(0, 3));
    });
    expect(await Promise.all(asked)).toEqual(asked.map((_, i) => expected[i % 2]));
    expect(expected[0]).not.toEqual(expected[1]);
  });

  it('is refused in a sentence where it does not fit, and nothing changes', async () => {
    const refused = (what: string) => ({ code: 'classifier.adapter', message: expect.stringContaining(what) });
    const classifier = await open(at('three'));
    await expect(classifier.use(at('other-method'))).rejects.toMatchObject(refused('was tuned by linear'));
    const two = await openAdapter(at('two'));
    const elsewhere = { ...two, backboneSha256: '0'.repeat(64) };
    await expect(classifier.use(elsewhere)).rejects.toMatchObject(refused('of another backbone'));
    const tensors = new Map([...two.tensors].slice(1));
    await expect(classifier.use({ ...two, tensors })).rejects.toMatchObject(refused('is missing'));
    expect(classifier.classes).toEqual(['blue', 'green', 'red']);
    const plain = await open(at('plain'));
    await expect(plain.use(two)).rejects.toMatchObject(refused('is part of this model'));
  });

  it('is held against what a base says of itself before anything is reserved for that', async () => {
    const { shape } = aboutExport(readFileSync(at('base/model.onnx')), 'base');
    const two = await openAdapter(at('two'));
    const layout = [...shape!.layout, { name: 'a', shape: [1e12] }];
    expect(() => fitAdapter({ ...shape!, layout }, two)).toThrow('its tensor a is missing, [1000000000000] expected');
    const wider = (...sizes: number[]) =>
      claiming('base/model.onnx', { layout: JSON.stringify([['head.weight', ...sizes]]) });
    expect(() => aboutExport(wider(1e9, 2), 'base')).toThrow('layout is missing or damaged');
    const twice = claiming('base/model.onnx', { layout: '[["a",1],["a",1]]' });
    expect(() => aboutExport(twice, 'base')).toThrow('layout is missing or damaged');
  });
});

describe('what is no export', () => {
  const foreign = (metadata: Record<string, string>) =>
    encodeModel({ opset: 20, nodes: [], initializers: [], inputs: [], outputs: [], metadata });
  it.each([
    ['foreign.onnx', foreign({}), 'onnx.foreign', 'idat did not export'],
    ['later.onnx', foreign({ format: 'idat-onnx-9' }), 'onnx.foreign', 'another version of idat'],
    ['bare.onnx', foreign({ format: 'idat-onnx-1' }), 'onnx.metadata', 'image_size'],
    ['text.onnx', Buffer.from('not a model at all'), 'onnx.format', 'is no ONNX model'],
    ['other.bin', Buffer.from('?'), 'classifier.source', 'neither a run directory nor an export'],
  ])('(%s) is refused', async (name, bytes, code, what) => {
    writeFileSync(at(name), bytes);
    await expect(openClassifier(at(name))).rejects.toMatchObject({ code, message: expect.stringContaining(what) });
  });
});

it('is refused where it has names for more or fewer classes than it answers for', async () => {
  writeFileSync(at('named.onnx'), claiming('plain/model.onnx', { classes: '["a","b"]' }));
  const classifier = await open(at('named.onnx'));
  const refused = {
    code: 'onnx.metadata',
    message: expect.stringContaining('know of 2 classes, and the model answers for 3'),
  };
  await expect(classifier.classify(images[0]!)).rejects.toMatchObject(refused);
});

describe('an address', () => {
  it('is opened as the file is, with the adapter beside it', async () => {
    const url = await answerFrom(({ url: path }, response) => response.end(readFileSync(join(at('base'), path!))));
    const [there, here] = [await open(`${url}/`), await open(at('base'))];
    expect(await there.classify(images)).toEqual(await here.classify(images));
  });

  it('is asked for no adapter beside the model where one is given', async () => {
    const asked: string[] = [];
    const url = await answerFrom(({ url: path }, response) => {
      asked.push(path!);
      response.end(readFileSync(at('base/model.onnx')));
    });
    const classifier = await open(`${url}/`, { adapter: at('two') });
    expect([classifier.classes, asked]).toEqual([['blue', 'red'], ['/model.onnx']]);
  });

  it.each([
    ['a page', 200, { 'content-type': 'text/html' }, 'fetch.page', 'a page (HTML)'],
    ['nothing', 404, {}, 'fetch.failed', 'answered 404'],
    ['too much', 200, { 'content-length': `${2 ** 32}` }, 'fetch.too-large', 'more than the 2.1 GB'],
  ])('that answers with %s is an error in a sentence', async (_, status, headers, code, what) => {
    const url = await answerFrom((_request, response) => {
      response.writeHead(status, headers as Record<string, string>);
      response.write('<html>');
      if (code !== 'fetch.too-large') response.end();
    });
    const refused = { code, message: expect.stringContaining(what) };
    await expect(openClassifier(`${url}/model.onnx?secret=1`)).rejects.toMatchObject(refused);
    await expect(openClassifier(`${url}/model.onnx?secret=1`)).rejects.not.toThrow('secret');
  });
});
