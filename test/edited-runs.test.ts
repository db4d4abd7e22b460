/** Run directories edited by hand: whatever is missing or mistyped in their files ends in one sentence. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { IdatError, openRun, resume } from '../src/index.js';

const fixture = fileURLToPath(new URL('./fixtures/run-0.1', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'idat-edited-'));
cpSync(fixture, root, { recursive: true });
for (const name of ['stopped', 'finished']) {
  const path = join(root, name, 'config.json');
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('/idat-fixture', root));
}
afterAll(() => rmSync(root, { recursive: true }));

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The path of every value, objects and lists included. */
function pathsOf(value: Json, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))];
}

/** The same with one value replaced; undefined removes it. */
function edited(value: Json, [key, ...rest]: string[], replacement: Json | undefined): Json | undefined {
  if (key === undefined) return replacement;
  const copy = structuredClone(value) as Record<string, Json>;
  const inner = edited(copy[key]!, rest, replacement);
  if (inner === undefined) Array.isArray(copy) ? copy.splice(Number(key), 1) : delete copy[key];
  else copy[key] = inner;
  return copy;
}

const LIES: (Json | undefined)[] = [undefined, null, true, -1, 0.5, 1e12, 'x', '', [], {}, ['x']];

/** Goes on with the run until it would train; what it says is a sentence of idat's. */
async function sayingOf(dir: string): Promise<string | null> {
  const steps = new AbortController();
  const onProgress = ({ kind }: { kind: string }) => kind === 'step' && steps.abort();
  try {
    await resume(dir, { signal: steps.signal, onProgress });
    return null;
  } catch (error) {
    if (error instanceof IdatError) return error.message;
    throw error;
  }
}

describe.each([
  ['stopped', 'config.json'],
  ['finished', 'result.json'],
  ['stopped', 'classes.json'],
])('%s/%s', (run, file) => {
  const dir = join(root, run);
  const path = join(dir, file);
  const whole = JSON.parse(readFileSync(path, 'utf8')) as Json;
  const original = readFileSync(path, 'utf8');
  afterAll(() => writeFileSync(path, original));

  it.each(pathsOf(whole).map((at) => [at.join('.') || 'all of it', at] as const))('%s', async (_, at) => {
    for (const lie of LIES) {
      const text = JSON.stringify(edited(whole, at, lie));
      if (text === undefined) continue; // the file without anything is the test below
      writeFileSync(path, text);
      // some edits are none: another seed, a name nobody looks at
      const saying = await openRun(dir).then(
        () => null,
        (error: unknown) => {
          if (!(error instanceof IdatError)) throw error;
          return error.message;
        },
      );
      if (saying === null) continue;
      expect(saying).toMatch(/: /);
      expect(saying).not.toMatch(/undefined|\[object|\n/);
    }
  });

  it('all that is missing, one by one, however far the run gets', async () => {
    for (const at of pathsOf(whole).filter(({ length }) => length > 0)) {
      writeFileSync(path, JSON.stringify(edited(whole, at, undefined)));
      cpSync(join(fixture, run, 'state.safetensors'), join(dir, 'state.safetensors'));
      await expect(sayingOf(dir).then(() => 'a sentence or a result')).resolves.toBe('a sentence or a result');
    }
  }, 120_000);

  it.each(['', '{', 'null', '[]', '"x"', '\u0000'])('a file of %j', async (text) => {
    writeFileSync(path, text);
    await expect(openRun(dir)).rejects.toBeInstanceOf(IdatError);
  });
});

it('names the field, what was expected and what came', async () => {
  const path = join(root, 'stopped', 'config.json');
  const record = JSON.parse(readFileSync(path, 'utf8')) as Json;
  const refused = async (at: string[], value: Json | undefined) => {
    writeFileSync(path, JSON.stringify(edited(record, at, value)));
    const error = await openRun(join(root, 'stopped')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(IdatError);
    return error as IdatError;
  };
  expect((await refused(['settings', 'epochs'], -5)).message).toMatch(/config\.json: settings\.epochs: .* got -5/);
  const missing = await refused(['resolved'], undefined);
  expect(missing.message).toMatch(/config\.json: resolved: expected object.* got nothing/);
  expect(missing.issues).toEqual([{ path: ['resolved'], code: 'invalid_type', message: expect.any(String) }]);
  expect((await refused(['resolved', 'threads'], 100_000)).message).toMatch(/resolved\.threads: .* got 100000/);
  expect((await refused(['resolved', 'microBatch'], 400)).message).toMatch(/resolved\.microBatch: .* 4, got 400/);
  expect((await refused(['teacher'], null)).message).toMatch(/teacher: expected that of /);
  writeFileSync(path, JSON.stringify(record));
});
