/** The order of the rooms and what each may need, made true by reading the sources. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../src/', import.meta.url));

/** A room imports only from itself and from rooms before it. What needs Node lies in a room of its own. */
const ORDER = [
  'errors.ts',
  'random.ts',
  'image-size.ts',
  'statistics',
  'files',
  'files/node',
  'files/web',
  'hub',
  'graph',
  'distill',
  'backbones',
  'backbones/node',
  'methods',
  'data',
  'data/node',
  'data/web',
  'runtime',
  'runtime/node',
  'runtime/web',
  'step',
  'settings',
  'paper',
  'train',
  'report',
  'measure',
  'measure/node',
  'runs',
  'runs/web',
  'browser.ts',
  'experiments',
  'analysis',
  'analysis/node',
  'export',
  'verify',
  'bench',
  'index.ts',
  'serving',
  'studio/page',
  'studio',
  'cli',
];

/** What a browser tab runs: nothing of Node, no runtime's binding, no image decoder. */
const TAB = [
  'errors.ts',
  'random.ts',
  'image-size.ts',
  'statistics',
  'files',
  'files/web',
  'graph',
  'distill',
  'backbones',
  'methods',
  'data',
  'data/web',
  'runtime',
  'runtime/web',
  'step',
  'settings',
  'paper',
  'train',
  'report',
  'measure',
  'runs/web',
  'browser.ts',
  'analysis',
  'studio/page',
];
/** Packages that run anywhere. */
const ANYWHERE = /^(pure-rand|zod|@bufbuild\/protobuf|echarts|umap-js|onnxruntime-web|fflate|preact)(\/|$)/;
const NODE_GLOBALS =
  /(?<![.\w$'])(process|Buffer|global|require|__dirname|__filename|setImmediate|clearImmediate)\b(?!['\w:])/;

const files = (readdirSync(src, { recursive: true }) as string[])
  .map((name) => name.split(sep).join('/'))
  .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.test.ts') && !name.includes('testing'));
const roomOf = (file: string): string => {
  const [first, second] = file.split('/');
  return second === 'node' || second === 'web' || second === 'page' ? `${first}/${second}` : first!;
};
const textOf = (file: string): string => readFileSync(join(src, file), 'utf8');

interface Import {
  /** A file below src, or a package. */
  readonly target: string;
  readonly inner: boolean;
  readonly typeOnly: boolean;
}

/** What a built file is made from. */
const sourceOf = (path: string): string => {
  const named = path.replace(/\.js$/, '');
  return files.includes(`${named}.tsx`) ? `${named}.tsx` : `${named}.ts`;
};

/** Static, dynamic and re-exporting imports. */
function importsOf(file: string, text: string): Import[] {
  const found = [
    ...text.matchAll(/^\s*(?:import|export)\s+(type\s+)?(?:[\w*$\s{},]*?\sfrom\s+)?'([^']+)'/gm),
    ...text.matchAll(/()\bimport\(\s*['"`]([^'"`]+)['"`]/g),
  ];
  return found.map(([, type, name]) => {
    const inner = name!.startsWith('.');
    const path = inner
      ? relative(src, normalize(join(src, dirname(file), name!)))
          .split(sep)
          .join('/')
      : name!;
    return { target: inner ? sourceOf(path) : path, inner, typeOnly: type !== undefined };
  });
}

/** What a file loads when it runs: all it reaches by imports that are not of types alone. */
function reachedFrom(file: string): { files: Set<string>; packages: Set<string> } {
  const reached = { files: new Set<string>(), packages: new Set<string>() };
  const visit = (one: string) => {
    if (reached.files.has(one)) return;
    reached.files.add(one);
    for (const { target, inner, typeOnly } of importsOf(one, textOf(one))) {
      if (typeOnly) continue;
      if (inner) visit(target);
      else reached.packages.add(target);
    }
  };
  visit(file);
  return reached;
}

/** Without comments and what stands in quotes. */
const codeOf = (text: string): string =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/'(?:\\.|[^'\\\n])*'/g, "''")
    .replace(/`(?:\\.|[^`\\])*`/g, '``')
    .replace(/(^|[^:])\/\/.*$/gm, '$1');

it('every room stands in the order', () => {
  expect([...new Set(files.map(roomOf))].filter((room) => !ORDER.includes(room))).toEqual([]);
});

describe.each(files)('%s', (file) => {
  it('imports only from rooms before its own', () => {
    const rank = ORDER.indexOf(roomOf(file));
    const targets = importsOf(file, textOf(file)).filter(({ inner }) => inner);
    expect(targets.map(({ target }) => target).filter((target) => ORDER.indexOf(roomOf(target)) > rank)).toEqual([]);
  });
});

describe.each(files.filter((file) => TAB.includes(roomOf(file))))('in a tab: %s', (file) => {
  it('imports, types included, only what a tab has', () => {
    const elsewhere = importsOf(file, textOf(file)).filter(({ target, inner }) =>
      inner ? !TAB.includes(roomOf(target)) : !ANYWHERE.test(target),
    );
    expect(elsewhere.map(({ target }) => target)).toEqual([]);
  });

  it('loads, however far the imports go, only what a tab has', () => {
    const reached = reachedFrom(file);
    expect([...reached.packages].filter((name) => !ANYWHERE.test(name))).toEqual([]);
    expect([...reached.files].filter((one) => !TAB.includes(roomOf(one)))).toEqual([]);
  });

  it('names nothing that Node alone has', () => {
    expect(NODE_GLOBALS.exec(codeOf(textOf(file)))?.[0] ?? null).toBe(null);
  });
});

it('knows the chart library in two files alone, for reports and for the studio’s page, which the build bundles', () => {
  const importing = files.filter((file) =>
    importsOf(file, textOf(file)).some(({ target }) => /^echarts\b/.test(target)),
  );
  expect(importing.sort()).toEqual(['report/chart-library.ts', 'studio/page/live-chart.ts']);
});

it('knows the runtime of the web in one file alone, which the build bundles', () => {
  const importing = files.filter((file) =>
    importsOf(file, textOf(file)).some(({ target }) => /^onnxruntime-web\b/.test(target)),
  );
  expect(importing).toEqual(['runtime/web/engine.ts']);
});

describe('this test itself', () => {
  const imports = (text: string) => importsOf('train/x.ts', text).map(({ target }) => target);
  it('sees every kind of import', () => {
    expect(imports("import { a,\n  b } from '../data/a.js';\nexport * from './b.js';\nimport 'c';")).toEqual([
      'data/a.ts',
      'train/b.ts',
      'c',
    ]);
    expect(imports("const d = await import('node:fs');")).toEqual(['node:fs']);
    expect(imports("export type { E } from '../e.js';")).toEqual(['e.ts']);
  });
  it('sees what Node alone has, but not words of that name', () => {
    for (const bad of ['process.env', 'Buffer.from(x)', 'f(setImmediate)']) expect(bad).toMatch(NODE_GLOBALS);
    for (const good of ['this.process', "''", 'processed']) expect(good).not.toMatch(NODE_GLOBALS);
  });
});
