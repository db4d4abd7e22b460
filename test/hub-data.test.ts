/** Data sets of the hub: what is fetched, found again, and never taken for whole. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openDataset } from '../src/data/node/index.js';
import { hubDataOf } from '../src/hub/data-set.js';
import type { FetchControl } from '../src/hub/fetch.js';
import { startTestHub, type TestHub } from './hub-server.js';

const REPO = 'datasets/tests/pets';
const FILES = ['train-00000-of-00002', 'train-00001-of-00002', 'test-00000-of-00001'].map(
  (name) => `data/${name}.parquet`,
);
const parquet = (file: string) => readFileSync(new URL(`./fixtures/parquet/hub/${file}`, import.meta.url));

let hub: TestHub;
let root: string;
const quick: FetchControl = { stallMs: 400, retryMs: 1 };
const open = async (name = 'hf-hub-data:tests/pets', fetch: FetchControl | null = quick) => {
  const dataset = await openDataset(name, { seed: 42 }, fetch ?? undefined);
  for (const item of dataset.test) await item.read();
  await dataset.close();
  return dataset;
};

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'idat-hub-data-'));
  hub = await startTestHub();
  for (const file of FILES) hub.files.set(`${REPO}/${file}`, parquet(file));
  hub.files.set(`${REPO}/README.md`, new TextEncoder().encode('# Pets'));
  const settings = { HF_ENDPOINT: hub.endpoint, HF_HOME: root, HF_HUB_CACHE: '', HF_TOKEN: '', HF_HUB_OFFLINE: '' };
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
  for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY']) vi.stubEnv(name, '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  rmSync(root, { recursive: true });
});

it('comes into the shared cache once, and is a data set', async () => {
  const { classes, note, source } = await open();
  expect(classes).toEqual(['red fox', 'dog', 'eel']);
  expect(note).toMatch(/: 12 train, 3 val, 6 test\.$/);
  expect(source).toBe('hf-hub-data:tests/pets');
  expect(existsSync(join(root, 'hub/datasets--tests--pets/snapshots', hub.commit, FILES[0]!))).toBe(true);
  expect(hub.downloads()).toHaveLength(3);
  hub.seen.length = 0;
  expect((await open('/somewhere/hf-hub-data:tests/pets', null)).note).toBe(note);
  expect(hub.seen).toEqual([]);
});

it('of which a part has come is fetched to its end, not taken for whole', async () => {
  hub.alter = (reply, { url }) => {
    if (url.includes('train-00001'))
      Object.assign(reply, { status: 404, headers: { 'x-error-code': 'EntryNotFound' } });
  };
  await expect(open()).rejects.toMatchObject({ code: 'hub.missing' });
  await expect(open('hf-hub-data:tests/pets', null)).rejects.toMatchObject({ code: 'hub.offline' });
  hub.alter = () => {};
  hub.seen.length = 0;
  expect((await open()).test).toHaveLength(6);
  expect(hub.downloads()).toHaveLength(1);
});

it('several in one repository are told apart by their folders, before anything is fetched', async () => {
  hub.files.set(`${REPO}/other/train.parquet`, parquet(FILES[0]!));
  await expect(open()).rejects.toMatchObject({
    code: 'hub.data',
    message:
      'hf-hub-data:tests/pets: has its Parquet files in data, other; give one of these folders, hf-hub-data:tests/pets/data',
  });
  expect(hub.downloads()).toEqual([]);
  expect((await open('hf-hub-data:tests/pets/other')).trainval.length).toBe(7);
  expect(hub.downloads()).toHaveLength(1);
});

it('refuses by what is the matter', async () => {
  const codeOf = (name: string, fetch?: FetchControl) =>
    open(name, fetch).catch((error: { code: string }) => error.code);
  expect(await codeOf('hf-hub-data:tests/none', quick)).toBe('hub.missing');
  hub.files.set('datasets/tests/text/README.md', new TextEncoder().encode('x'));
  expect(await codeOf('hf-hub-data:tests/text', quick)).toBe('hub.data');
  vi.stubEnv('HF_HUB_OFFLINE', '1');
  expect(await codeOf('hf-hub-data:tests/pets', quick)).toBe('hub.offline');
  vi.stubEnv('HF_HUB_OFFLINE', '');
  hub.files.clear();
  hub.files.set(`${REPO}/data/../../../x.parquet`, parquet(FILES[0]!));
  expect(await codeOf('hf-hub-data:tests/pets', quick)).toBe('hub.name');
});

it.each(['hf-hub-data:a', 'a/b', 'hf-hub:a/b', 'hf-hub-data:../b', 'hf-hub-data:a/b/..', 'x-hf-hub-data:a/b'])(
  '%s is a path',
  (path) => {
    expect(hubDataOf(path)).toBe(null);
  },
);
