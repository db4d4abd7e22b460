/** Data sets that grow, folders that move, weights that lie elsewhere: a run keeps to the images and weights it began with. */
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateRun, fineTune, mergeRun, type Progress, predict, resume } from '../src/index.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
const weights = fileURLToPath(new URL('../assets/models/vit_nano_patch4_32.cifar10.safetensors', import.meta.url));
const elsewhere = join(root, 'elsewhere.safetensors');
const gone = join(root, 'gone.safetensors');
const out = join(root, 'run');
let data: string;

const linear = (place: string) => ({ ...settings(data, place), student: gone, teacher: null, method: 'linear' });
const notesOf = () => {
  const notes: string[] = [];
  const onProgress = (event: Progress) => {
    if (event.kind === 'note') notes.push(event.text);
  };
  return { notes, onProgress };
};

beforeAll(async () => {
  data = await makeImageFolder(root);
  cpSync(weights, gone);
  await fineTune(linear(out));
  renameSync(gone, elsewhere);
});
afterAll(() => rmSync(root, { recursive: true }));

describe('weights that lie elsewhere', () => {
  it('are asked for, about which model and run', async () => {
    const refused = { code: 'run.weights', about: { run: out, role: 'student' } };
    await expect(predict(out, [join(data, 'red', '0.png')])).rejects.toMatchObject(refused);
    await expect(evaluateRun(out)).rejects.toMatchObject(refused);
  });

  it('serve to predict, measure and merge, by their hash', async () => {
    const [prediction] = await predict(out, [join(data, 'red', '0.png')], { student: elsewhere });
    expect(prediction!.predictions).toHaveLength(3);
    const result = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')) as { correct: number; total: number };
    const { correct, total } = await evaluateRun(out, { student: elsewhere });
    expect({ correct, total }).toEqual({ correct: result.correct, total: result.total });
    const merged = join(root, 'merged.safetensors');
    expect((await mergeRun(out, merged, { student: elsewhere })).path).toBe(merged);
  });

  it('are refused when they are others', async () => {
    const other = join(root, 'other.safetensors');
    const bytes = readFileSync(elsewhere);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(other, bytes);
    await expect(predict(out, [join(data, 'red', '0.png')], { student: other })).rejects.toMatchObject({
      code: 'run.changed',
    });
  });
});

describe('a data set that has grown', () => {
  const grown = join(root, 'grown');
  const before = join(root, 'before');
  const halted = join(root, 'halted');
  let first: { correct: number; total: number };

  beforeAll(async () => {
    cpSync(data, grown, { recursive: true });
    const config = (place: string) => ({ ...linear(place), data: grown, student: elsewhere });
    await fineTune(config(before));
    first = await evaluateRun(before);
    const stop = new AbortController();
    const onProgress = ({ kind }: Progress) => kind === 'step' && stop.abort();
    await fineTune(config(halted), { signal: stop.signal, onProgress }).catch(() => {});
    // names that come first, in the middle and last
    for (const [i, name] of ['00.png', '5a.png', 'zz.png'].entries()) {
      cpSync(join(data, 'red', `${i}.png`), join(grown, 'green', name));
    }
  });

  it('is measured on the run’s own test images, and the others are told', async () => {
    const { notes, onProgress } = notesOf();
    const { correct, total } = await evaluateRun(before, { onProgress });
    expect({ correct, total }).toEqual({ correct: first.correct, total: first.total });
    expect(notes).toEqual([`${grown}: 3 image(s) are in no split of this run and are passed over`]);
  });

  it('goes on as it would have without them', async () => {
    const { correct, total } = await resume(halted);
    expect({ correct, total }).toEqual({ correct: first.correct, total: first.total });
  });

  it('is refused once an image of the run is gone or another', async () => {
    const [name] = (JSON.parse(readFileSync(join(before, 'split.json'), 'utf8')).splits.test as [string][])[0]!;
    const path = join(grown, name);
    const bytes = readFileSync(path);
    cpSync(join(data, 'blue', '3.png'), path);
    await expect(evaluateRun(before)).rejects.toMatchObject({ code: 'run.changed' });
    rmSync(path);
    await expect(evaluateRun(before)).rejects.toThrow(`has no ${name} any more`);
    writeFileSync(path, bytes);
    expect(await evaluateRun(before)).toMatchObject({ total: first.total });
  });

  it('is refused for a run that kept no split', async () => {
    rmSync(join(before, 'split.json'));
    await expect(evaluateRun(before)).rejects.toMatchObject({ code: 'run.changed' });
  });
});

describe('a folder that moves', () => {
  it('is given to resume and eval, and must be the same', async () => {
    const [place, moved, run] = ['here', 'there', 'moving'].map((name) => join(root, name)) as [string, string, string];
    cpSync(data, place, { recursive: true });
    const stop = new AbortController();
    const onProgress = ({ kind }: Progress) => kind === 'step' && stop.abort();
    const config = { ...linear(run), data: place, student: elsewhere };
    await fineTune(config, { signal: stop.signal, onProgress }).catch(() => {});
    renameSync(place, moved);
    await expect(resume(run)).rejects.toMatchObject({ code: 'data.path.missing', about: { run } });
    const result = await resume(run, { data: moved });
    expect(result.total).toBeGreaterThan(0);
    await expect(evaluateRun(run)).rejects.toMatchObject({ code: 'data.path.missing' });
  });
});

describe('a folder given to measure on', () => {
  it('is measured whole where it has no test images, and says what was trained on', async () => {
    const { notes, onProgress } = notesOf();
    const { total } = await evaluateRun(out, { data, student: elsewhere, onProgress });
    expect(total).toBe(48);
    expect(notes).toEqual([expect.stringMatching(/^39 of these 48 images were trained on/)]);
  });

  it('is measured on its test images where it has some, and needs few of them', async () => {
    const split = join(root, 'with-test');
    for (const name of ['red', 'green', 'blue']) {
      for (const part of ['train', 'test']) mkdirSync(join(split, part, name), { recursive: true });
      for (let i = 0; i < 4; i++)
        cpSync(join(data, name, `${i}.png`), join(split, i ? 'train' : 'test', name, `${i}.png`));
    }
    expect(await evaluateRun(out, { data: split, student: elsewhere })).toMatchObject({ total: 3 });
    expect(await evaluateRun(out, { data: join(split, 'test'), student: elsewhere })).toMatchObject({ total: 3 });
  });
});

it('runs of different seeds share their test images, unless told otherwise', async () => {
  const testOf = async (name: string, more: object) => {
    const place = join(root, name);
    await fineTune({ ...linear(place), student: elsewhere, epochs: 1, warmupEpochs: 0, ...more });
    return JSON.parse(readFileSync(join(place, 'split.json'), 'utf8')).splits.test as unknown[];
  };
  const one = await testOf('seed-1', { seed: 1 });
  expect(await testOf('seed-2', { seed: 2 })).toEqual(one);
  expect(await testOf('split-2', { seed: 1, splitSeed: 2 })).not.toEqual(one);
});
