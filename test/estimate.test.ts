/** What a run says that it will take, before it begins. */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { knownBackbone } from '../src/backbones/known-backbones.js';
import { fineTune, type Progress, resume } from '../src/index.js';
import { fasterWays, type LongRun } from '../src/train/faster.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));
const data = await makeImageFolder(root);

type Estimated = Extract<Progress, { kind: 'estimate' }>;
const estimates = (events: readonly Progress[]) =>
  events.filter((event): event is Estimated => event.kind === 'estimate');

describe('a run', () => {
  const stop = new AbortController();
  const events: Progress[] = [];
  const out = join(root, 'run');
  const cacheDir = join(root, 'cache');

  it('says it once, before its first step', async () => {
    const onProgress = (event: Progress) => {
      events.push(event);
      if (event.kind === 'epoch') stop.abort();
    };
    const run = fineTune({ ...settings(data, out), cacheDir }, { onProgress, signal: stop.signal });
    await expect(run).rejects.toMatchObject({ code: 'run.interrupted' });
    const [estimate] = estimates(events);
    const kinds = events.map(({ kind }) => kind).filter((kind) => kind === 'estimate' || kind === 'step');
    expect([kinds.indexOf('estimate'), kinds.lastIndexOf('estimate')]).toEqual([0, 0]);
    expect(estimate).toMatchObject({ atMost: false, faster: [] });

    // what the state and the tuned tensors take, and 48 images at 32 pixels; behind them what prefixes leave of them
    const size = (name: string) => statSync(join(out, name)).size;
    const written = size('state.safetensors') + size('student.safetensors') + size('teacher.safetensors');
    expect(estimate!.diskBytes).toBeGreaterThan(0.9 * written + 48 * 3 * 32 * 32);
    expect(estimate!.memoryBytes).toBeGreaterThan(1e8);
    expect(estimate!.memoryBytes).toBeLessThan(1e9);
  });

  it('that goes on says what is left', async () => {
    const rest: Progress[] = [];
    const result = await resume(out, { onProgress: (event) => rest.push(event) });
    const [before] = estimates(events);
    const [after] = estimates(rest);
    expect(estimates(rest)).toHaveLength(1);
    // a machine that others use as well may be many times slower now than then, but not by all bounds
    expect(after!.seconds).toBeGreaterThan(0);
    expect(after!.seconds).toBeLessThan(100 * Math.max(result.seconds, before!.seconds));
    expect(after!.diskBytes).toBeLessThan(before!.diskBytes); // its pixels are in the cache
  });

  it('with a chosen number of epochs says a bound', async () => {
    const seen: Progress[] = [];
    const wanted = { ...settings(data, join(root, 'val')), teacher: null, epochs: 1, protocol: 'val' } as const;
    await fineTune(wanted, { onProgress: (event) => seen.push(event) });
    expect(estimates(seen).map(({ atMost }) => atMost)).toEqual([true]);
  });
});

describe('what would be faster', () => {
  const model = (name: string, method = 'lora') => ({ spec: { method, backbone: knownBackbone(name)! } });
  const run = (more: object = {}): LongRun =>
    ({
      plan: {
        augmentation: { flip: false, cropPadding: 0, trivialAugment: false },
        compile: { frozen: 'float32', disable: [] },
        engine: { device: 'auto' },
        schedule: { epochs: 100 },
      },
      models: { student: model('vit_base_patch16_224.augreg_in21k'), teacher: null },
      ...{ training: 9000, other: 600, epochs: 110, within: 3600, onePass: 500, ...more },
    }) as unknown as LongRun;
  const told = (more: object = {}) =>
    Object.fromEntries(
      fasterWays(run(more)).map(({ setting, value, seconds }) => [setting, [value, Math.round(seconds)]]),
    );

  it('is told with its time, the shortest first', () => {
    expect(told()).toEqual({
      method: ['linear', 500],
      student: ['vit_small_patch16_224.augreg_in21k', 2424], // 21.67 of 85.80 million numbers
      epochs: [33, 3570], // 600 + 9000·33/100
      frozen: ['int8', 4350], // 600 + 9000/2.4
      imageSize: [160, 4898], // (160/224)²
    });
    const seconds = fasterWays(run()).map((way) => way.seconds);
    expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
  });

  it('leaves out what does not apply', () => {
    const bundled = model('vit_micro_patch4_32.cifar10', 'linear');
    const plan = { ...run().plan, compile: { frozen: 'int8', disable: [] } };
    // small images and 8 bits already; linear already
    expect(Object.keys(told({ plan, models: { student: bundled, teacher: null } }))).not.toContain('imageSize');
    expect(Object.keys(told({ plan, models: { student: bundled, teacher: null } }))).not.toContain('frozen');
    expect(Object.keys(told({ plan, models: { student: bundled, teacher: null } }))).not.toContain('method');
    // a teacher is no larger than its student, and may be one of which the size is not known
    const large = model('vit_base_patch16_224.augreg_in21k');
    const unknown = { spec: { method: 'lora', backbone: { name: 'mine' } } };
    expect(Object.keys(told({ models: { ...run().models, teacher: unknown } }))).not.toContain('student');
    expect(Object.keys(told({ models: { ...run().models, teacher: large } }))).not.toContain('student');
    // a run that goes on keeps its schedule; and some are too long for any number of epochs
    expect(Object.keys(told({ epochs: 40 }))).not.toContain('epochs');
    expect(Object.keys(told({ training: 90_000 }))).not.toContain('epochs');
  });
});
