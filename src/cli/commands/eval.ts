/** idat eval: tests a trained run, on its own test images or on others. */
import { Command } from 'commander';
import { evaluateRun, type RunEvaluation } from '../../index.js';
import { PROTOCOLS } from '../../settings/protocols.js';
import { STUDENT_PLACE } from '../arguments.js';
import { leftOut, measured, shortPath } from '../describe-run.js';
import { importMethod, METHOD_FILE } from '../extension-file.js';
import { facts, percent } from '../format.js';
import { print } from '../terminal.js';
import { withProgress } from '../with-progress.js';

interface EvalFlags {
  data?: string;
  student?: string;
  cacheDir?: string;
  method?: string;
  json?: true;
}

export const evaluate = new Command('eval')
  .description('measure a trained run on test images')
  .argument('<run>', 'its run directory')
  .option('--data <path>', 'another data set of the same classes: its test images, or all of it where it has none')
  .addOption(STUDENT_PLACE())
  .option('--cache-dir <folder>', 'keep decoded images here for the next time')
  .addOption(METHOD_FILE())
  .option('--json', 'print the result as one JSON object')
  .action(async (run: string, flags: EvalFlags) => {
    const { method, json: _, ...options } = flags;
    if (method !== undefined) await importMethod(method);
    const score = await withProgress((control) => evaluateRun(run, { ...options, ...control }));
    if (flags.json) {
      print(`${JSON.stringify(score)}\n`);
      return;
    }
    const text = facts({
      ...measured(score, `images${leftOut(score.leftOut)} (${score.split} split)`),
      beyond: shortForm(score),
      protocol: score.finished ? PROTOCOLS[score.protocol].meaning : 'none yet, the run has not ended',
      data: shortPath(score.data),
    });
    print(`${text}\n`);
  });

/** What accuracy does not say, in a line; `idat analyse` has all of it. */
function shortForm({ balancedAccuracy, top5, ece }: RunEvaluation): string {
  const among = top5 === null ? '' : `top-5 ${percent(top5)}, `;
  return `balanced accuracy ${percent(balancedAccuracy)}, ${among}calibration error (ECE) ${percent(ece)}`;
}
