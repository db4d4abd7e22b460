/** A run that stays loaded: the same answers whatever an image is and whoever else asks, until it is closed. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { parseSafetensorsHeader } from '../src/files/safetensors.js';
import {
  type Classifier,
  evaluateRun,
  type ImageSource,
  openClassifier,
  openRun,
  type PixelImage,
  predict,
} from '../src/index.js';
import { randomStream } from '../src/random.js';
import { copyRuns } from './old-run-support.js';

const workers = vi.hoisted(() => ({ started: 0 }));
vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof import('node:worker_threads')>();
  class Counted extends real.Worker {
    constructor(...given: ConstructorParameters<typeof real.Worker>) {
      super(...given);
      workers.started++;
    }
  }
  return { ...real, Worker: Counted };
});

const root = mkdtempSync(join(tmpdir(), 'idat-classifier-'));
const { finished, stopped } = copyRuns('0.1', root);
const photo = (name: string) => join(root, 'images', name);
const weights = join(root, 'student.safetensors');
afterAll(() => rmSync(root, { recursive: true }));

async function open(run = finished, options: Parameters<typeof openClassifier>[1] = {}): Promise<Classifier> {
  const classifier = await openClassifier(run, options);
  onTestFinished(() => classifier.close());
  return classifier;
}

/** Noise, another one for each number. */
function noise(i: number): PixelImage {
  const random = randomStream(1, 'noise', i);
  const [width, height] = [6 + (i % 5), 6 + (i % 3)];
  return { width, height, data: Uint8Array.from({ length: 3 * width * height }, () => random.below(256)) };
}
const noises = (count: number) => Array.from({ length: count }, (_, i) => noise(i));

async function rgba(path: string): Promise<PixelImage> {
  const { data, info } = await sharp(path).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: Uint8ClampedArray.from(data) };
}

function softmax(logits: Float32Array): number[] {
  const sum = logits.reduce((total, x) => total + Math.exp(x), 0);
  return Array.from(logits, (x) => Math.exp(x) / sum);
}

function expectClose(found: readonly ArrayLike<number>[], expected: readonly ArrayLike<number>[]) {
  expect(found.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
  const worst = Math.max(...found.flatMap((row, i) => Array.from(row, (x, k) => Math.abs(x - expected[i]![k]!))));
  expect(worst).toBeLessThan(1e-5);
}

describe('answers', () => {
  it('are the same for path, Buffer, bytes and RGBA pixels of an image', async () => {
    const classifier = await open();
    const path = photo('red.png');
    const forms = [path, readFileSync(path), Uint8Array.from(readFileSync(path)), await rgba(path)];
    const answers = await classifier.classify(forms);
    expect(answers[0]!.predictions.map(({ label }) => label)).toHaveLength(3);
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await classifier.classify([photo('blue.png')])).not.toEqual(answers.slice(0, 1));
  });

  it('are those of predict, and of evaluateRun', async () => {
    const classifier = await open();
    const sources = [photo('red.png'), photo('green.png'), readFileSync(photo('blue.png'))];
    const own = await classifier.classify(sources, { top: 2 });
    const inOneGo = await predict(finished, sources, { top: 2 });
    expect(inOneGo.map(({ path: _, ...answer }) => answer)).toEqual(own);
    expect(inOneGo.map(({ path }) => path)).toEqual([photo('red.png'), photo('green.png'), 'image 3']);
    expect(own.every(({ predictions }) => predictions.length === 2)).toBe(true);
    const named = await classifier.classify(sources, { top: 1 });
    const truth = ['red', 'green', 'blue'];
    const correct = named.filter(({ predictions }, i) => predictions[0]!.label === truth[i]).length;
    const test = sources.map((image, i) => ({ image, label: truth[i]! }));
    expect(await evaluateRun(finished, { data: { classes: classifier.classes, test } })).toMatchObject({
      correct,
      total: 3,
    });
  });

  it('have probabilities that are the softmax of the logits, in order', async () => {
    const classifier = await open();
    const [logits] = await classifier.logits([noise(1)]);
    const [answer] = await classifier.classify([noise(1)]);
    const byClass = classifier.classes.map(
      (name) => answer!.predictions.find(({ label }) => label === name)!.probability,
    );
    expectClose([byClass], [softmax(logits!)]);
    expect(byClass.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    const inOrder = answer!.predictions.map(({ probability }) => probability);
    expect(inOrder).toEqual([...inOrder].sort((a, b) => b - a));
  });

  it('have logits that are head.weight · features + head.bias', async () => {
    const classifier = await open();
    const tuned = await openSafetensors(join(finished, 'student.safetensors'));
    const [weight, bias] = [await tuned.readFloat32('head.weight'), await tuned.readFloat32('head.bias')];
    await tuned.close();
    for (const images of [noises(1), noises(12)]) {
      const features = await classifier.features(images);
      const expected = features.map((row) =>
        Array.from(bias, (b, k) => row.reduce((sum, x, i) => sum + x * weight[k * row.length + i]!, b)),
      );
      expect(features[0]).toHaveLength(16);
      expectClose(await classifier.logits(images), expected);
    }
  });

  it.each([1, 3, 8, 9, 70])('about %i images are those about each alone', async (count) => {
    const classifier = await open();
    const images = noises(count);
    for (const ask of [classifier.logits, classifier.features]) {
      const alone: Float32Array[] = [];
      for (const image of images) alone.push(...(await ask([image])));
      const together = await ask(images);
      expect(together).toHaveLength(count);
      expectClose(together, alone);
    }
    expect(new Set((await classifier.logits(images)).map(String)).size).toBe(count);
  });

  it('about nothing are none', async () => {
    const classifier = await open();
    const onProgress = vi.fn();
    expect(await classifier.classify([], { onProgress })).toEqual([]);
    expect(await classifier.logits([])).toEqual([]);
    expect(await classifier.features([])).toEqual([]);
    expect(onProgress).not.toHaveBeenCalled();
  });

  it('are of the teacher where it is asked for', async () => {
    const images = noises(2);
    const teacher = await (await open(stopped, { role: 'teacher' })).logits(images);
    const student = await (await open(stopped)).logits(images);
    expect(teacher.map((row) => row.length)).toEqual([3, 3]);
    expect(teacher).not.toEqual(student);
    await expect(openClassifier(finished, { role: 'teacher' })).rejects.toMatchObject({ code: 'run.teacher' });
  });

  it('come as far as they are asked for', async () => {
    const classifier = await open(await openRun(finished).then(({ dir }) => dir));
    expect((await classifier.classify([noise(1)], { top: 100 }))[0]!.predictions).toHaveLength(3);
    for (const top of [0, -1, 1.5, Number.NaN]) {
      await expect(classifier.classify([noise(1)], { top })).rejects.toMatchObject({ code: 'classifier.top' });
    }
  });
});

describe('an image that cannot be read', () => {
  const broken: [string, ImageSource, string][] = [
    ['missing', join(root, 'gone.png'), 'gone.png: no such file; check the path'],
    ['no image', Buffer.from('<html>'), 'image 2: not a JPEG, PNG'],
    ['short of pixels', { ...noise(1), width: 100 }, 'image 2: 100×7 pixels'],
    ['nothing', null as unknown as ImageSource, 'image 2: expected a file’s path'],
  ];
  it.each(broken)('(%s) is answered with the reason, and all others with their own', async (_, source, reason) => {
    const classifier = await open();
    const [first, last] = [noise(1), noise(2)];
    const answers = await classifier.classify([first, source, last]);
    expect(answers[1]).toEqual({
      predictions: [],
      none: null,
      familiarity: null,
      error: expect.stringContaining(reason),
    });
    expect(answers[0]).toEqual((await classifier.classify([first]))[0]);
    expect(answers[2]).toEqual((await classifier.classify([last]))[0]);
    for (const ask of [classifier.logits, classifier.features]) {
      await expect(ask([first, source, last])).rejects.toThrow(reason);
    }
  });

  it('may be all there is', async () => {
    const classifier = await open();
    const answers = await classifier.classify([join(root, 'a.png'), join(root, 'b.png')]);
    expect(answers.map(({ error }) => error)).toEqual(
      ['a.png', 'b.png'].map((name) => `${join(root, name)}: no such file; check the path`),
    );
  });
});

it('numbers that are none are an error, not a probability', async () => {
  const dir = join(root, 'damaged');
  mkdirSync(dir);
  for (const name of ['config.json', 'classes.json', 'student.safetensors'])
    copyFileSync(join(finished, name), join(dir, name));
  const path = join(dir, 'student.safetensors');
  const file = readFileSync(path);
  const { offset } = parseSafetensorsHeader(file, file.length, path).tensors.get('head.bias')!;
  file.writeFloatLE(Number.NaN, offset);
  writeFileSync(path, file);
  const classifier = await open(dir);
  const reason = 'image 1: the model’s answer is no finite numbers';
  expect(await classifier.classify([noise(1)])).toEqual([
    { predictions: [], none: null, familiarity: null, error: expect.stringContaining(reason) },
  ]);
  await expect(classifier.logits([noise(1)])).rejects.toMatchObject({ code: 'classifier.numbers' });
  expect((await classifier.features([noise(1)]))[0]).toHaveLength(16);
});

describe('while it is open', () => {
  it('200 questions need one worker and no weights', async () => {
    const before = workers.started;
    const classifier = await open();
    const images = noises(70);
    const expected = await classifier.logits(images);
    await classifier.logits(images.slice(0, 8)); // all there are to load
    renameSync(weights, `${weights}.away`);
    renameSync(finished, `${finished}.away`);
    try {
      for (let i = 0; i < 200; i++) {
        const count = i % 50 === 0 ? 70 : 1 + (i % 9);
        expectClose(await classifier.logits(images.slice(0, count)), expected.slice(0, count));
      }
    } finally {
      renameSync(`${weights}.away`, weights);
      renameSync(`${finished}.away`, finished);
    }
    expect(workers.started - before).toBe(1);
  });

  it('without a worker they are the same, and none is started', async () => {
    const usual = await open();
    const before = workers.started;
    const own = await open(finished, { worker: false });
    const asked = noises(20);
    expect(await Promise.all([own.logits(asked), own.logits(asked[0]!)])).toEqual(
      await Promise.all([usual.logits(asked), usual.logits(asked[0]!)]),
    );
    expect(workers.started).toBe(before);
    await own.close();
    await expect(own.classify(asked[0]!)).rejects.toMatchObject({ code: 'classifier.closed' });
  });

  it('many may ask at once, and two may be open', async () => {
    const before = workers.started;
    const [one, other] = [await open(), await open(stopped)];
    const images = noises(20);
    const [ofOne, ofOther] = [await one.logits(images), await other.logits(images)];
    expect(ofOne).not.toEqual(ofOther);
    const asked = images.flatMap((image, i) => [
      one.logits([image]).then((rows) => expectClose(rows, [ofOne[i]!])),
      other.logits(images.slice(i)).then((rows) => expectClose(rows, ofOther.slice(i))),
      one.classify(images.slice(0, i)).then((rows) => expect(rows).toHaveLength(i)),
      one.features(images.slice(i)).then((rows) => expect(rows).toHaveLength(20 - i)),
    ]);
    await Promise.all(asked);
    expect(workers.started - before).toBe(2);
  });

  it('weights that have become others are not mixed with those it has', async () => {
    const classifier = await open();
    const images = noises(8);
    const [first] = await classifier.logits(images.slice(0, 1));
    const others = readFileSync(weights).map((byte, i, all) => (i === all.length - 1 ? byte ^ 1 : byte));
    renameSync(weights, `${weights}.away`); // a loaded file is mapped: written over in place, it would change under the model
    writeFileSync(weights, others);
    try {
      await expect(classifier.logits(images)).rejects.toMatchObject({ code: 'run.changed' });
      expect(await classifier.logits(images.slice(0, 1))).toEqual([first]);
    } finally {
      renameSync(`${weights}.away`, weights);
    }
    expect((await classifier.logits(images))[0]).toHaveLength(3); // what failed is tried again
  });
});

describe('an abort', () => {
  it('stops before the next call, and harms no later question', async () => {
    const classifier = await open();
    const stop = new AbortController();
    const seen: number[] = [];
    const onProgress = (done: number) => {
      seen.push(done);
      stop.abort();
    };
    const asked = classifier.classify(noises(150), { signal: stop.signal, onProgress });
    await expect(asked).rejects.toMatchObject({ name: 'IdatError', code: 'run.interrupted' });
    expect(seen).toEqual([64]);
    expect(await classifier.classify(noises(2))).toHaveLength(2);
  });

  it('that came before leaves all undone', async () => {
    const classifier = await open();
    const asked = classifier.logits(noises(1), { signal: AbortSignal.abort() });
    await expect(asked).rejects.toMatchObject({ code: 'run.interrupted' });
  });

  it('while images are read is the same error', async () => {
    const classifier = await open();
    const stop = new AbortController();
    const asked = classifier.logits(Array(60).fill(photo('red.png')), { signal: stop.signal });
    setImmediate(() => stop.abort());
    await expect(asked).rejects.toMatchObject({ code: 'run.interrupted' });
  });
});

describe('closed', () => {
  const closed = {
    name: 'IdatError',
    code: 'classifier.closed',
    message: 'this classifier has been closed; open it again',
  };

  it('twice is once, and then nothing is answered', async () => {
    const classifier = await openClassifier(finished);
    await Promise.all([classifier.close(), classifier.close()]);
    await classifier.close();
    for (const ask of [classifier.classify, classifier.logits, classifier.features]) {
      await expect(ask([noise(1)])).rejects.toMatchObject(closed);
      await expect(ask([])).rejects.toMatchObject(closed);
    }
  });

  it('while it answers, it says so', async () => {
    const classifier = await openClassifier(finished);
    const asked = [noises(500), noises(300)].map((images) => classifier.logits(images));
    const outcomes = Promise.allSettled(asked);
    await new Promise((done) => setTimeout(done, 20));
    await classifier.close();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: closed });
  });
});
