/** The first blocks of the student's own checkpoint as its teacher: the same as a file of theirs, and taken up again as any. */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tensorShapes } from '../src/backbones/architecture.js';
import type { ViTConfig } from '../src/backbones/backbone.js';
import { checkpointMetadata } from '../src/backbones/checkpoints/metadata.js';
import { firstBlocks } from '../src/backbones/first-blocks.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { resolveBackbone } from '../src/backbones/node/registry.js';
import { identityOf } from '../src/experiments/identity.js';
import { differencesToRun } from '../src/experiments/same-run.js';
import { safetensorsPieces } from '../src/files/safetensors.js';
import { type FineTuneInput, fineTune, mergeRun, packRun, predict, resume } from '../src/index.js';
import { openRun } from '../src/runs/open-run.js';
import { parseConfig } from '../src/settings/config.js';
import { planOf } from '../src/settings/plan.js';
import { contradictionTo, factsOf } from '../src/settings/record.js';
import { buildPrefix } from '../src/step/prefix.js';
import { modelSpecs } from '../src/train/specs.js';
import { DETERMINISTIC, makeImageFolder, runBytes, settings, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

let data: string;
const student = join(root, 'student.safetensors');
const cut = join(root, 'cut.safetensors');
const run = join(root, 'self');
const asked = (out: string, teacher: string): FineTuneInput & { out: string } => ({
  ...settings(data, out),
  ...{ student, teacher, method: 'lora', distill: 'kl' },
});

beforeAll(async () => {
  data = await makeImageFolder(root);
  const { path } = await resolveBackbone('vit_micro_patch4_32.cifar10');
  copyFileSync(path, student);
  const whole = await backboneFromFile(path);
  const config = { ...whole.config, depth: 2 } as ViTConfig;
  const tensors = [...tensorShapes(config)].map(([name, shape]) => {
    return { name, shape, data: whole.weights.values(name, shape) };
  });
  const metadata = checkpointMetadata({ ...whole, config }, { classes: 3, tag: 'cut', trained: 'cut' });
  writeFileSync(cut, Buffer.concat([...safetensorsPieces(tensors, metadata)]));
  await fineTune(asked(run, 'self:2'));
}, 120_000);

describe('a run taught by the student’s first blocks', () => {
  it('is that of a teacher whose file has these blocks', async () => {
    const out = join(root, 'of a file');
    await fineTune(asked(out, cut));
    for (const name of ['student.safetensors', 'metrics.jsonl']) {
      expect(readFileSync(join(out, name)).equals(readFileSync(join(run, name))), name).toBe(true);
    }
    const [own, other] = [run, out].map((dir) => {
      const bytes = readFileSync(join(dir, 'teacher.safetensors'));
      return bytes.subarray(8 + Number(bytes.readBigUInt64LE())); // its header names the backbone
    });
    expect(own!.equals(other!)).toBe(true);
  });

  it('ends with the same bytes after being stopped', async () => {
    const out = join(root, 'stopped');
    const stop = new AbortController();
    let steps = 0;
    const onProgress = ({ kind }: { kind: string }) => kind === 'step' && ++steps === 4 && stop.abort();
    await expect(fineTune(asked(out, 'self:2'), { onProgress, signal: stop.signal })).rejects.toMatchObject({
      code: 'run.interrupted',
    });
    await resume(out);
    const [own, undisturbed] = [runBytes(out), runBytes(run)];
    for (const name of DETERMINISTIC) expect(own[name] === undisturbed[name], name).toBe(true);
  });

  it('has a teacher of the student’s file, wherever that lies', async () => {
    const { record } = await openRun(run);
    expect(record.teacher).toMatchObject({ path: student, sha256: record.student.sha256, config: { depth: 2 } });
    const moved = join(root, 'moved.safetensors');
    copyFileSync(student, moved);
    const opened = await openRun(run, { student: moved });
    expect(await opened.backbone('teacher')).toMatchObject({ path: moved, config: { depth: 2 } });
  });

  it('is packed, predicts and merges without another file', async () => {
    const packed = join(root, 'packed');
    await packRun(run, packed);
    const image = join(data, 'red', '0.png');
    expect(await predict(packed, [image])).toEqual(await predict(run, [image]));
    expect((await (await openRun(packed)).backbone('teacher')).config).toMatchObject({ depth: 2 });
    const merged = join(root, 'merged.safetensors');
    await mergeRun(run, merged);
    expect((await backboneFromFile(merged)).config).toMatchObject({ depth: 6 });
  });

  it('is another than one taught by more blocks, or by their file', async () => {
    const { record } = await openRun(run);
    const deeper = { ...record, settings: { ...record.settings, teacher: 'self:3' } };
    expect(identityOf(deeper)).not.toBe(identityOf(record));
    expect(contradictionTo(factsOf(record), deeper)).toContain('"self:2"');
    const opened = await openRun(run);
    expect(await differencesToRun(opened, asked(run, 'self:2'), {})).toEqual([]);
    expect(await differencesToRun(opened, asked(run, 'self:3'), {})).toEqual(['teacher self:2']);
    expect(await differencesToRun(opened, asked(run, student), {})).toEqual(['teacher self:2']);
  });
});

it('both models have one frozen prefix where they are tuned alike', async () => {
  const { models } = planOf(parseConfig({ ...asked(run, 'self:2'), method: 'parallel' }));
  const whole = await resolveBackbone(student);
  const specs = modelSpecs(models, { student: whole, teacher: firstBlocks(whole, 2) }, 3);
  const [own, teachers] = [specs.student, specs.teacher!].map((spec) => buildPrefix(spec)!.compile().model);
  expect(Buffer.from(own!).equals(Buffer.from(teachers!))).toBe(true);
});

describe('blocks that cannot teach', () => {
  const parsed = (more: Partial<FineTuneInput>) => () => parseConfig({ ...asked(run, 'self:2'), ...more });
  it.each(['self:', 'self:0', 'self:2.5', 'self:-1', 'self:all', 'self:12345'])('%s is refused', (teacher) => {
    expect(parsed({ teacher })).toThrow(
      `teacher: expected self: and a number of blocks such as self:6, got '${teacher}'`,
    );
  });
  it('are refused norms of their own', () => {
    expect(parsed({ teacherLayerNormEps: 1e-5 })).toThrow(/^teacherLayerNormEps: self:2 has the student’s norms/);
  });
  it('are refused mirrored images where their patches would be compared', () => {
    const tokens = { distill: 'features', teacherView: 'flip' } as const;
    expect(parsed(tokens)).toThrow(/^teacherView: in a mirrored image each patch lies elsewhere/);
    expect(parsed({ ...tokens, featureTokens: 'class' })).not.toThrow();
  });
  it('are told when there are not so many', async () => {
    await expect(fineTune(asked(join(root, 'none'), 'self:7'))).rejects.toThrow(
      'student: the first 7 blocks were asked for, it has 6',
    );
  });
  it('are told when they are a Swin’s', () => {
    const config = {
      family: 'swin',
      depths: [2],
      heads: [2],
      imageSize: 16,
      patchSize: 4,
      embedWidth: 8,
      mlpRatio: 2,
      windowSize: 2,
    };
    expect(() => firstBlocks({ name: 'swin', config } as never, 1)).toThrow(/^swin: the last norm of a swin fits/);
  });
});
