import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { ImageItem } from '../dataset.js';
import { openForTest, refusal } from '../testing/dataset.js';
import { temporaryFolder } from '../testing/folder.js';
import { craftZip } from '../testing/zip.js';
import { decodeImage } from './decode.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../../test/fixtures/parquet/${name}`, import.meta.url));

/** Gray level of a one-pixel image and its label, in the order of the items. */
const levels = (items: ImageItem[]) =>
  Promise.all(
    items.map(async ({ name, label, read }): Promise<[number, number]> => {
      const { pixels } = await decodeImage((await read()) as Uint8Array, { orient: false, name });
      return [pixels[0]!, label];
    }),
  );

describe('Parquet files', () => {
  test('as the hub has them: splits by name, shards in turn, classes named', async () => {
    const dataset = await openForTest(fixture('hub'), { seed: 1 });
    expect(dataset.classes).toEqual(['red fox', 'dog', 'eel']);
    expect(dataset.note).toBe(
      'test as the data set has it, val split from train by idat (seed 1, stratified by class, 20 %): 12 train, 3 val, 6 test.',
    );
    expect(await levels(dataset.test)).toEqual([100, 101, 102, 103, 104, 105].map((level) => [level, level % 3]));
    const seen = await levels(dataset.trainval);
    expect(seen.map(([level]) => level).sort((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, i) => i));
    for (const [level, label] of seen) expect(label).toBe(level % 3);
    const order = (await levels(dataset.train)).map(([level]) => level);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });

  test.each(['plain', 'words'])('%s: without the hub’s metadata, in other columns and compressions', async (name) => {
    const { classes, trainval, test: held, note } = await openForTest(fixture(name));
    expect(classes).toEqual(name === 'plain' ? ['0', '1'] : ['cat', 'dog']);
    const all = await levels([...trainval, ...held]);
    expect(all).toHaveLength(12);
    for (const [level, label] of all) expect(label).toBe(name === 'plain' ? level % 2 : 1 - (level % 2));
    expect(note).toMatch(/^The data set has no splits; .*: 8 train, 2 val, 2 test\.$/);
  });

  test('Zstandard is read where Node can, else refused by that reason', async () => {
    const opened = openForTest(fixture('zstd'));
    if ('zstdDecompressSync' in zlib) expect((await opened).classes).toHaveLength(3);
    else await expect(opened).rejects.toMatchObject(refusal('data.parquet.broken', 'Zstandard from 22.15 on'));
  });

  test('in a zip, behind links, and in folders of splits', async () => {
    const train = 'hub/data/train-00000-of-00002.parquet';
    const folder = await temporaryFolder();
    await writeFile(
      join(folder, 'a.zip'),
      craftZip([{ name: train, data: readFileSync(fixture(train)), deflate: true }]),
    );
    expect((await openForTest(join(folder, 'a.zip'))).trainval.length).toBeGreaterThan(5);
    mkdirSync(join(folder, 'linked/default/train'), { recursive: true });
    mkdirSync(join(folder, 'linked/default/test'), { recursive: true });
    symlinkSync(fixture(train), join(folder, 'linked/default/train/0000.parquet'));
    cpSync(fixture('hub/data/test-00000-of-00001.parquet'), join(folder, 'linked/default/test/0000.parquet'));
    const { trainval, test: held } = await openForTest(join(folder, 'linked'));
    expect([trainval.length, held.length]).toEqual([10, 6]);
    expect(await levels(held)).toHaveLength(6);
  });

  test('rows without a label are left out, and counted', async () => {
    const folder = await temporaryFolder();
    cpSync(fixture('hub/data/train-00000-of-00002.parquet'), join(folder, 'train.parquet'));
    cpSync(fixture('unnamed/test-00000-of-00001.parquet'), join(folder, 'test.parquet'));
    expect((await openForTest(folder)).note).toMatch(
      /^The data set has no splits; .* Left out: 3 rows without a label\.$/,
    );
  });
});

describe('is refused', () => {
  test('several data sets in one folder', async () => {
    await expect(openForTest(fixture(''))).rejects.toMatchObject(refusal('data.collection', 'holds 5 data sets'));
  });

  test('whatever is broken, by IdatError', async () => {
    const whole = readFileSync(fixture('plain/pets.parquet'));
    const folder = await temporaryFolder();
    const path = join(folder, 'pets.parquet');
    for (const length of [0, 4, 100, whole.length - 1]) {
      await writeFile(path, whole.subarray(0, length));
      await expect(openForTest(folder)).rejects.toMatchObject({ code: 'data.parquet.broken' });
    }
    for (let at = 0; at < whole.length; at += 37) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 0x15;
      await writeFile(path, changed);
      const read = async () => {
        const { trainval } = await openForTest(folder);
        for (const item of trainval) await item.read();
      };
      await read().catch((error) => expect(error).toMatchObject({ name: 'IdatError' }));
    }
  });
});
