/** The order of the rooms, made true by reading the imports. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../src/', import.meta.url));

/** A room imports only from itself and from rooms before it. */
const ORDER = [
  'errors.ts',
  'random.ts',
  'files',
  'hub',
  'graph',
  'runtime',
  'backbones',
  'methods',
  'distill',
  'data',
  'train',
  'report',
  'bench',
  'index.ts',
  'verify',
  'cli',
];

/** Rooms that must run in a browser: nothing from Node, no runtime, no image decoder. */
const BROWSER_SAFE = ['errors.ts', 'random.ts', 'graph', 'methods', 'distill'];

const files = (readdirSync(src, { recursive: true }) as string[]).filter(
  (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.includes('testing'),
);
const roomOf = (file: string) => file.split(/[\\/]/)[0]!;

function imports(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8');
  return [...text.matchAll(/^\s*(?:import|export)\b[^'"]*?\bfrom '([^']+)'/gm)].map((match) => match[1]!);
}

it('every room stands in the order', () => {
  expect([...new Set(files.map(roomOf))].filter((room) => !ORDER.includes(room))).toEqual([]);
});

describe.each(files)('%s', (file) => {
  it('imports only from rooms before its own', () => {
    const rank = ORDER.indexOf(roomOf(file));
    const inner = imports(file).filter((name) => name.startsWith('.'));
    const rooms = inner.map((name) =>
      roomOf(relative(src, normalize(join(src, dirname(file), name))).replace(/\.js$/, '.ts')),
    );
    expect(rooms.filter((room) => ORDER.indexOf(room) > rank)).toEqual([]);
  });
});

it.each(files.filter((file) => BROWSER_SAFE.includes(roomOf(file))))('%s needs nothing of Node', (file) => {
  const outer = imports(file).filter((name) => !name.startsWith('.'));
  expect(outer.filter((name) => !/^(pure-rand|zod|@bufbuild\/protobuf)(\/|$)/.test(name))).toEqual([]);
});
