/** What killed processes leave is removed by the next start, and what is kept between runs is bounded. */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadPixels } from '../src/data/node/index.js';
import { removeAbandoned } from '../src/files/node/abandoned.js';
import { listCache, useCacheFile } from '../src/files/node/cache-files.js';
import { identityText, thisProcess } from '../src/files/node/process-identity.js';
import { makeImageFolder, temporaryFolder } from './train-support.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const fixture = fileURLToPath(new URL('./fixtures/run-0.1', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));
let data: string;
beforeAll(async () => {
  data = await makeImageFolder(root, 2);
});

const self = thisProcess();
const dead = identityText({ ...self, pid: spawnSync(process.execPath, ['-e', '']).pid! });
const made = (name: string) => {
  const folder = join(root, name);
  mkdirSync(folder);
  return folder;
};

describe('temporary files', () => {
  it('go when their owner is dead, or after a day when nobody knows', async () => {
    const folder = made('abandoned');
    const names = [`x-${identityText(self)}-1`, `x-${dead}-1`, 'x-new', 'x-old', `other-${dead}`];
    for (const name of names) writeFileSync(join(folder, name), '');
    const yesterday = new Date(Date.now() - 25 * 3600e3);
    utimesSync(join(folder, 'x-old'), yesterday, yesterday);
    await removeAbandoned(folder, /^x-/);
    expect(readdirSync(folder).sort()).toEqual([names[0], 'x-new', names[4]].sort());
  });

  it('of the runtime go with the next prediction', () => {
    const folder = made('tmp');
    for (const kind of ['weights', 'profile']) {
      mkdirSync(join(folder, `idat-${kind}-${dead}-abcdef`));
      writeFileSync(join(folder, `idat-${kind}-${dead}-abcdef`, 'weights.bin'), 'left');
    }
    const run = join(root, 'run');
    execFileSync('cp', ['-r', fixture, run]);
    const config = join(run, 'finished', 'config.json');
    writeFileSync(config, readFileSync(config, 'utf8').replaceAll('/idat-fixture', run));
    const image = join(fixture, 'images', 'red.png');
    execFileSync(process.execPath, [MAIN, 'predict', join(run, 'finished'), image], {
      env: { ...process.env, TMPDIR: folder },
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('of decoded images have no name where nothing is to be kept', async () => {
    const folder = made('pixels');
    const { TMPDIR: before } = process.env;
    process.env.TMPDIR = folder;
    const items = [0, 1].map((label) => ({
      name: `${label}`,
      label,
      read: async () => readFileSync(join(data, 'red', `${label}.png`)),
    }));
    const options = { size: 8, orient: false, strict: true, cacheDir: null, memoryBytes: 0 };
    const store = await loadPixels(items, options);
    expect(readdirSync(folder)).toEqual([]);
    expect((await store.read([0])).length).toBe(192);
    await store.close();
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
});

describe('a cache folder', () => {
  const file = (folder: string, n: number, ageHours: number) => {
    const path = join(folder, `prefix-${String(n).repeat(32)}.bin`);
    writeFileSync(path, new Uint8Array(100_000));
    const then = new Date(Date.now() - ageHours * 3600e3);
    utimesSync(path, then, then);
    return path;
  };

  it('beyond its limit loses what was not used for longest, and never what is in use', async () => {
    const folder = made('capped');
    const [oldest, older, newer] = [file(folder, 1, 30), file(folder, 2, 20), file(folder, 3, 10)];
    writeFileSync(join(folder, 'mine.bin'), new Uint8Array(1_000_000));
    writeFileSync(join(folder, `pixels-${dead}-0.tmp`), '');
    process.env.IDAT_CACHE_GB = '0.00025';
    try {
      await useCacheFile(folder, oldest);
      expect([oldest, older, newer].map((path) => existsSync(path))).toEqual([true, false, true]);
      const another = file(folder, 4, 0);
      await useCacheFile(folder, another);
      expect([oldest, newer, another].map((path) => existsSync(path))).toEqual([true, false, true]);
    } finally {
      delete process.env.IDAT_CACHE_GB;
    }
    expect(readdirSync(folder)).toContain('mine.bin');
    expect(readdirSync(folder).some((name) => name.endsWith('.tmp'))).toBe(false);
  });

  it.each(['lots', '-1'])('is left alone under a limit of %s, which is refused', async (limit) => {
    const folder = made(`limit${limit}`);
    const path = file(folder, 1, 0);
    process.env.IDAT_CACHE_GB = limit;
    try {
      await expect(useCacheFile(folder, path)).rejects.toThrow(
        `IDAT_CACHE_GB: expected a number of gigabytes such as 20`,
      );
    } finally {
      delete process.env.IDAT_CACHE_GB;
    }
    expect(existsSync(path)).toBe(true);
  });

  it('is listed and cleared', async () => {
    const folder = made('listed');
    file(folder, 5, 1);
    writeFileSync(join(folder, 'mine.txt'), '');
    const idat = (...args: string[]) =>
      new Promise<string>((resolve, reject) =>
        execFile(
          process.execPath,
          [MAIN, 'cache', ...args],
          { env: { ...process.env, XDG_CACHE_HOME: folder } },
          (error, out) => (error ? reject(error) : resolve(out)),
        ),
      );
    mkdirSync(join(folder, 'idat'));
    writeFileSync(join(folder, 'idat', 'tuning.json'), '{}');
    const text = await idat('--cache-dir', folder);
    expect(text).toMatch(/tuning\.json +0\.0 MB/);
    expect(text).toMatch(/prefix-5+\.bin +0\.1 MB/);
    expect(JSON.parse(await idat('--cache-dir', folder, '--json')).files).toHaveLength(2);
    expect(await idat('clear', '--cache-dir', folder)).toBe('removed 2 files, 0.1 MB\n');
    expect(await listCache(folder)).toEqual([]);
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['idat', 'mine.txt']);
  });
});
