/** Each tree of docs/data.md is built and opened: the note is the one that the page shows. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openDataset } from '../src/data/node/index.js';
import { dot } from '../src/data/testing/folder.js';

const page = readFileSync(new URL('../docs/data.md', import.meta.url), 'utf8');
const root = mkdtempSync(join(tmpdir(), 'idat-docs-'));
afterAll(() => rmSync(root, { recursive: true }));

interface Example {
  /** Paths below the data set; those of folders end in a slash. */
  paths: string[];
  /** Of lists and tables. */
  contents: Map<string, string>;
  note: string;
}

const examples = [...page.matchAll(/^```tree\n(.*?)^```\n((?:^```\w+ file=.*?^```\n)*)> ([^\n]*)$/gms)].map(
  ([, tree, files, note]): Example => ({
    paths: pathsOf(tree!),
    contents: new Map([...files!.matchAll(/^```\w+ file=(\S+)\n(.*?)^```/gms)].map(([, name, text]) => [name!, text!])),
    note: note!,
  }),
);

function pathsOf(tree: string): string[] {
  const above: string[] = [];
  const paths: string[] = [];
  for (const line of tree.trimEnd().split('\n').slice(1)) {
    const depth = line.search(/\S/) / 2 - 1;
    const name = line.trim();
    const [, first, last, extension] = /^(\d+)…(\d+)(\.\w+)$/.exec(name) ?? [];
    const names = extension
      ? Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => `${Number(first) + i}${extension}`)
      : [name];
    above.length = depth;
    for (const one of names) paths.push([...above, one].join(''));
    if (name.endsWith('/')) above.push(name);
  }
  return paths;
}

/** Stored, since nothing here writes the format. */
const parquet = (path: string) =>
  path.endsWith('.parquet') ? readFileSync(new URL(`./fixtures/parquet/hub/${path}`, import.meta.url)) : undefined;

it('the page shows each layout', () => expect(examples.length).toBeGreaterThanOrEqual(9));

it.each(examples.map((example, i) => [i + 1, example] as const))('tree %i', async (i, { paths, contents, note }) => {
  const folder = join(root, String(i));
  for (const [at, path] of paths.entries()) {
    const target = join(folder, path);
    mkdirSync(path.endsWith('/') ? target : dirname(target), { recursive: true });
    if (!path.endsWith('/'))
      writeFileSync(target, contents.get(path) ?? parquet(path) ?? (/\.(png|jpg)$/.test(path) ? dot(at) : 'x'));
  }
  expect([...contents.keys()].filter((name) => !paths.includes(name))).toEqual([]);
  const dataset = await openDataset(folder, { seed: 42 });
  await dataset.close();
  expect(dataset.note).toBe(note);
});
