/** idat compare: adapters alone against iDAT on several data sets and seeds, as one table. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Command } from 'commander';
import { type FineTuneResult, fineTune, resume } from '../../index.js';
import { type FineTuneInput, parseConfig, variantName } from '../../train/config.js';
import { addConfigFlags, configFrom } from '../config-flags.js';
import { percent } from '../format.js';
import { importMethods } from '../method-file.js';
import { withProgress } from '../with-progress.js';

const command = new Command('compare')
  .description('train with and without the teacher on several data sets and seeds; print a table')
  .argument('<data...>', 'data sets, as for train')
  .option('--seeds <list>', 'seeds, separated by commas', (text) => text.split(',').map(Number), [1, 2, 3])
  .option('--json', 'print all results as one JSON object');

export const compare = addConfigFlags(command).action(async (paths: string[], given) => {
  const flags = await importMethods(given);
  const { seeds, json, out = 'runs/compare', ...rest } = flags;
  const table: { data: string; alone: FineTuneResult[]; taught: FineTuneResult[] }[] = [];
  let names = { alone: '', taught: '' };
  for (const data of paths) {
    const row = {
      data: basename(data).replace(/\.zip$/, ''),
      alone: [] as FineTuneResult[],
      taught: [] as FineTuneResult[],
    };
    for (const seed of seeds as number[]) {
      const taught = { ...configFrom(data, rest), seed };
      const parsed = parseConfig(taught);
      // the same method, nobody beside it
      const { variant: _, ...common } = taught;
      const alone: FineTuneInput = { ...common, method: parsed.method, teacher: null };
      names = { alone: variantName(parseConfig(alone)), taught: variantName(parsed) };
      row.alone.push(await trainOnce(alone, join(out, row.data, names.alone, `seed-${seed}`)));
      row.taught.push(await trainOnce(taught, join(out, row.data, names.taught, `seed-${seed}`)));
    }
    table.push(row);
  }
  process.stdout.write(json ? `${JSON.stringify(table)}\n` : `${markdown(table, names)}\n`);
});

/** A run that is there already is taken up where it stands, so that a comparison can be stopped and repeated. */
function trainOnce(config: FineTuneInput, runDir: string): Promise<FineTuneResult> {
  const begun = existsSync(join(runDir, 'config.json'));
  const work = begun ? resume.bind(null, runDir) : fineTune.bind(null, { ...config, out: runDir });
  return withProgress((control) => work(control), runDir);
}

function markdown(
  table: readonly { data: string; alone: FineTuneResult[]; taught: FineTuneResult[] }[],
  names: { alone: string; taught: string },
): string {
  const lines = table.map(({ data, alone, taught }) => {
    const differences = taught.map((run, i) => run.accuracy - alone[i]!.accuracy);
    const points = (d: number) => `${d < 0 ? '−' : '+'}${Math.abs(100 * d).toFixed(1)}`;
    return `| ${data} | ${spread(alone)} | ${spread(taught)} | ${points(mean(differences))} (${differences.map(points).join(', ')}) |`;
  });
  const { protocol, total } = table[0]!.alone[0]!;
  return [
    `| task | ${names.alone} | ${names.taught} | difference, mean (each seed) |`,
    '| --- | --- | --- | --- |',
    ...lines,
    '',
    `Top-1 on the test images (${total} of ${table[0]!.data}), mean (lowest to highest) of ${table[0]!.alone.length} seeds, protocol ${protocol}.`,
  ].join('\n');
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function spread(runs: readonly FineTuneResult[]): string {
  const values = runs.map((run) => run.accuracy);
  return `${percent(mean(values))} (${percent(Math.min(...values))} to ${percent(Math.max(...values))})`;
}
