/** The scripts of `idat completion`, run by the shells they are for, where those are there. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_BACKBONES, LOSSES, METHODS, NAMED_RECIPES } from '../src/index.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const place = mkdtempSync(join(tmpdir(), 'idat-completion-'));
afterAll(() => rmSync(place, { recursive: true }));
const has = (shell: string) => spawnSync(shell, ['--version']).status === 0;

const idat = (...args: string[]) => execFileSync(process.execPath, [main, ...args], { encoding: 'utf8' });
beforeAll(() => {
  for (const shell of ['bash', 'zsh', 'fish']) writeFileSync(join(place, shell), idat('completion', shell));
  mkdirSync(join(place, 'runs', 'flowers 1'), { recursive: true });
  writeFileSync(join(place, 'photo one.jpg'), '');
});

/** What bash offers at the end of a line, in its order. */
function inBash(line: string): string[] {
  const words = line.split(' ').map((word) => `'${word}'`);
  const script = `source ./bash; COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _idat; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = execFileSync('bash', ['--norc', '-c', script], { cwd: place, encoding: 'utf8' });
  return text.split('\n').filter((one) => one !== '');
}

describe.skipIf(!has('bash'))('in bash', () => {
  it('completes commands, all of them', () => {
    const [, listed] = /^Commands:\n([\s\S]*)\n\n/m.exec(idat('--help'))!;
    const commands = [...listed!.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name);
    expect(commands).toContain('completion');
    expect(inBash('idat ').sort()).toEqual(commands.sort());
    expect(inBash('idat tr')).toEqual(['train']);
    expect(inBash('idat models ')).toContain('fetch');
    expect(inBash('idat data ch')).toEqual(['check']);
  });
  it('completes flags of the command that stands there', () => {
    expect(inBash('idat train --meth')).toEqual(['--method']);
    expect(inBash('idat --vers')).toEqual(['--version']);
    expect(inBash('idat bench --sav')).toEqual(['--save']);
    expect(inBash('idat train x --sav')).toEqual([]);
    expect(inBash('idat models fetch --')).toEqual(['--help']);
  });
  it.each<[string, readonly string[]]>([
    ['idat train x --method ', METHODS.map(({ name }) => name)],
    ['idat train x --teacher-method ', METHODS.map(({ name }) => name)],
    ['idat train x --distill ', LOSSES.map(({ name }) => name)],
    ['idat train x --student ', KNOWN_BACKBONES.map(({ name }) => name)],
    ['idat models fetch ', KNOWN_BACKBONES.map(({ name }) => name)],
    ['idat train x --recipe ', ['auto', 'none', ...NAMED_RECIPES.map(({ name }) => name)]],
    ['idat train x --protocol ', ['last', 'val', 'paper']],
    ['idat train x --micro-batch ', ['auto']],
    ['idat train x --disable few-queries simplify fold-c', ['fold-constants']],
    ['idat train x --variant iDAT-PS-k', ['iDAT-PS-kl', 'iDAT-PS-kl-standardised']],
    ['idat runs --sort ', ['name', 'date', 'accuracy']],
    ['idat completion ', ['bash', 'zsh', 'fish']],
    ['idat train x --lr ', []],
  ])('%s', (line, words) => {
    expect(inBash(line)).toEqual(expect.arrayContaining([...words]));
    if (words.length <= 3) expect(inBash(line)).toEqual(words);
  });
  it('completes files and folders, spaces in their names too', () => {
    expect(inBash('idat train pho')).toEqual(['photo one.jpg']);
    expect(inBash('idat predict runs/flow')).toEqual(['runs/flowers 1']);
    expect(inBash('idat train x --cache-dir ')).toEqual(['runs']);
    expect(inBash('idat train x --config pho')).toEqual(['photo one.jpg']);
    expect(inBash('idat train x --student pho')).toEqual(['photo one.jpg']);
  });
  it('is registered for idat', () => {
    const text = execFileSync('bash', ['--norc', '-c', 'source ./bash; complete -p idat'], {
      cwd: place,
      encoding: 'utf8',
    });
    expect(text).toMatch(/^complete -F _idat idat$/m);
  });
});

/** Where fish is, for those who have none in their path. */
const fish = process.env.IDAT_TEST_FISH ?? 'fish';
describe.skipIf(!has(fish))('in fish', () => {
  const inFish = (line: string) =>
    execFileSync(fish, ['--no-config', '-c', `source ./fish; complete -C '${line}'`], { cwd: place, encoding: 'utf8' })
      .split('\n')
      .map((one) => one.split('\t')[0]!)
      .filter((one) => one !== '');
  it.each([
    ['idat tr', ['train']],
    ['idat data ch', ['check']],
    ['idat train --meth', ['--method']],
    ['idat train x --protocol ', ['last', 'val', 'paper']],
    ['idat completion ', ['bash', 'zsh', 'fish']],
    ['idat train x --recipe vtab/eu', ['vtab/eurosat']],
  ])('%s', (line, words) => expect(inFish(line).sort()).toEqual([...words].sort()));
});

const zsh = process.env.IDAT_TEST_ZSH ?? 'zsh';
describe.skipIf(!has(zsh))('in zsh', () => {
  const inZsh = (script: string) => execFileSync(zsh, ['-f', '-c', script], { cwd: place, encoding: 'utf8' });
  it('is registered for idat, and its function is read', () => {
    const text = inZsh('autoload -U compinit && compinit -D -u; source ./zsh; whence -w _idat; print $_comps[idat]');
    expect(text).toMatch(/^_idat: function\n_bash_complete/m);
  });
  it.each([
    ['idat tr', ['train']],
    ['idat data ch', ['check']],
    ['idat train x --protocol ', ['last', 'val', 'paper']],
    ['idat train x --disable simplify fold-c', ['fold-constants']],
    ['idat train pho', ['photo one.jpg']],
  ])('%s', (line, words) => {
    const given = line.split(' ').map((word) => `'${word}'`);
    // the way in which bashcompinit calls a function made for bash
    const call = `f() { emulate -L sh; setopt kshglob noshglob braceexpand; _idat; print -l -- "\${COMPREPLY[@]}"; }`;
    const text = inZsh(
      `autoload -U compinit && compinit -D -u; source ./zsh; ${call}; COMP_WORDS=(${given.join(' ')}); COMP_CWORD=${given.length - 1}; f`,
    );
    // what does not begin as the word does is left out by zsh afterwards
    const begun = text
      .trimEnd()
      .split('\n')
      .filter((one) => one.startsWith(line.split(' ').at(-1)!));
    expect(begun).toEqual(words);
  });
});

it('refuses a shell that it does not know', () => {
  const { status, stderr } = spawnSync(process.execPath, [main, 'completion', 'tcsh'], { encoding: 'utf8' });
  expect(status).toBe(2);
  expect(stderr).toMatch(/bash, zsh, fish/);
});
