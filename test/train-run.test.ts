import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EpochMetrics, evaluateRun, fineTune, type Progress, predict } from '../src/index.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

let data: string;
beforeAll(async () => {
  data = await makeImageFolder(root);
});

const metricsOf = (dir: string): EpochMetrics[] =>
  readFileSync(join(dir, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

const notesOf = (events: readonly Progress[]) =>
  events.map((event) => (event.kind === 'note' ? event.text : '')).join('\n');

describe('fineTune', () => {
  it('last: trains all epochs, learns, looks at test once; the run can be evaluated and used', async () => {
    const out = join(root, 'last');
    const events: Progress[] = [];
    const config = { ...settings(data, out), dropPath: 0, epochs: 6 };
    const result = await fineTune(config, { onProgress: (event) => events.push(event) });
    expect(result).toMatchObject({ runDir: out, protocol: 'last', selectedEpoch: 5, total: 9 });
    expect(result.accuracy).toBeGreaterThan(0.8);
    expect(result.trainableParameters).toMatchObject({ student: expect.any(Number), head: 128 * 3 + 3 });
    expect(metricsOf(out).map(({ testAccuracy }) => testAccuracy)).toEqual(Array(6).fill(null));
    expect(events.filter(({ kind }) => kind === 'step')).toHaveLength(6 * Math.floor(39 / 8));
    expect(existsSync(join(out, 'teacher.safetensors'))).toBe(true);
    expect(notesOf(events)).not.toMatch(/train longer/);

    expect(await evaluateRun(out)).toMatchObject({ correct: result.correct, total: 9, split: 'test' });
    writeFileSync(join(root, 'broken.png'), 'no picture');
    const images = [join(data, 'red', '3.png'), join(root, 'broken.png')];
    const [red, broken] = await predict(out, images, { top: 2 });
    expect(red!.predictions[0]!.label).toBe('red');
    expect(red!.predictions).toHaveLength(2);
    expect(broken).toMatchObject({ predictions: [], error: expect.stringContaining('broken.png') });
    expect(await predict(out, [join(data, 'blue')])).toHaveLength(16);

    await expect(fineTune(config)).rejects.toMatchObject({ code: 'run.exists' });
  });

  it('val: chooses the epoch on val, then trains anew on all up to it', async () => {
    const out = join(root, 'val');
    const result = await fineTune({ ...settings(data, out), protocol: 'val' });
    const metrics = metricsOf(out);
    const select = metrics.filter(({ phase }) => phase === 'select').map(({ valAccuracy }) => valAccuracy!);
    expect(select).toHaveLength(3);
    expect(result.selectedEpoch).toBe(select.lastIndexOf(Math.max(...select)));
    const final = metrics.filter(({ phase }) => phase === 'final');
    expect(final).toHaveLength(result.selectedEpoch + 1);
    expect(metrics.every(({ testAccuracy }) => testAccuracy === null)).toBe(true);
  });

  it('paper: reports the best epoch on test and keeps its parameters', async () => {
    const out = join(root, 'paper');
    const result = await fineTune({ ...settings(data, out), protocol: 'paper', lr: 0.02 });
    const looks = metricsOf(out).map(({ testAccuracy }) => testAccuracy!);
    expect(result.accuracy).toBe(Math.max(...looks));
    expect(result.selectedEpoch).toBe(looks.lastIndexOf(result.accuracy));
    expect((await evaluateRun(out)).accuracy).toBe(result.accuracy);
  });

  it.each(['linear', 'full', 'sequential', 'parallel'])('%s without a teacher', async (adapter) => {
    const config = { ...settings(data, join(root, adapter)), adapter, teacher: null, epochs: 1, warmupEpochs: 0 };
    const result = await fineTune(config);
    expect(result.trainableParameters.teacher).toBe(null);
    expect(metricsOf(result.runDir)[0]!.teacherTrainAccuracy).toBe(null);
  });

  it('takes all images as one batch where there are fewer than asked for', async () => {
    const events: Progress[] = [];
    await fineTune(
      { ...settings(data, join(root, 'one-batch')), batchSize: 500, microBatch: 16, epochs: 1 },
      { onProgress: (event) => events.push(event) },
    );
    expect(events.filter(({ kind }) => kind === 'step')).toHaveLength(1);
    // a teacher had no time to pay
    expect(notesOf(events)).toMatch(/^\d\d % of the training images were right in the last epoch: .*; train longer$/m);
  });

  it('stops where numbers stop being finite, and says where', async () => {
    const config = { ...settings(data, join(root, 'diverged')), lr: 1e30, warmupEpochs: 0 };
    await expect(fineTune(config)).rejects.toThrow(/epoch \d+, step \d+ .*lower lr/);
  });

  it('does not score what the last update has ruined, nor do eval and predict', async () => {
    const out = join(root, 'diverged-at-last');
    const config = { ...settings(data, out), lr: 1e30, warmupEpochs: 0, epochs: 1, batchSize: 500, microBatch: 16 };
    const diverged = (images: string) => ({
      code: 'train.diverged',
      message: expect.stringMatching(`logits of the ${images} are not numbers .*lower lr`),
    });
    await expect(fineTune(config)).rejects.toMatchObject(diverged('test images'));
    expect(existsSync(join(out, 'result.json'))).toBe(false);
    await expect(evaluateRun(out)).rejects.toMatchObject(diverged('test images'));
    writeFileSync(join(root, 'unread.png'), 'no picture');
    await expect(predict(out, [join(data, 'red'), join(root, 'unread.png')])).rejects.toMatchObject({
      code: 'train.diverged',
      message: expect.stringMatching(/diverged-at-last: .*no finite numbers.*; train again with a lower lr$/),
    });
    // where an epoch is looked at, it fails there
    const looking = { ...config, out: join(root, 'diverged-val'), protocol: 'val' as const };
    await expect(fineTune(looking)).rejects.toMatchObject(diverged('val images'));
  });

  it('looks for the data before it advises on anything else', async () => {
    const notes: Progress[] = [];
    const onProgress = (event: Progress) => event.kind === 'note' && notes.push(event);
    const start = (folder: string) => fineTune({ data: folder, out: join(root, 'nowhere') }, { onProgress });
    await expect(start(join(root, 'absent'))).rejects.toMatchObject({ code: 'data.path.missing' });
    expect(notes).toEqual([]);
  });

  it('refuses wrong settings before anything else', async () => {
    await expect(fineTune({ ...settings(data, root), epochs: -1 })).rejects.toMatchObject({ code: 'config.field' });
  });
});
