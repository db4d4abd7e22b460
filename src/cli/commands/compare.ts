/** idat compare: adapters alone against iDAT on several data sets and seeds, as one table. */
import { Command } from 'commander';
import { type CompareInput, compare as trainBoth } from '../../experiments/compare.js';
import { comparisonTable } from '../../report/comparison.js';
import { FineTuneConfig } from '../../settings/config.js';
import { addConfigFlags, givenFields } from '../config-flags.js';
import { importExtensions } from '../extension-file.js';
import { print } from '../terminal.js';
import { withProgressOf } from '../with-progress.js';

const command = new Command('compare')
  .description('train with and without the teacher on several data sets and seeds; print a table')
  .argument('<data...>', 'data sets, as for train')
  .option('--seeds <list>', 'seeds, separated by commas', (text) => text.split(',').map(Number), [1, 2, 3])
  .option('--json', 'print all results as one JSON object');

export const compare = addConfigFlags(command).action(async (data: string[], given) => {
  const { seeds, json, ...flags } = await importExtensions(given);
  const input = { ...givenFields(FineTuneConfig, flags), data, seeds } as CompareInput;
  const comparison = await withProgressOf((control) => trainBoth(input, control));
  print(json ? `${JSON.stringify(comparison)}\n` : `${comparisonTable(comparison)}\n`);
});
