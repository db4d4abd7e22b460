/** idat worker: makes runs of a queue on this machine. */
import { Command, Option } from 'commander';
import { QUEUE_PASSWORD, QUEUE_USER } from '../../queue/address.js';
import type { WorkerEvent } from '../../queue/loop-options.js';
import { startWorker } from '../../queue/serve.js';
import { wholeNumber } from '../arguments.js';
import { clock, oneLine } from '../format.js';
import { interruptible } from '../interrupt.js';
import { print, tell } from '../terminal.js';

interface WorkerFlags {
  queue: string;
  name?: string;
  device: 'cpu' | 'cuda' | 'webgpu';
  parallel?: number;
  data?: string[];
  models?: string[];
  allowModules?: string;
  cacheDir?: string;
  carry?: number;
  fetch?: true;
  silence?: number;
  untilEmpty?: true;
  json?: true;
}

export const worker = new Command('worker')
  .description('make runs of a queue that `idat sweep --queue` fills, on this machine, until Ctrl-C hands them back')
  .addOption(
    new Option('--queue <url>', 'redis://HOST:PORT or rediss://HOST:PORT of Redis or Valkey')
      .env('IDAT_QUEUE')
      .makeOptionMandatory(),
  )
  .option('--data <folders...>', 'folders in which data sets lie by their names')
  .option('--models <folders...>', 'folders in which checkpoints lie by their names')
  .option('--name <name>', 'what it is called (default: the machine’s name and a number)')
  .addOption(
    new Option('--device <device>', 'where its runs compute').choices(['cpu', 'cuda', 'webgpu']).default('cpu'),
  )
  .option('--parallel <number>', 'runs at a time (default: as cores and memory allow; one on a GPU)', wholeNumber)
  .option('--cache-dir <folder>', 'folder for decoded images and what the frozen part computes for them')
  .option(
    '--carry <MiB>',
    'of a data set or checkpoint that comes through the queue, at most (default: 1024)',
    wholeNumber,
  )
  .option('--fetch', 'fetch models and data sets of the Hugging Face hub that are not on this disk')
  .option('--allow-modules <folder>', 'the only folder from which methods and losses of one’s own are imported')
  .option('--silence <seconds>', 'after which a worker counts as dead; equal for all (default: 60)', wholeNumber)
  .option('--until-empty', 'leave when nothing is left to do')
  .option('--json', 'print what it has done as one JSON object')
  .addHelpText('after', `\nUser and password are taken from ${QUEUE_USER} and ${QUEUE_PASSWORD}.`)
  .action(async ({ json, carry, allowModules, ...flags }: WorkerFlags) => {
    const options = {
      ...flags,
      ...(carry !== undefined && { carryBytes: carry * 2 ** 20 }),
      ...(allowModules !== undefined && { modules: allowModules }),
    };
    const outcome = await interruptible(
      (signal) => startWorker(options, { signal, onEvent: (event) => tell(`${oneLine(lineOf(event))}\n`) }),
      'handing back what is under way',
    );
    const { done, failed, handedBack } = outcome;
    print(json ? `${JSON.stringify(outcome)}\n` : `${done} runs done, ${failed} failed, ${handedBack} handed back\n`);
  });

function lineOf(event: WorkerEvent): string {
  switch (event.kind) {
    case 'joined':
      return `${event.name} works with ${event.build}, ${event.slots} run(s) at a time`;
    case 'began':
      return `began   ${event.run}${event.goesOn ? ' (goes on)' : ''}`;
    case 'done':
      return `done    ${event.run}  ${clock(event.seconds)}`;
    case 'handed-back':
      return `back    ${event.run}`;
    case 'failed':
      return `failed  ${event.run}: ${event.message}${event.parked ? '; it is given up' : ''}`;
    case 'lacks':
      return `lacks   ${event.what} (left to others: ${event.run})`;
    case 'lost':
      return `lost    ${event.run}: it goes on elsewhere, or was withdrawn`;
    case 'waits':
      return `waits   the queue’s server does not obey (${event.why})`;
  }
}
