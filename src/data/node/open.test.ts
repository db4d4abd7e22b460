import { mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { namesOf, openForTest, refusal, VTAB_FILES } from '../testing/dataset.js';
import { dot, folderWith, imageFolder, temporaryFolder } from '../testing/folder.js';
import { craftZip } from '../testing/zip.js';
import { openDataset } from './open.js';

describe('paths', () => {
  test('that lead nowhere or to something else', async () => {
    const root = await folderWith({ 'a.txt': 'x' });
    await expect(openDataset(join(root, 'nope'), { seed: 1 })).rejects.toMatchObject(
      refusal('data.path.missing', 'nope: no such folder or file'),
    );
    await expect(openDataset(join(root, 'a.txt'), { seed: 1 })).rejects.toMatchObject(
      refusal('data.path.kind', 'expected a folder or a .zip'),
    );
  });

  test('a collection of data sets is not a data set; its members are', async () => {
    const root = await temporaryFolder();
    for (const task of ['pets', 'dtd']) await rename(await folderWith(VTAB_FILES), join(root, task));
    await expect(openDataset(root, { seed: 1 })).rejects.toMatchObject(
      refusal('data.collection', 'holds 2 data sets (dtd, pets); give one of them'),
    );
    expect((await openForTest(join(root, 'pets'))).kind).toBe('vtab');
  });

  test('a data set below a single folder is found', async () => {
    const root = await temporaryFolder();
    await mkdir(join(root, 'unpacked'));
    await rename(await folderWith(imageFolder({ cat: 5, dog: 5 })), join(root, 'unpacked/animals'));
    expect((await openForTest(root)).classes).toEqual(['cat', 'dog']);
  });
});

describe('zips', () => {
  const zipWith = async (files: Record<string, string | Uint8Array>, top = '') => {
    const path = join(await temporaryFolder(), 'pets.zip');
    await writeFile(
      path,
      craftZip(Object.entries(files).map(([name, data]) => ({ name: top + name, data, deflate: true }))),
    );
    return path;
  };

  test('hold any layout, also below one top folder and beside litter', async () => {
    const litter = { '__MACOSX/pets/._x': 'x', 'README.txt': 'x' };
    for (const top of ['', 'pets/', './']) {
      expect((await openForTest(await zipWith(VTAB_FILES, top))).classes).toEqual(['0', '1', '2']);
      const path = await zipWith({ ...imageFolder({ cat: 5, dog: 5 }, top), ...litter });
      const dataset = await openForTest(path);
      expect(dataset.classes).toEqual(['cat', 'dog']);
      expect(await dataset.train[0]!.read()).toEqual(dot(Number(dataset.train[0]!.name.match(/(\d+)\.png/)![1])));
    }
  });

  test('split like the folder they were packed from, whatever the order of their entries', async () => {
    const files = imageFolder({ cat: 20, dog: 20 });
    const folder = await openForTest(await folderWith(files), { seed: 3 });
    const zip = await openForTest(await zipWith(Object.fromEntries(Object.entries(files).reverse())), { seed: 3 });
    expect(namesOf(zip.train)).toEqual(namesOf(folder.train));
    expect(namesOf(zip.test)).toEqual(namesOf(folder.test));
  });

  test('a folder inside a zip can be named', async () => {
    const two = { ...imageFolder({ cat: 5, dog: 5 }, 'vtab/a/'), ...imageFolder({ ant: 5, bee: 5 }, 'vtab/b/') };
    const path = await zipWith(two);
    expect((await openForTest(`${path}/vtab/b/`)).classes).toEqual(['ant', 'bee']);
    await expect(openDataset(`${path}/vtab/c`, { seed: 1 })).rejects.toMatchObject(
      refusal('data.path.missing', 'has no folder vtab/c'),
    );
  });

  test('a large file in a class folder is refused when read', async () => {
    const path = join(await temporaryFolder(), 'big.zip');
    const entries = Object.entries(imageFolder({ cat: 5, dog: 5 })).map(([name, data]) => ({
      name,
      data,
      deflate: true,
      claimedBytes: 300 * 2 ** 20,
    }));
    await writeFile(path, craftZip(entries));
    const { train } = await openForTest(path);
    await expect(train[0]!.read()).rejects.toMatchObject(
      refusal('data.file.too-large', '300 MiB are more than the 256 MiB'),
    );
  });
});

test('an item read after the folder lost it says so', async () => {
  const root = await folderWith(imageFolder({ cat: 5, dog: 5 }));
  const { train } = await openForTest(root);
  expect(await readFile(join(root, train[0]!.name))).toEqual(await train[0]!.read());
  await unlink(join(root, train[0]!.name));
  await expect(train[0]!.read()).rejects.toMatchObject(
    refusal('data.file.unreadable', 'cannot read this file (ENOENT)'),
  );
});
