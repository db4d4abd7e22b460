/** idat resume: goes on with a run that was stopped. */
import { Command } from 'commander';
import { type ResumeControl, type RunControl, resume } from '../../index.js';
import { wholeNumber } from '../arguments.js';
import { describeRun } from '../describe-run.js';
import { importLoss, importMethod, LOSS_FILE, METHOD_FILE } from '../extension-file.js';
import { print } from '../terminal.js';
import { withProgress } from '../with-progress.js';

interface ResumeFlags extends Omit<ResumeControl, keyof RunControl> {
  method?: string;
  distill?: string;
  json?: true;
}

export const resumeRun = new Command('resume')
  .description('go on with a run that was stopped')
  .argument('<run>', 'its run directory')
  .addOption(METHOD_FILE())
  .addOption(LOSS_FILE())
  .option('--data <path>', 'where its images are now, if not where they were')
  .option('--student <path>', 'where the student’s weights are now, likewise')
  .option('--teacher <path>', 'where the teacher’s weights are now, likewise')
  .option('--cache-dir <folder>', 'keep decoded images and what the frozen part computes here')
  .option(
    '--threads <number>',
    'go on with so many for one operation; the result then differs from an undisturbed run in rounding',
    wholeNumber,
  )
  .option('--micro-batch <number>', 'go on with so many images a call; changes the rounding as well', wholeNumber)
  .option('--replicas <number>', 'go on with so many calls at a time; changes nothing but the speed', wholeNumber)
  .option('--json', 'print the result as one JSON object')
  .action(async (run: string, { method, distill, json, ...how }: ResumeFlags) => {
    if (method !== undefined) await importMethod(method);
    if (distill !== undefined) await importLoss(distill);
    const result = await withProgress((control) => resume(run, { ...control, ...how }));
    print(json ? `${JSON.stringify(result)}\n` : `${describeRun(result)}\n`);
  });
