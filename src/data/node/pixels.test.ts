import { copyFile, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { IdatError } from '../../errors.js';
import type { ImageItem } from '../dataset.js';
import { preprocess } from '../preprocess.js';
import { temporaryFolder } from '../testing/folder.js';
import { craftPng } from '../testing/png.js';
import { describeWithShared, sharedPath } from '../testing/shared.js';
import { readImage } from './image-source.js';
import { openDataset } from './open.js';
import { type LoadOptions, loadPixels } from './pixels.js';

/** A folder that cannot be written, also for root, whom access rights do not stop. */
const readOnly = vi.hoisted(() => ({ folder: null as string | null }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const refuse = (path: unknown) => {
    if (readOnly.folder === null || !String(path).startsWith(readOnly.folder)) return;
    throw Object.assign(new Error(`EROFS: read-only file system, open '${path}'`), { code: 'EROFS' });
  };
  const writes = (flags: unknown) => (typeof flags === 'number' ? flags !== 0 : /[wa+]/.test(String(flags ?? 'r')));
  return {
    ...real,
    open: async (...args: Parameters<typeof real.open>) => {
      if (writes(args[1])) refuse(args[0]);
      return real.open(...args);
    },
    utimes: async (...args: Parameters<typeof real.utimes>) => {
      refuse(args[0]);
      return real.utimes(...args);
    },
  };
});
afterEach(() => {
  readOnly.folder = null;
});

const SIZE = 4;
const RECORD_BYTES = 3 * SIZE * SIZE;

/** Image i is gray of level i everywhere, so that its pixels say which one it is. */
function grayItems(count: number): (ImageItem & { reads: number })[] {
  return Array.from({ length: count }, (_, i) => {
    const bytes = craftPng({ width: 2, height: 2, bitDepth: 8, colourType: 0 }, [0, i, i, 0, i, i]);
    return {
      name: `gray/${i}.png`,
      label: i % 3,
      reads: 0,
      async read() {
        this.reads++;
        return bytes;
      },
    };
  });
}
const unreadable = (name: string, content = '<!DOCTYPE html>'): ImageItem => ({
  name,
  label: 0,
  read: async () => Buffer.from(content),
});

async function load(items: ImageItem[], options: Partial<LoadOptions> = {}) {
  const store = await loadPixels(items, { size: SIZE, orient: false, strict: true, cacheDir: null, ...options });
  onTestFinished(() => store.close());
  return store;
}
const levels = async (store: Awaited<ReturnType<typeof load>>, indices: number[]) => {
  const bytes = await store.read(indices);
  return indices.map((_, i) => {
    const record = bytes.subarray(i * RECORD_BYTES, (i + 1) * RECORD_BYTES);
    expect(record.every((byte) => byte === record[0])).toBe(true);
    return record[0];
  });
};

describe.each([
  ['in memory', {}],
  ['in a file', { memoryBytes: 0 }],
])('%s', (_, place) => {
  test('reads any images, in any order, more than once', async () => {
    const store = await load(grayItems(10), place);
    expect([store.count, store.size]).toEqual([10, SIZE]);
    expect([...store.labels]).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
    expect(await levels(store, [7, 0, 9, 7])).toEqual([7, 0, 9, 7]);
    expect(await store.read([])).toHaveLength(0);
    await expect(store.read([10])).rejects.toThrow(/image 10 of 10/);
  });

  test('unreadable images are left out and listed, the others keep their own pixels', async () => {
    const items: ImageItem[] = grayItems(6);
    items.splice(2, 0, unreadable('broken/page.jpg'));
    items.push(unreadable('broken/empty.jpg', ''));
    const cacheDir = await temporaryFolder();
    for (const fromCache of [false, true]) {
      const store = await load(items, { ...place, strict: false, cacheDir });
      expect(store.fromCache).toBe(fromCache);
      expect(store.count).toBe(6);
      expect(store.names[2]).toBe('gray/2.png');
      expect([...store.labels]).toEqual([0, 1, 2, 0, 1, 2]);
      expect(await levels(store, [0, 1, 2, 3, 4, 5])).toEqual([0, 1, 2, 3, 4, 5]);
      expect(store.skipped).toEqual([
        {
          name: 'broken/page.jpg',
          reason: 'not a JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP or PNM (starts with "<!DOCTYPE ht")',
        },
        { name: 'broken/empty.jpg', reason: 'not a JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP or PNM (the file is empty)' },
      ]);
    }
    // The cache knows of unreadable images; being strict must not depend on whether it exists.
    await expect(load(items, { ...place, cacheDir })).rejects.toMatchObject({
      code: 'image.unreadable',
      message: expect.stringMatching(/^broken\/page\.jpg: not a JPEG/),
    });
  });

  test('a second run takes the cache and decodes nothing', async () => {
    const cacheDir = join(await temporaryFolder(), 'made/for/us');
    const items = grayItems(12);
    const first = await load(items, { ...place, cacheDir });
    expect(items[0]!.reads).toBe(2);
    const progress: [number, number][] = [];
    const second = await load(items, { ...place, cacheDir, onProgress: (...args) => progress.push(args) });
    expect(second.fromCache).toBe(true);
    expect(items[0]!.reads).toBe(3);
    expect(progress).toEqual([[12, 12]]);
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(await second.read([3, 1])).toEqual(await first.read([3, 1]));
    expect(await readdir(cacheDir)).toHaveLength(1);
  });

  test('a damaged or half-written cache is made again', async () => {
    const cacheDir = await temporaryFolder();
    const items = grayItems(12);
    await load(items, { ...place, cacheDir });
    const [file] = await readdir(cacheDir);
    const path = join(cacheDir, file!);
    const whole = await readFile(path);
    const flipped = (at: number) => whole.map((byte, i) => (i === at ? byte ^ 1 : byte));
    const damages = [
      flipped(5),
      flipped(12 * RECORD_BYTES - 1),
      flipped(12 * RECORD_BYTES + 3), // in the footer
      flipped(whole.length - 20), // in its checksum
      flipped(whole.length - 1),
      whole.subarray(0, whole.length / 2),
      whole.subarray(1),
      Buffer.alloc(0),
      Buffer.concat([whole, whole]),
    ];
    for (const damage of damages) {
      await writeFile(path, damage);
      const store = await load(items, { ...place, cacheDir });
      expect(store.fromCache).toBe(false);
      expect(await levels(store, [11])).toEqual([11]);
      expect(await readFile(path)).toEqual(whole);
    }
    expect((await load(items, { ...place, cacheDir })).fromCache).toBe(true);
  });

  test('an abort while decoding throws its reason and leaves no file behind', async () => {
    const cacheDir = await temporaryFolder();
    const controller = new AbortController();
    const reason = new Error('the user pressed Ctrl-C');
    let seen = 0;
    const onProgress = () => {
      if (++seen === 5) controller.abort(reason);
    };
    await expect(load(grayItems(200), { ...place, cacheDir, signal: controller.signal, onProgress })).rejects.toBe(
      reason,
    );
    expect(seen).toBeLessThan(20);
    expect(await readdir(cacheDir)).toEqual([]);
  });

  test('closed is closed', async () => {
    const store = await load(grayItems(3), place);
    await store.close();
    await store.close();
    await expect(store.read([0])).rejects.toThrow('the pixel store is closed');
  });
});

describe('the cache', () => {
  test('is keyed by what the pixels depend on: contents, size, orientation; not by names and labels', async () => {
    const cacheDir = await temporaryFolder();
    const items = grayItems(3);
    await load(items, { cacheDir });
    const renamed = items.map((item) => ({ ...item, name: `other/${item.name}`, label: 2 - item.label }));
    const again = await load(renamed, { cacheDir });
    expect(again.fromCache).toBe(true);
    expect([...again.labels]).toEqual([2, 1, 0]);
    expect((await load([...items].reverse(), { cacheDir })).fromCache).toBe(false);
    expect((await load(items, { cacheDir, size: 5 })).fromCache).toBe(false);
    expect((await load(items, { cacheDir, orient: true })).fromCache).toBe(false);
  });

  test('is not believed under a name that is not its own', async () => {
    const cacheDir = await temporaryFolder();
    await load(grayItems(3), { cacheDir });
    const [own] = await readdir(cacheDir);
    const others = [...grayItems(3)].reverse();
    await load(others, { cacheDir });
    const other = (await readdir(cacheDir)).find((name) => name !== own);
    await copyFile(join(cacheDir, own!), join(cacheDir, other!));
    const store = await load(others, { cacheDir });
    expect(store.fromCache).toBe(false);
    expect(await levels(store, [0])).toEqual([2]);
  });

  test('that cannot be written costs nothing but itself, as long as memory holds the images', async () => {
    const cacheDir = join(await temporaryFolder(), 'file');
    await writeFile(cacheDir, 'not a folder');
    const store = await load(grayItems(3), { cacheDir });
    expect(store.cacheProblem).toBe(`${cacheDir}: cannot keep decoded images here (EEXIST)`);
    expect(await levels(store, [2])).toEqual([2]);
    await expect(load(grayItems(3), { cacheDir, memoryBytes: 0 })).rejects.toMatchObject({
      code: 'data.cache.full',
      message: expect.stringMatching(/cannot store 0\.0 GB .* \(EEXIST\)/),
    });
  });

  test('that lies in a file is read from it, not from memory', async () => {
    const cacheDir = await temporaryFolder();
    const store = await load(grayItems(3), { cacheDir, memoryBytes: 0 });
    const [file] = await readdir(cacheDir);
    expect((await stat(join(cacheDir, file!))).size).toBeGreaterThan(3 * RECORD_BYTES);
    await truncate(join(cacheDir, file!), 10);
    await expect(store.read([2])).rejects.toThrow(/the file ends/);
  });
});

describe('the fingerprint', () => {
  test('changes with a name, a label, a byte and the order, and with nothing else', async () => {
    const items = grayItems(4);
    const fingerprint = async (changed: ImageItem[], options = {}) => (await load(changed, options)).fingerprint;
    const original = await fingerprint(items);
    expect(original).toMatch(/^[0-9a-f]{64}$/);
    expect(await fingerprint(items, { size: 7, memoryBytes: 0 })).toBe(original);
    const replaced = (change: Partial<ImageItem>) => items.map((item, i) => (i === 2 ? { ...item, ...change } : item));
    const others = await Promise.all([
      fingerprint(replaced({ name: 'x.png' })),
      fingerprint(replaced({ label: 7 })),
      fingerprint(replaced({ read: () => items[1]!.read() })),
      fingerprint([...items].reverse()),
    ]);
    expect(new Set([original, ...others]).size).toBe(5);
  });
});

describe('the key of the pixels', () => {
  test('changes with a byte, the order and how they are made, and not with names, labels and where they lie', async () => {
    const items = grayItems(4);
    const key = async (changed: ImageItem[], options = {}) => (await load(changed, options)).pixelsKey;
    const original = await key(items);
    const renamed = items.map((item, i) => (i === 2 ? { ...item, name: 'x.png', label: 7 } : item));
    expect(await key(renamed, { memoryBytes: 0 })).toBe(original);
    const others = await Promise.all([
      key(items.map((item, i) => (i === 2 ? { ...item, read: () => items[1]!.read() } : item))),
      key([...items].reverse()),
      key(items, { size: 7 }),
      key(items, { orient: true }),
      key([...items, items[0]!]),
    ]);
    expect(new Set([original, ...others]).size).toBe(6);
    expect(await key([items[0]!, unreadable('left out.png'), ...items.slice(1)], { strict: false })).toBe(original);
  });
});

describe('refuses', () => {
  test('an unreadable image when strict, by name', async () => {
    await expect(load([...grayItems(3), unreadable('pets/page.jpg')])).rejects.toMatchObject({
      code: 'image.unreadable',
      message: expect.stringMatching(/^pets\/page\.jpg: not a JPEG/),
    });
  });

  test('a list of which nothing can be read', async () => {
    await expect(load([unreadable('a.jpg'), unreadable('b.jpg')], { strict: false })).rejects.toMatchObject({
      code: 'data.all-unreadable',
      message:
        'none of the 2 images can be read; the first, a.jpg: not a JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP or PNM (starts with "<!DOCTYPE ht")',
    });
    await expect(load([])).rejects.toMatchObject({ code: 'data.empty' });
  });

  test('a file that cannot be read: strict throws it, otherwise it is skipped', async () => {
    const gone: ImageItem = {
      name: 'gone.png',
      label: 0,
      read: async () => {
        throw new IdatError('data.file.unreadable', 'pets/gone.png: cannot read this file (ENOENT)');
      },
    };
    await expect(load([gone])).rejects.toMatchObject({ code: 'data.file.unreadable' });
    const store = await load([...grayItems(2), gone], { strict: false });
    expect(store.skipped).toEqual([{ name: 'gone.png', reason: 'pets/gone.png: cannot read this file (ENOENT)' }]);
  });

  test('to hide an error that is no fault of the data', async () => {
    const bug: ImageItem = {
      name: 'a.png',
      label: 0,
      read: () => Promise.reject(new TypeError('undefined is not a function')),
    };
    await expect(load([...grayItems(2), bug], { strict: false })).rejects.toThrow(TypeError);
  });

  test('to start when the signal is aborted already', async () => {
    const items = grayItems(3);
    await expect(load(items, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
    expect(items.map(({ reads }) => reads)).toEqual([0, 0, 0]);
  });
});

describeWithShared('VTAB-mini', () => {
  test('eurosat’s val split equals each image preprocessed alone', async () => {
    const dataset = await openDataset(sharedPath('data/eurosat.zip'), { seed: 1 });
    onTestFinished(() => dataset.close());
    const store = await load(dataset.val, { size: 32 });
    expect(store.count).toBe(200);
    for (const index of [0, 57, 199]) {
      const { name, read } = dataset.val[index]!;
      const alone = preprocess(await readImage((await read()) as Uint8Array, { orient: false, name }), 32);
      expect(await store.read([index])).toEqual(alone);
    }
  });
});

describe('a cache folder that may only be read', () => {
  test('gives what is in it', async () => {
    const cacheDir = await temporaryFolder();
    await load(grayItems(6), { cacheDir });
    readOnly.folder = cacheDir;
    const again = await load(grayItems(6), { cacheDir });
    expect([again.fromCache, again.cacheProblem]).toEqual([true, null]);
    expect(await levels(again, [5, 0])).toEqual([5, 0]);
  });

  test.each([
    ['in memory', {}],
    ['in a file elsewhere, for as long as the run', { memoryBytes: 0 }],
  ])('leaves what is not to be held %s, and says so', async (_, place) => {
    const cacheDir = await temporaryFolder();
    readOnly.folder = cacheDir;
    const store = await load(grayItems(6), { cacheDir, ...place });
    expect(store.cacheProblem).toBe(`${cacheDir}: cannot keep decoded images here (EROFS)`);
    expect(await levels(store, [5, 0])).toEqual([5, 0]);
    expect(await readdir(cacheDir)).toEqual([]);
  });
});
