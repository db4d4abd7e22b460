/** idat predict: the classes a trained run sees in pictures. */
import { Command } from 'commander';
import { predict } from '../../index.js';
import { STUDENT_PLACE, wholeNumber } from '../arguments.js';
import { importMethod, METHOD_FILE } from '../extension-file.js';
import { oneLine, percent, table } from '../format.js';
import { print, tell } from '../terminal.js';
import { withProgress } from '../with-progress.js';

interface Flags {
  top: number;
  keep: number;
  adapter?: string;
  student?: string;
  method?: string;
  json?: true;
}

/** Behind the name of an image that is less familiar than nearly all of the validation images. */
const NONE = ': likely none of the classes';

export const predictImages = new Command('predict')
  .description('name what is in pictures')
  .argument('<run>', 'a run directory, or the folder, .onnx file or address of one that was exported')
  .argument('<images...>', 'picture files, or folders of them')
  .option('--top <n>', 'how many classes to name for each', wholeNumber, 5)
  .option(
    '--keep <share>',
    'share of validation images not to be taken for none of the classes, from 0.5 to 1',
    Number,
    0.95,
  )
  .option('--adapter <path>', 'another run, or adapter.safetensors of an export, to answer with over the same backbone')
  .addOption(STUDENT_PLACE())
  .addOption(METHOD_FILE())
  .option('--json', 'print the predictions as one JSON object')
  .action(async (run: string, images: string[], flags: Flags) => {
    if (flags.method !== undefined) await importMethod(flags.method);
    const results = await withProgress((control) =>
      predict(run, images, {
        top: flags.top,
        keep: flags.keep,
        ...(flags.adapter !== undefined && { adapter: flags.adapter }),
        ...(flags.student !== undefined && { student: flags.student }),
        ...control,
      }),
    );
    // A picture that could not be read is told and makes the command fail; the others are answered.
    for (const { error } of results) if (error !== undefined) tell(`${error}\n`);
    if (results.some(({ error }) => error !== undefined)) process.exitCode = 1;
    if (flags.json) {
      print(`${JSON.stringify({ results })}\n`);
      return;
    }
    for (const { path, predictions, none } of results) {
      const rows = predictions.map(({ label, probability }) => [`  ${label}`, percent(probability)]);
      if (rows.length > 0) print(`${oneLine(path)}${none ? NONE : ''}\n${table(rows)}\n`);
    }
  });
