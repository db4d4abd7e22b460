/** idat resume: goes on with a run that was stopped. */
import { Command } from 'commander';
import { resume } from '../../index.js';
import { wholeNumber } from '../arguments.js';
import { describeRun } from '../describe-run.js';
import { importMethod, METHOD_FILE } from '../method-file.js';
import { withProgress } from '../with-progress.js';

export const resumeRun = new Command('resume')
  .description('go on with a run that was stopped')
  .argument('<run>', 'its run directory')
  .addOption(METHOD_FILE())
  .option(
    '--threads <number>',
    'go on with so many; the result then differs from an undisturbed run in rounding',
    wholeNumber,
  )
  .option('--json', 'print the result as one JSON object')
  .action(async (run: string, flags: { method?: string; threads?: number; json?: true }) => {
    if (flags.method !== undefined) await importMethod(flags.method);
    const result = await withProgress((control) =>
      resume(run, { ...control, ...(flags.threads && { threads: flags.threads }) }),
    );
    process.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : `${describeRun(result)}\n`);
  });
