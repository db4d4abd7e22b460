/** Runs on images that a program holds in memory: the same as on files, and told apart when they are taken up again. */
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  compare,
  evaluateRun,
  type FineTuneRequest,
  fineTune,
  type ImageSource,
  type LabelledImage,
  type MemoryData,
  predict,
  pretrain,
  type RunRecord,
  resume,
} from '../src/index.js';
import { makeImageFolder, runBytes, STUDENT, settings, TEACHER, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
const CLASSES = ['blue', 'green', 'red'];
let folder = '';
/** The folder's images, in the order in which idat reads them: paths, bytes and pixels in turn. */
const images: LabelledImage<ImageSource>[] = [];
const data = (): MemoryData => ({ classes: CLASSES, train: images });
const request = (out: string, more: Partial<FineTuneRequest> = {}): FineTuneRequest => ({
  ...settings(folder, join(root, out)),
  data: data(),
  protocol: 'val',
  ...more,
});
const quick = {
  epochs: 1,
  warmupEpochs: 0,
  cooldownEpochs: 0,
  method: 'linear',
  teacher: null,
  protocol: 'last',
} as const;
const recordOf = (dir: string) => JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')) as RunRecord;

async function inSomeForm(path: string, form: number): Promise<ImageSource> {
  if (form === 0) return path;
  if (form === 1) return readFileSync(path);
  const decoded = sharp(path).ensureAlpha();
  const { data, info } = await decoded.raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: Uint8ClampedArray.from(data) };
}

beforeAll(async () => {
  folder = await makeImageFolder(root);
  for (const [label, name] of CLASSES.entries()) {
    for (const [i, file] of readdirSync(join(folder, name)).sort().entries()) {
      const image = await inSomeForm(join(folder, name, file), i % 3);
      images.push({ image, label: i % 2 === 0 ? name : label });
    }
  }
});
afterAll(() => rmSync(root, { recursive: true }));

describe('a run on images in memory', () => {
  const dir = join(root, 'memory');
  let accuracy = 0;
  beforeAll(async () => {
    await fineTune({ ...request('folder'), data: folder });
    ({ accuracy } = await fineTune(request('memory')));
  });

  it('writes the bytes that the same images in a folder give', () => {
    // the state says besides what it is of, and images in memory are known by other names
    const { 'state.safetensors': state, ...bytes } = runBytes(dir);
    const { 'state.safetensors': other, ...expected } = runBytes(join(root, 'folder'));
    expect(bytes).toEqual(expected);
    expect(state!.length).toBe(other!.length);
  });

  it('is stored as what it is, and stays JSON', () => {
    const { settings: stored, data: told } = recordOf(dir);
    expect(stored.data).toBe('(memory)');
    expect(told).toMatchObject({
      source: '(memory)',
      kind: 'memory',
      note: expect.stringMatching(
        /^The data set has no splits; idat made them \(seed 42, .* 30 train, 9 val, 9 test\.$/,
      ),
    });
    expect(told.note).toBe(recordOf(join(root, 'folder')).data.note);
  });

  it('predicts', async () => {
    const [answer] = await predict(dir, [images[0]!.image]);
    expect(answer!.predictions.map(({ label }) => label).sort()).toEqual(CLASSES);
  });

  it('is measured when its images are given again, or others, or those to test on alone', async () => {
    const again = await evaluateRun(dir, { data: data() });
    expect(again).toMatchObject({ accuracy, data: '(memory)', total: 9 });
    expect(await evaluateRun(dir, { data: folder })).toMatchObject({ data: folder, total: 48 });
    const alone = { name: 'a few', classes: CLASSES, test: images.slice(0, 5) };
    expect(await evaluateRun(dir, { data: alone })).toMatchObject({ total: 5, data: 'a few (memory)' });
    await expect(evaluateRun(dir, { data: { ...alone, classes: ['red', 'green', 'blue'] } })).rejects.toMatchObject({
      code: 'data.classes',
    });
  });

  it('needs its images to be measured', async () => {
    await expect(evaluateRun(dir)).rejects.toMatchObject({
      code: 'run.data',
      message: `${dir}: its images were in the memory of a program, which has to give them again as data`,
    });
  });

  it('finished, gives its result again; where images are given, only if they are its own', async () => {
    expect(await resume(dir)).toMatchObject({ accuracy, runDir: dir });
    expect(await resume(dir, { data: data() })).toMatchObject({ accuracy });
    const others = { ...data(), train: images.slice(0, -1) };
    await expect(resume(dir, { data: others })).rejects.toMatchObject({ code: 'run.changed' });
  });
});

describe('a run on images in memory that was stopped', () => {
  const dir = join(root, 'stopped');
  beforeAll(async () => {
    const stop = new AbortController();
    const run = fineTune(request('stopped'), {
      signal: stop.signal,
      onProgress: (event) => event.kind === 'step' && event.epoch === 1 && stop.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: 'run.interrupted' });
  });

  it('does not go on without them', async () => {
    await expect(resume(dir)).rejects.toMatchObject({
      code: 'run.data',
      message: expect.stringMatching(/^\S+: its images were/),
    });
  });

  it('does not go on with others', async () => {
    const [first, ...rest] = images;
    const relabelled = { ...data(), train: [{ ...first!, label: 'red' }, ...rest] };
    await expect(resume(dir, { data: relabelled })).rejects.toMatchObject({
      code: 'run.changed',
      message: expect.stringContaining('the data set (memory) has changed since the run began (train'),
    });
  });

  it('goes on with them to the same bytes, whatever form they have by then', async () => {
    const train = await Promise.all(
      images.map(async ({ image, label }) => ({
        image: typeof image === 'string' ? readFileSync(image) : image,
        label,
      })),
    );
    await resume(dir, { data: { ...data(), train } });
    expect(runBytes(dir)).toEqual(runBytes(join(root, 'memory')));
  });
});

it('a run on a folder that lies elsewhere now is told where', async () => {
  const elsewhere = join(root, 'moved', 'colours');
  cpSync(folder, elsewhere, { recursive: true });
  const dir = join(root, 'folder');
  expect(await resume(dir, { data: elsewhere })).toMatchObject({ runDir: dir });
  rmSync(join(elsewhere, 'red', '0.png'));
  await expect(resume(dir, { data: elsewhere })).rejects.toMatchObject({ code: 'run.changed' });
});

describe('the name of images in memory', () => {
  it('stands in the name of the run’s directory, or memory does', async () => {
    const before = process.cwd();
    process.chdir(root);
    try {
      const { out: _, ...anywhere } = request('unused', quick);
      const named = await fineTune({ ...anywhere, data: { ...data(), name: 'colours' } });
      expect(named.runDir).toBe(join(process.cwd(), 'runs', 'colours-linear-1'));
      expect(recordOf(named.runDir).data.source).toBe('colours (memory)');
      expect((await fineTune(anywhere)).runDir).toBe(join(process.cwd(), 'runs', 'memory-linear-1'));
    } finally {
      process.chdir(before);
    }
  });
});

it('pretrain takes images in memory as well', async () => {
  const out = join(root, 'pretrained');
  const sizes = { width: 8, depth: 1, heads: 1, patchSize: 8, imageSize: 16 };
  const input = {
    ...sizes,
    data: data(),
    epochs: 1,
    batchSize: 16,
    device: 'cpu',
    threads: 1,
    microBatch: 16,
    out,
  } as const;
  expect(await pretrain(input)).toMatchObject({ total: 9, runDir: out });
  expect(recordOf(out).settings.student).toBe('vit_w8_d1_patch8_16.memory');
});

describe('compare', () => {
  const { teacher: _, ...cheap } = quick;
  const input = () => ({
    ...cheap,
    student: STUDENT,
    teacher: TEACHER,
    device: 'cpu' as const,
    threads: 1,
    microBatch: 8,
    seeds: [1],
    out: join(root, 'compare'),
  });
  const first = () => ({ ...data(), name: 'first' });

  it('takes images in memory beside folders, and takes up what is there if they are the same', async () => {
    const comparison = await compare({ ...input(), data: [first(), folder] });
    expect(comparison.tasks.map((task) => task.data)).toEqual(['first', 'colours']);
    expect(comparison.tasks[0]!.alone[0]!.accuracy).toBe(comparison.tasks[1]!.alone[0]!.accuracy);
    const again = await compare({ ...input(), data: [first()] });
    expect(again.tasks[0]).toEqual(comparison.tasks[0]);
    const others = { ...first(), train: images.slice(1) };
    await expect(compare({ ...input(), data: [others] })).rejects.toMatchObject({
      code: 'run.settings',
      message: expect.stringContaining('other images'),
    });
  });

  it('refuses two data sets of one name', async () => {
    await expect(compare({ ...input(), data: [data(), data()] })).rejects.toMatchObject({
      code: 'compare.names',
      message: 'two data sets are called memory; give them names that differ',
    });
  });
});

it('what is neither a path nor lists is refused by the field’s name', async () => {
  const odd = (value: unknown) => fineTune({ ...request('odd'), data: value as MemoryData });
  await expect(odd(undefined)).rejects.toMatchObject({ code: 'config.field', issues: [{ path: ['data'] }] });
  await expect(odd(7)).rejects.toMatchObject({ code: 'config.field', message: 'data: expected string, got 7' });
  await expect(odd([])).rejects.toMatchObject({ code: 'data.lists', issues: [{ path: ['data', 'classes'] }] });
  expect(readdirSync(root)).not.toContain('odd');
});
