/** idat compare: adapters alone against iDAT on several data sets and seeds, as one table. */
import { Command, Option } from 'commander';
import { z } from 'zod';
import { type CompareInput, compare as trainBoth } from '../../experiments/compare.js';
import { comparisonTable } from '../../report/comparison.js';
import { FineTuneConfig } from '../../settings/config.js';
import { addFlags, givenFields, MOST_USED } from '../config-flags.js';
import { importExtensions } from '../extension-file.js';
import { print } from '../terminal.js';
import { withProgressOf } from '../with-progress.js';

const command = new Command('compare')
  .description('train with and without the teacher on several data sets and seeds; print a table')
  .argument('<data...>', 'data sets, as for train');

/** Each run's seed is one of `--seeds`, each run's directory one of a folder of many; without a teacher all runs would be equal. */
const CompareConfig = FineTuneConfig.omit({ seed: true }).extend({
  teacher: z.string().describe('smaller backbone that teaches one run of each pair: a name or a file'),
  out: z.string().optional().describe('folder of all runs; those there already are taken up (default: runs/compare)'),
});

const SEEDS = new Option('--seeds <list>', 'seeds, separated by commas')
  .argParser((text) => text.split(',').map(Number))
  .default([1, 2, 3], '1,2,3')
  .helpGroup(MOST_USED);

export const compare = addFlags(command, CompareConfig)
  .addOption(SEEDS)
  .option('--json', 'print all results as one JSON object')
  .action(async (data: string[], given) => {
    const { seeds, json, ...flags } = await importExtensions(given);
    const input = { ...givenFields(CompareConfig, flags), data, seeds } as CompareInput;
    const comparison = await withProgressOf((control) => trainBoth(input, control));
    print(json ? `${JSON.stringify(comparison)}\n` : `${comparisonTable(comparison)}\n`);
  });
