/** idat data: looking at data sets. */
import { Command } from 'commander';
import { printable } from '../../errors.js';
import { type CheckedSplit, checkData, type DataCheck } from '../../index.js';
import { anyInteger } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { wrapped } from '../fit-table.js';
import { table } from '../format.js';
import { print } from '../terminal.js';
import { withProgress } from '../with-progress.js';

const check = new Command('check')
  .description('read all of a data set and tell what is wrong: missing, unreadable, twice, in train and test')
  .argument('<data>', 'a data set, as for train')
  .option('--split-seed <number>', 'decides the splits that idat makes, as for train (default: 42)', anyInteger)
  .option('--json', 'print all of it as one JSON object')
  .action(async (data: string, { splitSeed, json }: { splitSeed?: number; json?: true }) => {
    const options = splitSeed === undefined ? {} : { splitSeed };
    const found = await withProgress((control) => checkData(data, { ...options, ...control }), undefined, 'stopping');
    print(json ? `${JSON.stringify(found)}\n` : describe(found));
    if (found.findings.some(({ severity }) => severity === 'error')) process.exitCode = 1;
  });

export const data = new Command('data').description('look at data sets').addCommand(check);

function describe({ source, task, note, splits, classes, sizes, findings }: DataCheck): string {
  const rows = Object.entries(splits).map(([name, split]) => [
    name,
    split.images.toLocaleString('en'),
    `${split.unreadable}`,
    `${split.perClass.filter((count) => count > 0).length}`,
    range(Math.min(...split.perClass), Math.max(...split.perClass)),
    split.fingerprint?.slice(0, 16) ?? '',
  ]);
  const parts = [
    wrapped(`${shortPath(source)}${task === null ? '' : `: ${task}, by name, lists, classes and counts`}`),
    wrapped(note),
    table([['split', 'images', 'unreadable', 'classes', 'a class', 'fingerprint'], ...rows], [0, 5]),
    [...(sizes ? [sizesInWords(sizes)] : []), wrapped(extremes(classes, splits.trainval))].join('\n'),
    findings.length === 0
      ? 'Nothing is wrong with it, as far as idat can see.'
      : findings.map(({ severity, text }) => wrapped(`${severity}: ${text}`, '  ')).join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

const range = (from: number, to: number): string => (from === to ? `${from}` : `${from} to ${to}`);

function sizesInWords({ width, height, bytes }: NonNullable<DataCheck['sizes']>): string {
  const one = width.lowest === width.highest && height.lowest === height.highest;
  const pixels = one
    ? `${width.lowest}×${height.lowest} pixels, all`
    : `${range(width.lowest, width.highest)} pixels wide (median ${width.median}), ${range(height.lowest, height.highest)} high (${height.median})`;
  const kilobytes = (n: number) => (n / 1000).toPrecision(2);
  return `${pixels}\nfiles of ${kilobytes(bytes.lowest)} to ${kilobytes(bytes.highest)} kB (median ${kilobytes(bytes.median)})`;
}

/** The classes with the fewest and the most images to learn from, where they are not alike. */
function extremes(classes: readonly string[], { perClass }: CheckedSplit): string {
  const [least, most] = [Math.min(...perClass), Math.max(...perClass)];
  const called = (count: number) => printable(classes[perClass.indexOf(count)]!);
  if (least === most) return `${classes.length} classes of ${most} images each to learn from`;
  return `${classes.length} classes, from ${called(least)} (${least} images to learn from) to ${called(most)} (${most})`;
}
