/** idat eval: tests a trained run, on its own test images or on others. */
import { Command } from 'commander';
import { evaluateRun } from '../../index.js';
import { readRecord } from '../../train/run-directory.js';
import { PROTOCOL_MEANING, shortPath } from '../describe-run.js';
import { facts, percent } from '../format.js';
import { withProgress } from '../with-progress.js';

export const evaluate = new Command('eval')
  .description('measure a trained run on test images')
  .argument('<run>', 'its run directory')
  .option('--data <path>', 'another data set of the same classes')
  .option('--json', 'print the result as one JSON object')
  .action(async (run: string, flags: { data?: string; json?: true }) => {
    const { data } = flags;
    const { settings } = await readRecord(run);
    const score = await withProgress((control) =>
      evaluateRun(run, { ...(data !== undefined && { data }), ...control }),
    );
    const { protocol } = settings;
    const measuredOn = data ?? settings.data;
    if (flags.json) {
      process.stdout.write(`${JSON.stringify({ ...score, protocol, data: measuredOn })}\n`);
      return;
    }
    const text = facts({
      accuracy: `${percent(score.accuracy)}  (${score.correct} of ${score.total} test images)`,
      protocol: PROTOCOL_MEANING[protocol],
      data: shortPath(measuredOn),
    });
    process.stdout.write(`${text}\n`);
  });
