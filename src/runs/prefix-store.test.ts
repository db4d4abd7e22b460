import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { imageChange } from '../data/augment.js';
import type { PixelStore } from '../data/pixels.js';
import type { Feed } from '../runtime/runtime.js';
import { pixelInputs } from '../train/inputs.js';
import {
  type LoadedPrefix,
  MemoryBudget,
  openPrefixStore,
  type PrefixStorage,
  recordBytes,
} from '../train/prefix-store.js';
import { prefixFiles } from './prefix-file.js';

const COUNT = 11;
const BATCH = 4;
const RECORD = recordBytes(5);
const root = mkdtempSync(join(tmpdir(), 'idat-prefix-test-'));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
const newFolder = () => join(root, `folder-${folders++}`);

/** Images of one pixel, whose value is the image's index. */
const pixels = (pixelsKey = 'pixels'): PixelStore =>
  ({
    count: COUNT,
    labels: Int32Array.from({ length: COUNT }, (_, i) => i % 3),
    pixelsKey,
    read: async (indices: ArrayLike<number>) => Uint8Array.from(indices),
  }) as unknown as PixelStore;

/** With x for the pixel, as normalised: x, 1, 2 as the one tensor and −x, 3x as the other. */
const expected = (indices: readonly number[]) => ({
  'prefix.0': Float32Array.from(indices.flatMap((i) => [Math.fround(i / 255), 1, 2])),
  'prefix.1': Float32Array.from(indices.flatMap((i) => [-Math.fround(i / 255), Math.fround(i / 255) * 3])),
});

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

/** A prefix that keeps a list of the images it was run on. */
function counted(identity = 'model') {
  const calls: number[][] = [];
  const prefix: LoadedPrefix = {
    identity,
    model: { backbone: { mean: [0], std: [1] } as never },
    prefix: {
      batch: BATCH,
      tensors: [
        { name: 'prefix.0', shape: [1, 3] },
        { name: 'prefix.1', shape: [1, 2] },
      ],
    },
    cost: { flops: 0, activationBytes: 0, weightBytes: 0 },
    session: {
      atOnce: 1,
      run: async ({ images }: Readonly<Record<string, Feed>>) => {
        const values = [...(images as Float32Array)];
        expect(values).toHaveLength(BATCH);
        calls.push(values.map((value) => Math.round(value * 255)));
        return {
          'prefix.0': Float32Array.from(values.flatMap((value) => [value, 1, 2])),
          'prefix.1': Float32Array.from(values.flatMap((value) => [-value, value * 3])),
        };
      },
      spent: () => ({ calls: calls.length, ms: 0 }),
      close: async () => {},
    },
  };
  return { prefix, calls, computed: () => [...new Set(calls.flat())].sort((a, b) => a - b) };
}

const MEMORY = 2 ** 20;
const storage = (folder: string | null, memoryBytes = MEMORY, problems: string[] = []): PrefixStorage => ({
  memory: new MemoryBudget(memoryBytes),
  files: prefixFiles(folder),
  onProblem: (text) => problems.push(text),
});

/** Opens a store, reads these images, checks what they are, and says which were computed. */
async function readThrough(
  indices: readonly number[],
  kept: PrefixStorage | null,
  source = counted(),
  images = pixels(),
) {
  const store = await openPrefixStore(images, source.prefix, kept);
  const inputs = await store.read(indices);
  expect(inputs).toEqual(expected(indices));
  await store.close();
  return source.computed();
}

const all = Array.from({ length: COUNT }, (_, i) => i);
const onlyFile = (folder: string) => {
  const names = readdirSync(folder);
  expect(names).toHaveLength(1);
  return join(folder, names[0]!);
};

describe('a prefix store', () => {
  it.each([
    ['memory', () => storage(null)],
    ['a temporary file', () => storage(null, 0)],
    ['memory and a temporary file', () => storage(null, 3 * RECORD)],
    ['a file for later runs', () => storage(newFolder(), 0)],
  ])('computes each image once and keeps it in %s', async (_, make) => {
    const source = counted();
    const problems: string[] = [];
    const store = await openPrefixStore(pixels(), source.prefix, {
      ...make(),
      onProblem: (text) => problems.push(text),
    });
    const order = [7, 2, 2, 10, 0, 5, 9, 1, 3, 4, 8, 6];
    for (let epoch = 0; epoch < 3; epoch++) {
      for (let start = 0; start < order.length; start += 6) {
        const batch = order.slice(start, start + 6);
        expect(await store.read(batch)).toEqual(expected(batch));
      }
    }
    expect(source.computed()).toEqual(all);
    expect(source.calls).toHaveLength(Math.ceil(COUNT / BATCH));
    expect(problems).toEqual([]);
    await store.close();
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('idat-prefix-') && name.endsWith('.tmp'))).toEqual(
      [],
    );
  });

  it('prepares what is not at hand, and only that', async () => {
    const source = counted();
    const store = await openPrefixStore(pixels(), source.prefix, storage(null));
    await store.read([0, 1, 2, 3]);
    await store.prepare!([3, 4, 5, 6, 7]);
    const afterwards = [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ];
    expect(source.calls).toEqual(afterwards);
    await store.read([4, 5, 6, 7]);
    await store.prepare!(all.slice(0, 8));
    expect(source.calls).toEqual(afterwards);
    await store.close();
  });

  it('keeps two records of images that are mirrored, each as computed without a store', async () => {
    const count = 5;
    const bytes = (index: number) => [10 * index, 10 * index + 1, 10 * index + 2];
    const images = {
      ...pixels(),
      ...{ count, size: [1, 3] as const },
      read: async (indices: ArrayLike<number>) => Uint8Array.from(Array.from(indices).flatMap(bytes)),
    };
    const { prefix } = counted();
    const tensors = [{ name: 'prefix.0', shape: [3] }];
    const calls: number[][] = [];
    const run = async ({ images }: Readonly<Record<string, Feed>>) => {
      calls.push([...(images as Float32Array)].map((value) => Math.round(255 * value)));
      return { 'prefix.0': images as Float32Array };
    };
    const wide = { ...prefix, prefix: { batch: BATCH, tensors }, session: { ...prefix.session, run } };
    const look = { flip: true, cropPadding: 0, trivialAugment: false };
    const folder = newFolder();
    const seen = new Set<string>();
    for (const kept of [storage(null), storage(folder, 0), storage(folder, 0), null]) {
      calls.length = 0;
      const store = await openPrefixStore(images, wide, kept, 'both');
      for (let epoch = 0; epoch < 12; epoch++) {
        const change = imageChange(look, [0], { seed: 1, phase: 'final', epoch }, [1, 3])!;
        const [indices, copies] = [
          [3, 0, 3, 1],
          [0, 0, 1, 0],
        ];
        const plain = await pixelInputs(images, wide.model).read(indices, change, copies);
        expect(await store.read(indices, change, copies)).toEqual({ 'prefix.0': plain.images });
        for (let at = 0; at < plain.images!.length; at += 3) seen.add([...plain.images!.subarray(at, at + 3)].join());
      }
      await store.prepare!([2]);
      const own = calls.length;
      expect(await store.read([3, 0, 1])).toEqual({
        'prefix.0': Float32Array.from([3, 0, 1].flatMap(bytes), (byte) => byte / 255),
      });
      if (kept) {
        expect(calls).toHaveLength(own);
        expect(own).toBeLessThanOrEqual(3); // ten records at most, four a call
      }
      await store.close();
    }
    expect(seen.size).toBe(6);
    expect(calls.length).toBeGreaterThan(6);
  });

  it('refuses looks that it does not keep', async () => {
    const flips = imageChange({ flip: true, cropPadding: 0, trivialAugment: false }, [0], {
      seed: 1,
      phase: 'final',
      epoch: 0,
    })!;
    const moves = imageChange({ flip: true, cropPadding: 1, trivialAugment: false }, [0], {
      seed: 1,
      phase: 'final',
      epoch: 0,
    })!;
    const [plain, both] = await Promise.all(
      (['plain', 'both'] as const).map((looks) => openPrefixStore(pixels(), counted().prefix, null, looks)),
    );
    const refused = /of images that are plain was asked for others/;
    await expect(plain!.read(all, flips)).rejects.toThrow(refused);
    await expect(both!.read([0], moves)).rejects.toThrow('may be mirrored, and no more');
  });

  it('keeps nothing of images that are looked at once', async () => {
    const source = counted();
    const store = await openPrefixStore(pixels(), source.prefix, null);
    await store.read([1, 2]);
    await store.prepare!([3]);
    await store.read([1, 2]);
    expect(source.calls).toEqual([
      [1, 2, 2, 2],
      [1, 2, 2, 2],
    ]);
  });
});

describe('a file of records', () => {
  it('serves later runs, in whole or in part', async () => {
    const folder = newFolder();
    expect(await readThrough([1, 2, 3, 4], storage(folder))).toEqual([1, 2, 3, 4]);
    expect(await readThrough([2, 3, 5, 6], storage(folder))).toEqual([0, 1, 5, 6]); // 0 and 1 in place of padding
    expect(await readThrough(all.slice(0, 7), storage(folder, 0))).toEqual([]);
  });

  it('is not taken for one of another model, or of other images', async () => {
    const folder = newFolder();
    await readThrough(all, storage(folder));
    const own = onlyFile(folder);
    expect(await readThrough(all, storage(folder), counted('another model'))).toEqual(all);
    expect(await readThrough(all, storage(folder), counted(), pixels('other images'))).toEqual(all);
    expect(readdirSync(folder)).toHaveLength(3);
    // not even under the other's name
    const other = readdirSync(folder)
      .map((name) => join(folder, name))
      .find((path) => path !== own)!;
    renameSync(other, own);
    expect(await readThrough(all, storage(folder))).toEqual(all);
  });

  it('computes a damaged record again, and mends it', async () => {
    const folder = newFolder();
    await readThrough(all, storage(folder));
    const path = onlyFile(folder);
    const whole = readFileSync(path);
    expect(whole).toHaveLength(COUNT * RECORD);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Buffer.from(whole);
        damaged[at]! ^= flip;
        writeFileSync(path, damaged);
        expect(await readThrough(all, storage(folder))).toContain(Math.floor(at / RECORD));
        expect(readFileSync(path)).toEqual(whole);
        expect(await readThrough(all, storage(folder))).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });

  it('is used for what it has when it was cut short, or never filled', async () => {
    const folder = newFolder();
    await readThrough(all, storage(folder));
    const path = onlyFile(folder);
    const whole = readFileSync(path);
    for (const length of [0, 1, RECORD - 1, RECORD, 7 * RECORD + 9]) {
      truncateSync(path, length);
      const kept = Math.floor(length / RECORD);
      expect(await readThrough(all, storage(folder)), `${length}`).toEqual(all.slice(kept));
      expect(readFileSync(path)).toEqual(whole);
    }
    writeFileSync(path, Buffer.concat([whole.subarray(0, 5 * RECORD), Buffer.alloc(6 * RECORD)]));
    expect(await readThrough(all, storage(folder))).toEqual(all.slice(5));
    // records of the right numbers in the wrong places
    writeFileSync(path, Buffer.concat([whole.subarray(RECORD), whole.subarray(0, RECORD)]));
    expect(await readThrough(all, storage(folder))).toEqual(all);
  });

  it('never takes what was not written for a record, even where the checksum is right', async () => {
    const folder = newFolder();
    const shape = { key: 'abc', records: 2, size: 3 };
    const file = await prefixFiles(folder).open(shape);
    await file.write(0, Float32Array.of(1, 2, 3, 0, 0));
    expect(await file.read(0)).not.toBe(null);
    const hole = Buffer.alloc(recordBytes(3));
    hole.writeUInt32LE(crc32(hole.subarray(0, -4), crc32('abc:0')), hole.length - 4);
    writeFileSync(join(folder, readdirSync(folder)[0]!), hole);
    expect(await file.read(0)).toBe(null);
    await file.close();
  });

  it('may be shared by two runs at a time', async () => {
    const folder = newFolder();
    const stores = await Promise.all(
      [counted(), counted()].map(({ prefix }) => openPrefixStore(pixels(), prefix, storage(folder, 0))),
    );
    const orders = [all, [...all].reverse()];
    for (let start = 0; start < COUNT; start += 3) {
      const parts = orders.map((order) => order.slice(start, start + 3));
      const read = await Promise.all(stores.map((store, i) => store.read(parts[i]!)));
      read.forEach((batch, i) => {
        expect(batch).toEqual(expected(parts[i]!));
      });
    }
    await Promise.all(stores.map((store) => store.close()));
    expect(await readThrough(all, storage(folder))).toEqual([]);
  });

  it('that may only be read is read, and what it lacks is computed', async () => {
    const folder = newFolder();
    expect(await readThrough([0, 1, 2, 3], storage(folder, 0))).not.toEqual([]);
    readOnly.folder = folder;
    const problems: string[] = [];
    expect(await readThrough([0, 1, 2, 3], storage(folder, 0, problems))).toEqual([]);
    expect(problems).toEqual([]);
    expect(await readThrough([9, 10], storage(folder, 0, problems))).toContain(9);
    expect(problems).toEqual([expect.stringMatching(/cannot keep .*EROFS/)]);
  });

  it('that cannot be made is reported once, and all goes on without', async () => {
    const folder = newFolder();
    writeFileSync(folder, 'a file where the folder should be');
    const problems: string[] = [];
    const source = counted();
    const store = await openPrefixStore(pixels(), source.prefix, storage(folder, 2 * RECORD, problems));
    for (let epoch = 0; epoch < 2; epoch++) {
      expect(await store.read([0, 1, 2, 3])).toEqual(expected([0, 1, 2, 3]));
    }
    await store.close();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/folder-\d+: cannot keep .*EEXIST|ENOTDIR/);
    expect(source.calls).toHaveLength(2); // two records are in memory, the others are not
  });
});
