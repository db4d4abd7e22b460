/** idat pretrain: trains a backbone from random weights. */
import { Command } from 'commander';
import { pretrain as train } from '../../runs/pretrain.js';
import { ScratchConfig } from '../../settings/fields.js';
import { PretrainConfig, type PretrainInput } from '../../settings/pretrain.js';
import { addFlags, givenFields } from '../config-flags.js';
import { describeRun } from '../describe-run.js';
import { withProfile } from '../profile.js';
import { print } from '../terminal.js';
import { withProgress } from '../with-progress.js';

const command = new Command('pretrain')
  .description('train a vision transformer of any size from random weights')
  .argument('<data>', 'a folder or .zip, as for train');

const sizes = { heading: 'Model:', fields: Object.keys(ScratchConfig.shape) };

export const pretrain = addFlags(command, PretrainConfig, sizes)
  .option('--profile', 'first measure where the time of a step goes: profile.json, .md and .svg in the run directory')
  .option('--json', 'print the result as one JSON object')
  .action(async (data: string, flags) => {
    const input = { ...givenFields(PretrainConfig, flags), data } as PretrainInput;
    const result = await withProgress((control) => train(input, flags.profile ? withProfile(control) : control));
    print(flags.json ? `${JSON.stringify(result)}\n` : `${describeRun(result)}\n`);
  });
