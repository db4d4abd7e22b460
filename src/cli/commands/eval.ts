/** idat eval: tests a trained run, on its own test images or on others. */
import { Command } from 'commander';
import { evaluateRun } from '../../index.js';
import { PROTOCOLS } from '../../settings/protocols.js';
import { leftOut, shortPath } from '../describe-run.js';
import { importMethod, METHOD_FILE } from '../extension-file.js';
import { facts, percent } from '../format.js';
import { print } from '../terminal.js';
import { withProgress } from '../with-progress.js';

export const evaluate = new Command('eval')
  .description('measure a trained run on test images')
  .argument('<run>', 'its run directory')
  .option('--data <path>', 'another data set of the same classes')
  .option('--cache-dir <folder>', 'keep decoded images here for the next time')
  .addOption(METHOD_FILE())
  .option('--json', 'print the result as one JSON object')
  .action(async (run: string, flags: { data?: string; cacheDir?: string; method?: string; json?: true }) => {
    if (flags.method !== undefined) await importMethod(flags.method);
    const { data, cacheDir } = flags;
    const score = await withProgress((control) =>
      evaluateRun(run, {
        ...(data !== undefined && { data }),
        ...(cacheDir !== undefined && { cacheDir }),
        ...control,
      }),
    );
    if (flags.json) {
      print(`${JSON.stringify(score)}\n`);
      return;
    }
    const text = facts({
      accuracy: `${percent(score.accuracy)}  (${score.correct} of ${score.total} images${leftOut(score.leftOut)}, ${score.split} split)`,
      protocol: score.finished ? PROTOCOLS[score.protocol].meaning : 'none yet, the run has not ended',
      data: shortPath(score.data),
    });
    print(`${text}\n`);
  });
