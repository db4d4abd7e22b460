/** Lists of ops, methods and losses: whatever a file of their folders exports is in them, or is left out for a reason. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { LOSSES } from '../src/distill/index.js';
import { ALL_OPS } from '../src/graph/ops/index.js';
import { METHODS } from '../src/methods/index.js';

interface Exported {
  /** `relu.ts: reluOp` */
  readonly where: string;
  readonly value: unknown;
}

/** What the files of a folder export, tests and the list itself aside. */
async function exportsOf(folder: string): Promise<Exported[]> {
  const root = fileURLToPath(new URL(`../src/${folder}/`, import.meta.url));
  const files = readdirSync(root).filter((name) => /(?<!\.test)\.ts$/.test(name) && name !== 'index.ts');
  const found = await Promise.all(
    files.map(async (file) => {
      const module = (await import(`${root}${file}`)) as Record<string, unknown>;
      return Object.entries(module).map(([name, value]) => ({ where: `${file}: ${name}`, value }));
    }),
  );
  return found.flat();
}

const has = (value: unknown, ...fields: string[]): boolean =>
  typeof value === 'object' && value !== null && fields.every((field) => field in value);

const isOp = (value: unknown) => has(value, 'name', 'infer', 'onnx', 'evaluate', 'cases');
const isMethod = (value: unknown) => has(value, 'name', 'options', 'families', 'hooks', 'count');
const isLoss = (value: unknown) => has(value, 'name', 'reads', 'perImage');

/** Ops without an input have nothing that a conformance test could feed them; it meets them as leaves of every graph. */
const LEAVES = 'a leaf: no inputs, no gradient of its own';
const LEFT_OUT: Readonly<Record<string, string>> = {
  'constant.ts: constantOp': LEAVES,
  'input.ts: inputOp': LEAVES,
  'parameter.ts: parameterOp': LEAVES,
};

describe.each<[folder: string, is: (value: unknown) => boolean, list: readonly unknown[], leftOut: object]>([
  ['graph/ops', isOp, ALL_OPS, LEFT_OUT],
  ['methods', isMethod, METHODS, {}],
  ['distill', isLoss, LOSSES, {}],
])('%s', (folder, is, list, leftOut) => {
  it('lists all that its files export', async () => {
    const found = (await exportsOf(folder)).filter(({ value }) => is(value));
    const missing = found.filter(({ value }) => !list.includes(value)).map(({ where }) => where);
    expect(missing.sort()).toEqual(Object.keys(leftOut).sort());
  });

  it('lists nothing else, and nothing twice', async () => {
    const values = (await exportsOf(folder)).map(({ value }) => value);
    expect(list.filter((one) => !is(one) || !values.includes(one))).toEqual([]);
    const names = list.map((one) => (one as { name: string }).name);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });
});

it('ops are told by their names as well: each export named so is one', async () => {
  const named = (await exportsOf('graph/ops')).filter(({ where }) => where.endsWith('Op'));
  expect(named.filter(({ value }) => !isOp(value)).map(({ where }) => where)).toEqual([]);
});

it('each method and loss has a file of its own', async () => {
  for (const [folder, is] of [['methods', isMethod] as const, ['distill', isLoss] as const]) {
    const files = (await exportsOf(folder)).filter(({ value }) => is(value)).map(({ where }) => where.split(':')[0]);
    expect(files.filter((file, i) => files.indexOf(file) !== i)).toEqual([]);
  }
});
