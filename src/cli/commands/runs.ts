/** idat runs: the runs below a folder, and what has become of each. */
import { basename } from 'node:path';
import { Command, Option } from 'commander';
import { type ListedRun, listRuns } from '../../index.js';
import { wholeNumber } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { fittingTable, wrapped } from '../fit-table.js';
import { percent } from '../format.js';
import { print } from '../terminal.js';

interface RunsFlags {
  depth?: number;
  sort: keyof typeof ORDERS;
  json?: true;
}

/** What stands first; by name they come already. */
const ORDERS = {
  name: () => 0,
  date: (a: ListedRun, b: ListedRun) => (a.changed < b.changed ? 1 : a.changed > b.changed ? -1 : 0),
  accuracy: (a: ListedRun, b: ListedRun) => (b.result?.accuracy ?? -1) - (a.result?.accuracy ?? -1),
};

export const runs = new Command('runs')
  .description('list the runs below a folder: finished, running, stopped or damaged')
  .argument('[folder]', 'the folder', 'runs')
  .option('--depth <number>', 'folders to go down (default: 3)', wholeNumber)
  .addOption(
    new Option('--sort <by>', 'by name, the latest first, or the best first')
      .choices(Object.keys(ORDERS))
      .default('name'),
  )
  .option('--json', 'print the list as one JSON object')
  .action(async (folder: string, { depth, sort, json }: RunsFlags) => {
    const listed = await listRuns(folder, depth === undefined ? {} : { depth });
    const sorted = [...listed].sort(ORDERS[sort]);
    print(json ? `${JSON.stringify({ runs: sorted })}\n` : describe(folder, sorted));
  });

function describe(folder: string, listed: readonly ListedRun[]): string {
  if (listed.length === 0) return `${shortPath(folder)}: no runs here; idat train makes one\n`;
  const tagged = listed.some(({ notes }) => notes.tags.length > 0);
  const rows = listed.map(({ name, data, variant, seed, changed, notes, ...run }) => [
    name,
    data === null ? '' : basename(data).replace(/\.zip$/i, ''),
    variant ?? '',
    seed === null ? '' : `${seed}`,
    cameTo(run),
    changed.slice(0, 10),
    ...(tagged ? [notes.tags.join(', ')] : []),
  ]);
  const head = ['run', 'data', 'method', 'seed', 'result', 'date', ...(tagged ? ['tags'] : [])];
  const shown = fittingTable([head, ...rows], {
    words: [0, 1, 2, 4, 6],
    narrow: [
      ...(tagged ? [{ column: 6, least: 6 }] : []),
      { column: 1, least: 6 },
      { column: 2, least: 9 },
      { column: 0, least: 12 },
    ],
  });
  const problems = listed.flatMap(({ name, problem }) =>
    problem === null ? [] : [wrapped(`${name}: ${problem}`, '  ')],
  );
  return `${[shown, ...problems, legend(listed)].join('\n\n')}\n`;
}

/** `76.8 % last`, `stopped 3/110` */
function cameTo({ state, result, progress }: Pick<ListedRun, 'state' | 'result' | 'progress'>): string {
  if (result) return `${percent(result.accuracy)} ${result.protocol}`;
  if (!progress || state === 'damaged') return state;
  return `${state} ${progress.epochs}/${progress.of}${progress.phase === 'select' ? ' selecting' : ''}`;
}

function legend(listed: readonly ListedRun[]): string {
  const stopped = listed.filter(({ state }) => state === 'stopped');
  const parts = [
    listed.some(({ result }) => result) && 'A percentage is top-1 on the test images, beside it the protocol.',
    listed.some(({ state }) => state === 'stopped' || state === 'running') && 'k/n: epochs done, of n.',
    stopped.length > 0 && `Go on with: idat resume ${shortPath(stopped[0]!.dir)}`,
  ].filter((part) => part !== false);
  return wrapped(parts.length > 0 ? parts.join(' ') : `${listed.length} runs.`);
}
