/** Run directories of earlier versions: they open, predict, merge and resume for ever. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { type EpochMetrics, evaluateRun, mergeRun, predict, type RunResult, resume } from '../src/index.js';
import { copyRuns, fixtureOf } from './old-run-support.js';

/** Processors differ in how they add: the numbers below are some 60 float32 operations and 18 updates deep. */
const ROUNDING = 4;

describe.each(['0.1'])('runs of version %s', (version) => {
  const fixture = fixtureOf(version);
  const root = mkdtempSync(join(tmpdir(), 'idat-old-run-'));
  const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as {
    resumed: { result: RunResult; metrics: EpochMetrics[] };
    finished: {
      evaluation: { correct: number; total: number };
      predictions: { image: string; predictions: { label: string; probability: number }[] }[];
      mergedSha256: string;
    };
  };
  const [stopped, finished] = [join(root, 'stopped'), join(root, 'finished')];

  beforeAll(() => {
    copyRuns(version, root);
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it('are measured', async () => {
    expect(await evaluateRun(finished)).toMatchObject(expected.finished.evaluation);
  });

  it('predict', async () => {
    const { predictions } = expected.finished;
    const found = await predict(
      finished,
      predictions.map(({ image }) => join(fixture, image)),
      { top: 3 },
    );
    for (const [i, { predictions: labels }] of predictions.entries()) {
      expect(found[i]!.predictions.map(({ label }) => label)).toEqual(labels.map(({ label }) => label));
      for (const [k, { probability }] of labels.entries()) {
        expect(found[i]!.predictions[k]!.probability).toBeCloseTo(probability, ROUNDING);
      }
    }
  });

  it('merge into the same bytes', async () => {
    const path = join(root, 'merged.safetensors');
    await mergeRun(finished, path);
    const merged = await openSafetensors(path);
    const hash = createHash('sha256');
    for (const name of [...merged.file.tensors.keys()].sort()) {
      const { data, shape } = await merged.read(name);
      hash.update(`${name} ${shape}`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    await merged.close();
    expect(hash.digest('hex')).toBe(expected.finished.mergedSha256);
  });

  it('resume', async () => {
    const result = await resume(stopped);
    expect(result).toMatchObject({ ...expected.resumed.result, seconds: expect.any(Number) });
    const lines = readFileSync(join(stopped, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const metrics = lines.map((line) => JSON.parse(line) as EpochMetrics);
    expect(metrics).toHaveLength(expected.resumed.metrics.length);
    for (const [epoch, { loss, ...line }] of expected.resumed.metrics.entries()) {
      expect(metrics[epoch]).toMatchObject(line);
      expect(metrics[epoch]!.loss.total).toBeCloseTo(loss.total, ROUNDING);
    }
  });
});
