/**
 * Cuts a data set of VTAB-1K's form (a zip) down to a few training images of each class, the first in its lists. Their bytes
 * stay as they are; equal arguments make equal files.
 *
 *   node tools/few-images.mjs IN.zip OUT.zip --per-class 10 [--val 0.2] [--measure test|rest] [--test-per-class 60]
 *
 * --val            share of them that is listed to validate on (default: none is)
 * --measure rest   measures on the other training and validation images, so that settings can be chosen without a look at
 *                  the test images (default: test)
 *
 * The demo's images: node tools/few-images.mjs ../shared/data/eurosat.zip assets/eurosat-100.zip --per-class 10 --val 0.2
 * --test-per-class 60
 */
import { createWriteStream } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import yauzl from 'yauzl';
import yazl from 'yazl';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'per-class': { type: 'string' },
    val: { type: 'string', default: '0' },
    measure: { type: 'string', default: 'test' },
    'test-per-class': { type: 'string', default: 'Infinity' },
  },
});
const [source, target] = positionals;
const perClass = Number(values['per-class']);
if (!target || !(perClass >= 1) || !['test', 'rest'].includes(values.measure)) {
  console.error(
    'expected: IN.zip OUT.zip --per-class NUMBER [--val SHARE] [--measure test|rest] [--test-per-class NUMBER]',
  );
  process.exit(2);
}

const zip = await yauzl.openPromise(source, { autoClose: false });
const entries = new Map();
for await (const entry of zip.eachEntry()) entries.set(entry.fileName, entry);
const read = async (name) => buffer(await zip.openReadStreamPromise(entries.get(name)));
const listed = async (name) =>
  (await read(name))
    .toString()
    .split('\n')
    .filter((line) => line !== '');

/** How many of each line's class came before it. */
function ranks(lines) {
  const seen = new Map();
  return lines.map((line) => {
    const label = line.split(' ').at(-1);
    const rank = seen.get(label) ?? 0;
    seen.set(label, rank + 1);
    return rank;
  });
}
const where = (lines, holds) => {
  const rank = ranks(lines);
  return lines.filter((_, i) => holds(rank[i]));
};

const all = [...(await listed('train800.txt')), ...(await listed('val200.txt'))];
const training = where(all, (rank) => rank < perClass);
const every = Number(values.val) > 0 ? Math.round(1 / Number(values.val)) : Infinity;
const isVal = (rank) => (rank + 1) % every === 0;
const lists = {
  train: where(training, (rank) => !isVal(rank)),
  val: where(training, isVal),
  test:
    values.measure === 'rest'
      ? where(all, (rank) => rank >= perClass)
      : where(await listed('test.txt'), (rank) => rank < Number(values['test-per-class'])),
};

const out = new yazl.ZipFile();
const add = (name, bytes) =>
  out.addBuffer(bytes, name, { mtime: new Date(2026, 0, 1), mode: 0o100644, compress: false });
add('classes.txt', await read('classes.txt'));
for (const [name, lines] of Object.entries(lists)) {
  if (lines.length > 0) add(`${name}.txt`, Buffer.from(`${lines.join('\n')}\n`));
}
const pictures = Object.values(lists)
  .flat()
  .map((line) => line.slice(0, line.lastIndexOf(' ')));
for (const path of pictures.sort()) add(path, await read(path));
out.end();
await pipeline(out.outputStream, createWriteStream(target));
zip.close();
console.log(
  Object.entries(lists)
    .map(([name, lines]) => `${lines.length} ${name}`)
    .join(', '),
);
