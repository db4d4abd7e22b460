/** idat studio: the runs of a folder as a page, for people who would rather look than read. */
import { Command, Option } from 'commander';
import { serveStudio } from '../../studio/server.js';
import { portNumber } from '../arguments.js';
import { interruptible } from '../interrupt.js';
import { print, tell } from '../terminal.js';

interface StudioFlags {
  host?: string;
  port?: number;
  name?: string[];
  dataRoot?: string[];
  queue?: string;
}

export const studio = new Command('studio')
  .description('a page on this machine alone: look at runs, compare them, start, stop and try them')
  .argument('[folder]', 'the folder that runs lie in; made where there is none', 'runs')
  .option('--port <number>', 'port (default: 7457, or the next one that is free; 0: any)', portNumber)
  .option('--host <address>', 'address to be reached at (default: 127.0.0.1, by this machine alone)')
  .option('--name <names...>', 'further names by which this machine is reached')
  .option('--data-root <folders...>', 'folders from which the page may name data and weights (default: this one)')
  .addOption(
    new Option('--queue <url>', 'also show this queue: redis://HOST:PORT or rediss://HOST:PORT').env('IDAT_QUEUE'),
  )
  .action(async (folder: string, { dataRoot = ['.'], host, port, name, queue }: StudioFlags) => {
    const served = await serveStudio(folder, {
      dataRoots: dataRoot,
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port }),
      ...(name !== undefined && { names: name }),
      ...(queue !== undefined && { queue }),
    });
    print(`${served.address}\n`);
    tell(
      'Open this address in a browser. Whoever has it may do what the page does. Ctrl-C ends the studio and saves.\n',
    );
    if (!served.loopback) {
      tell(`note: ${served.host} may be reached from other machines, and what goes over the net is not encrypted\n`);
    }
    await interruptible(
      (signal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())).then(served.close),
      'saving what is at work',
    );
  });
