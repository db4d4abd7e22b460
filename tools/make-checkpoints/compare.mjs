/**
 * Holds idat's readers against the libraries that write checkpoints: makes each file, computes its logits with the file's own
 * head, prints how far they lie apart, and removes the file. Needs idat built (npm run build).
 *
 * node tools/make-checkpoints/compare.mjs PYTHON [--size tiny|real] [--case NAME …]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ownLogits } from './own-logits.mjs';

const BOUND = 1e-4;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { size: { type: 'string', default: 'real' }, case: { type: 'string', multiple: true } },
});
const [python = 'python3', ...more] = positionals;
const maker = join(dirname(fileURLToPath(import.meta.url)), 'make_checkpoints.py');
const make = (...args) =>
  execFileSync(python, [maker, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

const cases = values.case ? [...values.case, ...more] : make('--list').trim().split('\n');
console.log('| file | opened in, s | largest logit or feature | largest deviation | computed, of all weights |');
console.log('| --- | --- | --- | --- | --- |');
let failed = false;
for (const name of cases) {
  const folder = mkdtempSync(join(tmpdir(), 'idat-checkpoints-'));
  try {
    const versions = make(folder, '--size', values.size, '--case', name).trim();
    if (name === cases[0]) console.error(versions);
    const { file, imageSize, of, logits } = JSON.parse(readFileSync(join(folder, 'logits.json'), 'utf8'))[name];
    const own = await ownLogits(join(folder, file), imageSize, logits.length, of);
    const { logits: ours, openedInMs, computedShare } = own;
    const theirs = logits.flat();
    const deviation = Math.max(...theirs.map((value, i) => Math.abs(value - ours[i])));
    const largest = Math.max(...theirs.map(Math.abs));
    failed ||= !(deviation <= BOUND * largest && ours.length === theirs.length);
    const columns = [name, (openedInMs / 1000).toFixed(2), largest.toFixed(2), deviation.toExponential(1)];
    console.log(`| ${columns.join(' | ')} | ${(100 * computedShare).toFixed(0)} % |`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
if (failed) {
  console.error(`beyond ${BOUND} of the largest`);
  process.exitCode = 1;
}
