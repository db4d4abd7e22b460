/** idat pack: a run as one folder or zip that works anywhere. */
import { Command } from 'commander';
import { packRun } from '../../index.js';
import { STUDENT_PLACE } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { importMethod, METHOD_FILE } from '../extension-file.js';
import { facts } from '../format.js';
import { print } from '../terminal.js';

export const pack = new Command('pack')
  .description('put what prediction needs, frozen weights included, into one folder or zip that works anywhere')
  .argument('<run>', 'its run directory')
  .requiredOption('--out <path>', 'a folder that is not there yet, or a file that ends in .zip')
  .addOption(STUDENT_PLACE())
  .addOption(METHOD_FILE())
  .option('--json', 'print what was written as one JSON object')
  .action(async (run: string, flags: { out: string; student?: string; method?: string; json?: true }) => {
    if (flags.method !== undefined) await importMethod(flags.method);
    const result = await packRun(run, flags.out, flags.student === undefined ? {} : { student: flags.student });
    if (flags.json) {
      print(`${JSON.stringify(result)}\n`);
      return;
    }
    const zipped = result.path.endsWith('.zip');
    const text = facts({
      [zipped ? 'zip' : 'folder']: shortPath(result.path),
      size: `${(result.bytes / 1e6).toFixed(1)} MB, ${result.files.length} files`,
      use: `${zipped ? 'unpack it; ' : ''}idat predict ${shortPath(result.path).replace(/\.zip$/i, '')} photo.jpg`,
    });
    print(`${text}\n`);
  });
