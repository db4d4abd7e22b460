/**
 * What each rewriting pass is worth: the training step with all of them and with one left out, in turns.
 *
 *     npm run bench:passes -- [ROUNDS]
 *
 * Reads the weights that `npm run bench:peers` makes; needs no peer. Prints milliseconds an image, matrix products, and
 * how much longer the step takes without the pass (the median of the quotients within a round).
 */

import { FROZEN_PREFIX } from '../src/graph/passes/frozen-prefix.js';
import { PASS_NAMES } from '../src/graph/passes/index.js';
import { size } from '../src/graph/tensor.js';
import { startRuntime } from '../src/runtime/node/start.js';
import { withWeightFile } from '../src/runtime/node/weight-file.js';
import type { Feed, Runtime } from '../src/runtime/runtime.js';
import { autoMicroBatch } from '../src/step/micro-batch.js';
import { buildPrefix } from '../src/step/prefix.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { streamOf } from '../src/train/evaluate.js';
import { BENCH } from './plan.js';
import { BATCH_SIZE, DISTILLATION, initialParameters, modelSpec, openBackbones } from './problem.js';
import { type MeasuredRow, type Row, summarise, takeTurns } from './readings.js';

const ALL = 'all passes';
const rounds = Number(process.argv[2] ?? 7);
const backbones = await openBackbones(`${BENCH}cache`);
const student = modelSpec(backbones.student, 'parallel');
const teacher = modelSpec(backbones.teacher, 'parallel');
const microBatch = autoMicroBatch(BATCH_SIZE, streamOf(student));

const runtime = await startRuntime({ device: 'cpu' });
const rows: (Row & { flopsPerImage: number })[] = [];
for (const name of [ALL, ...PASS_NAMES]) rows.push(await rowWithout(runtime, name));
const measured = await takeTurns(rows, rounds, (text) => process.stderr.write(`${text}\n`));
await runtime.close();

const lines = measured.map((row, i) => {
  const without = i === 0 ? '' : `${change(row, measured[0]!)} %`;
  const { median } = summarise(row.readings.map(({ value }) => value));
  return [row.name, median.toFixed(0), (rows[i]!.flopsPerImage / 1e9).toFixed(1), without].join(' | ');
});
process.stdout.write(
  [
    '| left out | ms an image | GFLOP an image | longer by |',
    '| --- | --- | --- | --- |',
    ...lines.map((l) => `| ${l} |`),
  ]
    .join('\n')
    .concat('\n'),
);

/** The step without one pass; what the frozen prefixes give is at hand, as from the second epoch on. */
async function rowWithout(runtime: Runtime, pass: string): Promise<Row & { flopsPerImage: number }> {
  const disable = [pass];
  const prefixes =
    pass === FROZEN_PREFIX
      ? { student: null, teacher: null }
      : { student: buildPrefix(student, disable), teacher: buildPrefix(teacher, disable) };
  const { session, feeds, flops } = await withWeightFile(async (sink) => {
    const options = { student, teacher, distillation: DISTILLATION, microBatch, prefixes, disable, sink };
    const step = buildTrainStep(options);
    const known: Record<string, Feed> = {
      labels: new BigInt64Array(microBatch),
      weights: new Float32Array(microBatch).fill(1 / microBatch),
      'student.parameters': initialParameters(step.student, 'student'),
      'teacher.parameters': initialParameters(step.teacher!, 'teacher'),
    };
    const fed = Object.entries(step.program.inputs).map(([name, { shape }]) => [
      name,
      known[name] ?? wave(size(shape)),
    ]);
    return {
      session: await runtime.load(() => step.program),
      feeds: Object.fromEntries(fed),
      flops: step.program.flops,
    };
  });
  const read = async () => {
    const started = performance.now();
    await session.run(feeds);
    return { value: (performance.now() - started) / microBatch };
  };
  const flopsPerImage = flops / microBatch;
  return {
    table: 'training step',
    name: pass,
    setting: `${microBatch} images a call`,
    flopsPerImage,
    read,
    warmUp: read,
  };
}

/** Numbers that are neither 0 nor alike; the speed does not depend on them. */
function wave(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i));
}

/** In per cent, with its sign. */
function change(row: MeasuredRow, reference: MeasuredRow): string {
  const { median } = summarise(row.readings.map(({ value }, i) => value / reference.readings[i]!.value));
  const percent = 100 * (median - 1);
  return `${percent < 0 ? '−' : ''}${Math.abs(percent).toFixed(1)}`;
}
