/** idat sweep: all runs of a plan. */
import { basename, dirname, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { parse as parseYaml } from 'yaml';
import { IdatError } from '../../errors.js';
import { estimateSweep, type SweepEstimate } from '../../experiments/estimate.js';
import {
  type PreparedSweep,
  prepareSweep,
  runSweep,
  type SweepControl,
  type SweepOutcome,
} from '../../experiments/sweep.js';
import { type QueueSweepOptions, runQueueSweep, withdrawSweep } from '../../queue/queue-sweep.js';
import { sweepTable } from '../../report/sweep-table.js';
import { wholeNumber } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { interruptible } from '../interrupt.js';
import { queueView } from '../queue-view.js';
import { sweepView } from '../sweep-view.js';
import { print, tell } from '../terminal.js';

interface SweepFlags extends Pick<SweepControl, 'out' | 'dataRoot' | 'parallel'> {
  reuse?: string[];
  set?: Record<string, unknown>;
  mini?: true;
  dryRun?: true;
  json?: true;
  queue?: string;
  priority?: number;
  carry?: number;
  withdraw?: true;
}

const autoOrNumber = (text: string): 'auto' | number => (text === 'auto' ? text : wholeNumber(text));

function mebibytes(text: string): number {
  return text === '0' ? 0 : wholeNumber(text);
}

/** Adds `epochs=5` to what was given before it; values are read as in a plan. */
function setting(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('Expected name=value, such as epochs=5.');
  return { ...before, [name]: parseYaml(value!) as unknown };
}

export const sweep = new Command('sweep')
  .description('make all runs of a plan, several at a time; runs that are there already are taken up or kept')
  .argument('<plan>', 'its file (YAML); experiments/ has those of the paper’s tables')
  .option('--mini', 'the plan of the same name in the folder mini/ beside it: bundled models, small data sets')
  .option('--dry-run', 'say how many runs, hours and gigabytes, and begin nothing')
  .option('--data-root <folder>', 'where the plan’s tasks are looked for by name (default: data)')
  .option('--out <folder>', 'folder of all runs (default: the plan’s, or runs/ and its name)')
  .option(
    '--parallel <number>',
    'runs at a time (default: the plan’s, or auto: as cores and memory allow)',
    autoOrNumber,
  )
  .option(
    '--set <name=value>',
    'a setting that stands above all of the plan’s, such as epochs=5; may be repeated',
    setting,
  )
  .option('--reuse <folders...>', 'folders of other runs, of which none is made again')
  .option(
    '--queue <url>',
    'let workers make the runs (idat worker): redis://HOST:PORT or rediss://… of Redis or Valkey',
  )
  .option('--priority <number>', 'with --queue: sweeps with lower ones come first (default: 100)', wholeNumber)
  .option(
    '--carry <MiB>',
    'with --queue: data sets and checkpoints up to so large reach workers through it (default: 64; 0: none)',
    mebibytes,
  )
  .option('--withdraw', 'with --queue: take out of it what this sweep has there, and make nothing')
  .option('--json', 'print the outcome as one JSON object')
  .action(async (file: string, flags: SweepFlags) => {
    const { mini, dryRun, json, queue, priority, carry, withdraw, ...options } = flags;
    for (const [name, value] of Object.entries({ priority, carry, withdraw })) {
      if (queue !== undefined || value === undefined) continue;
      throw new IdatError('config.queue', `--${name} is for sweeps by way of a queue; name it with --queue`);
    }
    const plan = mini ? join(dirname(file), 'mini', basename(file)) : file;
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    const prepared = await prepareSweep(plan, { ...given, ...(queue !== undefined && { oneThread: true }) });
    if (dryRun) {
      const estimate = await estimateSweep(prepared, options.reuse);
      print(json ? `${JSON.stringify(estimate)}\n` : `${describeEstimate(estimate)}\n`);
      return;
    }
    const queued: QueueSweepOptions | null =
      queue === undefined
        ? null
        : {
            queue,
            ...(priority !== undefined && { priority }),
            ...(carry !== undefined && { carryBytes: carry * 2 ** 20 }),
          };
    if (queued && withdraw) {
      print(`${await withdrawSweep(prepared, queued)} runs taken out of the queue\n`);
      return;
    }
    const outcome = queued ? await fromQueue(prepared, queued) : await here(prepared);
    // elsewhere than on a terminal, each was told when it failed
    if (process.stderr.isTTY)
      tell(
        outcome.failed
          .map(
            ({ name, message }) => `✗ ${name}: ${message}
`,
          )
          .join(''),
      );
    print(json ? `${JSON.stringify(outcome)}\n` : `${describeOutcome(outcome)}\n`);
    if (outcome.failed.length > 0) process.exitCode = 1;
  });

async function here(prepared: PreparedSweep): Promise<SweepOutcome> {
  const view = sweepView(prepared.limit);
  const work = (signal: AbortSignal) => runSweep(prepared, { ...view, signal });
  return interruptible(work, 'stopping after these steps').finally(view.clear);
}

async function fromQueue(prepared: PreparedSweep, options: QueueSweepOptions): Promise<SweepOutcome> {
  const view = queueView();
  const work = (signal: AbortSignal) => runQueueSweep(prepared, options, { ...view, signal });
  return interruptible(work, 'leaving the runs in the queue').finally(view.clear);
}

function describeOutcome(outcome: SweepOutcome): string {
  const { out, results, failed } = outcome;
  const files = `${results.length} runs done, ${failed.length} failed: ${shortPath(join(out, 'results.jsonl'))} and .csv`;
  return results.length === 0 ? files : `${sweepTable(outcome)}\n\n${files}`;
}

function describeEstimate({ runs, finished, atOnce, hours, gigabytes, unknown }: SweepEstimate): string {
  const left = runs - finished;
  const amount = (value: number) => (value >= 10 ? value.toFixed(0) : value.toPrecision(2));
  const lines = [`${runs} runs, ${finished} of them finished; ${left} to make, ${atOnce} at a time`];
  if (left > unknown) {
    lines.push(
      `about ${amount(hours)} hours of training and ${amount(gigabytes)} GB of disk for ${left - unknown} of them`,
    );
  }
  if (unknown > 0) {
    lines.push(`hours and gigabytes of ${unknown} unknown: no run like them has ended in the folders looked at`);
  }
  return lines.join('\n');
}
