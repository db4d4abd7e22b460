/**
 * What 8-bit products cost in accuracy: each task and seed trained in float32, with 8-bit weights of a whole byte (±127) and
 * of half of one (±63), which is what processors take whose products of larger ones overflow.
 *
 *     node bench/int8-accuracy.mjs OUT [--epochs 6] [--seeds 1,2,3] [--tasks sign_digits,eurosat,dsprites_loc] [--data DIR]
 *
 * A range is made to be another than this processor's by stopping a run before its first step and writing it into its
 * record, to which the run then keeps. Prints a line a run, then the table. Runs that are there already are not run again.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fineTune, resume } from '../dist/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: 'string', default: '6' },
    seeds: { type: 'string', default: '1,2,3' },
    tasks: { type: 'string', default: 'sign_digits,eurosat,dsprites_loc' },
    data: { type: 'string', default: '../shared/data' },
  },
});
const out = positionals[0];
if (out === undefined) throw new Error('give a folder for the runs');
const list = (text) => text.split(',');

const ARMS = [
  { name: 'float32', frozen: 'float32' },
  { name: '±127', frozen: 'int8', int8Largest: 127 },
  { name: '±63', frozen: 'int8', int8Largest: 63 },
];

async function run(task, seed, { name, frozen, int8Largest }) {
  const dir = join(out, `${task}-${seed}-${frozen}${int8Largest ?? ''}`);
  const config = join(dir, 'config.json');
  if (!existsSync(config)) {
    const stop = new AbortController();
    const request = {
      data: join(values.data, `${task}.zip`),
      student: 'vit_micro_patch4_32.cifar10',
      teacher: 'vit_nano_patch4_32.cifar10',
      variant: 'iDAT-PS-mse',
      epochs: Number(values.epochs),
      warmupEpochs: Math.floor(Number(values.epochs) / 5),
      cooldownEpochs: 0,
      threads: 1,
      microBatch: 32,
      out: dir,
      seed,
      frozen,
    };
    await fineTune(request, { signal: stop.signal, onRecord: () => stop.abort() }).catch((error) => {
      if (error.code !== 'run.interrupted') throw error;
    });
    const record = JSON.parse(readFileSync(config, 'utf8'));
    if (int8Largest !== undefined) record.resolved.int8Largest = int8Largest;
    writeFileSync(config, JSON.stringify(record, null, 2));
  }
  const { accuracy, seconds } = await resume(dir);
  console.log(`${task} ${seed} ${name}: ${(100 * accuracy).toFixed(2)} %, ${seconds.toFixed(0)} s`);
  return accuracy;
}

const points = (value) => `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(1)}`;
const rows = [];
for (const seed of list(values.seeds)) {
  for (const task of list(values.tasks)) {
    const found = [];
    for (const arm of ARMS) found.push(await run(task, Number(seed), arm));
    rows.push({ title: `${task}, ${seed}`, found });
  }
}
console.log(
  `\n| task, seed | ${ARMS.map(({ name }) => name).join(' | ')} |\n| --- | ${ARMS.map(() => '---').join(' | ')} |`,
);
for (const { title, found } of rows) {
  const cells = found.map(
    (value, i) => `${(100 * value).toFixed(1)} %${i > 0 ? ` (${points(value - found[0])})` : ''}`,
  );
  console.log(`| ${title} | ${cells.join(' | ')} |`);
}
for (const [one, other] of [
  [0, 1],
  [0, 2],
  [1, 2],
]) {
  const differences = rows.map(({ found }) => found[other] - found[one]);
  const mean = differences.reduce((sum, d) => sum + d, 0) / differences.length;
  const spread = differences.reduce((sum, d) => sum + (d - mean) ** 2, 0) / Math.max(1, differences.length - 1);
  const error = Math.sqrt(spread / differences.length);
  console.log(
    `${ARMS[other].name} less ${ARMS[one].name}: ${points(mean)} points, standard error ${(100 * error).toFixed(2)}`,
  );
}
