/**
 * Does a teacher spread the student's trained weights (the paper's Figures 1 and 3)? Of a sweep's runs, TASK/ROW/seed-N: the standard
 * deviation of each trained matrix, averaged over the blocks, and its paired change from one row to another, over tasks and seeds.
 *
 *     npm run build && node tools/weight-spread.mjs runs/few Seq.-adapter iDAT-S-mse iDAT-S-kl
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../dist/files/node/safetensors-file.js';
import { comparePaired, mean, moments } from '../dist/statistics/index.js';

const [folder, base, ...others] = process.argv.slice(2);

/** Which matrix of an adapter, or the head; none of the rest. */
const kindOf = (name) => /^head\.weight$/.exec(name)?.[0] ?? /adapter\.(\w+\.weight)$/.exec(name)?.[1];

async function spreads(row) {
  const found = new Map();
  for (const task of readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    for (const seed of readdirSync(join(folder, task.name, row))) {
      const opened = await openSafetensors(join(folder, task.name, row, seed, 'student.safetensors'));
      const byKind = new Map();
      for (const name of opened.file.tensors.keys()) {
        const kind = kindOf(name);
        if (kind === undefined) continue;
        byKind.set(kind, [...(byKind.get(kind) ?? []), moments(await opened.readFloat32(name)).std]);
      }
      await opened.close();
      const number = Number(seed.replace('seed-', ''));
      for (const [kind, values] of byKind) {
        // of logarithms, so that differences are factors
        const one = { task: task.name, seed: number, value: Math.log(mean(values)) };
        found.set(kind, [...(found.get(kind) ?? []), one]);
      }
    }
  }
  return found;
}

const percent = (log) => `${(100 * (Math.exp(log) - 1)).toFixed(1).replace('-', '−')} %`;
const before = await spreads(base);
console.log(`| trained matrix | row | standard deviation | change from ${base} | 95 % interval | p |`);
console.log('| --- | --- | --- | --- | --- | --- |');
for (const row of others) {
  for (const [kind, values] of await spreads(row)) {
    const { summary, interval, test } = comparePaired(before.get(kind), values);
    const [from, to] = [before.get(kind), values].map((all) =>
      mean(all.map(({ value }) => Math.exp(value))).toFixed(4),
    );
    const reach = interval ? `${percent(interval.low)} to ${percent(interval.high)}` : '–';
    console.log(
      `| ${kind} | ${row} | ${from} → ${to} | ${percent(summary.mean)} | ${reach} | ${test.p < 1e-4 ? '< 0.0001' : test.p.toFixed(4)} |`,
    );
  }
}
