/** idat verify: holds idat's numbers against stored ones of the authors' code. */
import { Command } from 'commander';
import { DEVICES, type Device } from '../../runtime/runtime.js';
import { formatRows, verify } from '../../verify/index.js';
import { nameOf, wholeNumber } from '../arguments.js';
import { print } from '../terminal.js';

export const verifyReference = new Command('verify')
  .description('hold the numbers idat computes against stored references')
  .argument('<reference-dir>', 'folder of the references')
  .option('--device <name>', `where to compute: ${DEVICES.join(', ')}`, nameOf(DEVICES))
  .option('--threads <number>', 'threads for one operation (default: one for each core)', wholeNumber)
  .option('--json', 'print all rows as one JSON object')
  .action(async (dir: string, flags: { device?: Device; threads?: number; json?: true }) => {
    const { device, threads } = flags;
    let done = 0;
    const onRow = () => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${++done} comparisons`);
    };
    const { rows, passed } = await verify(dir, { device, threads, onRow }).finally(() => {
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[2K');
    });
    print(flags.json ? `${JSON.stringify({ passed, rows })}\n` : `${formatRows(rows)}\n`);
    if (!passed) process.exitCode = 1;
  });
