/** What a stranger wrote into names is shown and not obeyed. */
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { facts, table } from '../src/cli/format.js';
import { IdatError, visible } from '../src/errors.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const fixture = fileURLToPath(new URL('./fixtures/run-0.1', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'idat-terminal-'));
afterAll(() => rmSync(root, { recursive: true }));
cpSync(fixture, root, { recursive: true });
const run = join(root, 'finished');
const config = join(run, 'config.json');
writeFileSync(config, readFileSync(config, 'utf8').replaceAll('/idat-fixture', root));

const idat = (...args: string[]) =>
  new Promise<{ stdout: string; stderr: string }>((resolve) =>
    execFile(process.execPath, [main, ...args], { cwd: root }, (_, stdout, stderr) => resolve({ stdout, stderr })),
  );
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
const OBEYED = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

describe('text', () => {
  it('is escaped as JSON would, but for ends of lines', () => {
    expect(visible('a\x1b[2J\u009b31m\u202ez\r\n\u{e0041}')).toBe(
      'a\\u001b[2J\\u009b31m\\u202ez\\u000d\n\\udb40\\udc41',
    );
    expect(visible('größer 写真 👩‍👩‍👧')).toBe('größer 写真 👩‍👩‍👧');
    expect(JSON.parse(visible(JSON.stringify('\u009bx\u{e0041}')))).toBe('\u009bx\u{e0041}');
  });

  it('of an error is', () => {
    expect(new IdatError('x', 'no \x1b]0;title\x07').message).toBe('no \\u001b]0;title\\u0007');
  });

  it('in a table keeps its cell', () => {
    expect(table([['a\nb', 'c']])).toBe('a\\nb  c');
    expect(facts({ name: 'a\x1bb\nc' })).toBe('name  a\\u001bb\\nc');
  });
});

describe('commands', () => {
  const classes = join(run, 'classes.json');
  writeFileSync(classes, JSON.stringify(['r\x1b[31med', 'gr\u202eeen', 'b\nlue\u009b2J']));
  const name = '\x1b[2Jx\ny.png';
  mkdirSync(join(root, 'p'));
  copyFileSync(join(fixture, 'images', 'red.png'), join(root, 'p', name));
  writeFileSync(join(root, 'p', '\x1b]0;t\x07.jpg'), 'no picture');

  it('predict', async () => {
    const { stdout, stderr } = await idat('predict', 'finished', 'p');
    expect(stdout).not.toMatch(OBEYED);
    expect(stderr).not.toMatch(OBEYED);
    expect(stdout).toContain('p/\\u001b[2Jx\\ny.png\n');
    expect(stdout).toContain('r\\u001b[31med');
    expect(stderr).toContain('\\u001b]0;t\\u0007.jpg');
  });

  it('predict --json, which stays what it was', async () => {
    const { stdout } = await idat('predict', 'finished', 'p', '--json');
    expect(stdout).not.toMatch(OBEYED);
    const { results } = JSON.parse(stdout) as { results: { path: string; predictions: { label: string }[] }[] };
    expect(results.map(({ path }) => path)).toContain(join('p', name));
    expect(results.flatMap(({ predictions }) => predictions.map(({ label }) => label))).toContain('b\nlue\u009b2J');
  });

  it('errors', async () => {
    const { stderr } = await idat('eval', 'finished', '--data', `${'no\x1b[2J'}.zip`);
    expect(stderr).toContain('no\\u001b[2J.zip');
    expect(stderr).not.toMatch(OBEYED);
  });
});
