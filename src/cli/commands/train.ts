/** idat train: fine-tunes a backbone on a data set, alone or with a teacher. */
import { Command } from 'commander';
import { addConfigFlags } from '../config-flags.js';
import { describeRun } from '../describe-run.js';
import { importExtensions } from '../extension-file.js';
import { withProfile } from '../profile.js';
import { print } from '../terminal.js';
import { CONFIG_FILE, PRESET, RECIPE, trainAsAsked } from '../train-request.js';
import { withProgress } from '../with-progress.js';

const EXAMPLES = `
Examples:
  idat train photos/
  idat train photos/ --epochs 20 --flip --out runs/photos
  idat train photos.zip --student vit_base_patch16_224.augreg_in21k \\
    --teacher vit_small_patch16_224.augreg_in21k --frozen int8`;

const command = new Command('train')
  .description('fine-tune a backbone on a data set, alone or taught by a smaller one')
  .argument('[data]', 'a folder or .zip: the lists of VTAB-1K, or one folder a class');

export const train = addConfigFlags(command)
  .addOption(PRESET())
  .addOption(RECIPE())
  .addOption(CONFIG_FILE())
  .option('--profile', 'first measure where the time of a step goes: profile.json, .md and .svg in the run directory')
  .option('--json', 'print the result as one JSON object')
  .addHelpText('after', EXAMPLES)
  .action(async (data: string | undefined, given, self: Command) => {
    if (data === undefined && given.config === undefined) self.error("error: missing required argument 'data'");
    const flags = await importExtensions(given);
    const result = await withProgress((control) =>
      trainAsAsked(data, flags, flags.profile ? withProfile(control) : control),
    );
    print(flags.json ? `${JSON.stringify(result)}\n` : `${describeRun(result)}\n`);
  });
