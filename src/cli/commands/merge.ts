/** idat merge: a tuned model as a plain checkpoint. */
import { Command } from 'commander';
import { mergeRun } from '../../index.js';
import { STUDENT_PLACE } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { importMethod, METHOD_FILE } from '../extension-file.js';
import { facts } from '../format.js';
import { print } from '../terminal.js';

export const merge = new Command('merge')
  .description('fold what a run has learned into its backbone: a plain checkpoint, as fast as before tuning')
  .argument('<run>', 'its run directory')
  .requiredOption('--out <file>', 'the checkpoint to write, such as merged.safetensors')
  .addOption(STUDENT_PLACE())
  .addOption(METHOD_FILE())
  .option('--json', 'print what was written as one JSON object')
  .action(async (run: string, flags: { out: string; student?: string; method?: string; json?: true }) => {
    if (flags.method !== undefined) await importMethod(flags.method);
    const result = await mergeRun(run, flags.out, flags.student === undefined ? {} : { student: flags.student });
    if (flags.json) {
      print(`${JSON.stringify(result)}\n`);
      return;
    }
    const text = facts({
      file: shortPath(result.path),
      tensors: `${result.tensors}, ${result.changed} of them changed by ${result.method} and its head`,
      card: result.card === null ? 'none, as the run has no result yet' : shortPath(result.card),
      use: `a ViT or Swin in timm’s naming; idat reads it as --student ${shortPath(result.path)}`,
    });
    print(`${text}\n`);
  });
