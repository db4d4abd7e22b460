import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ImageItem } from './dataset.js';
import { openDataset } from './node/open.js';
import { namesOf, openForTest, refusal } from './testing/dataset.js';
import { dot, folderWith, imageFolder } from './testing/folder.js';

describe('a folder a class', () => {
  test('splits 20 % test, then 20 % of the rest val, by class, and says so', async () => {
    const root = await folderWith({
      ...imageFolder({ dog: 50, cat: 25, 'red fox': 5 }),
      'cat/notes.txt': 'x',
      'README.md': 'y',
    });
    const dataset = await openForTest(root, { seed: 42 });
    expect(dataset.kind).toBe('folder');
    expect(dataset.classes).toEqual(['cat', 'dog', 'red fox']);
    const perClass = (items: ImageItem[]) =>
      dataset.classes.map((_, label) => items.filter((item) => item.label === label).length);
    expect(perClass(dataset.test)).toEqual([5, 10, 1]);
    expect(perClass(dataset.val)).toEqual([4, 8, 1]);
    expect(perClass(dataset.train)).toEqual([16, 32, 3]);
    expect(dataset.trainval).toEqual([...dataset.train, ...dataset.val]);
    expect(new Set(namesOf([...dataset.trainval, ...dataset.test])).size).toBe(80);
    expect(dataset.note).toBe(
      'The data set has no splits; idat made them (seed 42, stratified by class, 20 % test, 20 % of the rest val): 51 train, 13 val, 16 test.',
    );
    for (const { name, label } of dataset.trainval) expect(name.split('/')[0]).toBe(dataset.classes[label]);
  });

  test('the same split whatever the order on disk; another one for another seed', async () => {
    const files = imageFolder({ cat: 20, dog: 20 });
    const forwards = await openForTest(await folderWith(files), { seed: 3 });
    const backwards = await openForTest(await folderWith(Object.fromEntries(Object.entries(files).reverse())), {
      seed: 3,
    });
    expect(namesOf(backwards.test)).toEqual(namesOf(forwards.test));
    expect(namesOf(backwards.val)).toEqual(namesOf(forwards.val));
    expect(namesOf((await openForTest(forwards.source, { seed: 4 })).test)).not.toEqual(namesOf(forwards.test));
  });

  test('hidden files and system litter are no images; upper-case extensions and deeper folders are', async () => {
    const root = await folderWith({
      ...imageFolder({ cat: 3, dog: 3 }),
      'cat/.hidden.png': dot(),
      'cat/._00.png': 'x',
      'cat/Thumbs.db': 'x',
      '__MACOSX/cat/00.png': 'x',
      '.git/objects/00.png': 'x',
      'dog/more/LOUD.JPEG': 'x',
      'dog/anim.gif': 'x',
    });
    const { classes, trainval, test: held } = await openForTest(root);
    expect(classes).toEqual(['cat', 'dog']);
    expect(namesOf([...trainval, ...held]).sort()).toEqual([
      'cat/00.png',
      'cat/01.png',
      'cat/02.png',
      'dog/00.png',
      'dog/01.png',
      'dog/02.png',
      'dog/more/LOUD.JPEG',
    ]);
  });

  test('train/, val/ and test/ are taken as they are; labels follow train/', async () => {
    const root = await folderWith({
      ...imageFolder({ cat: 4, dog: 3, eel: 2 }, 'train/'),
      ...imageFolder({ cat: 2, dog: 2 }, 'validation/'),
      ...imageFolder({ eel: 5 }, 'Test/'),
    });
    const dataset = await openForTest(root);
    expect(dataset.note).toBe('Splits as the data set has them: 9 train, 4 val, 5 test.');
    expect(dataset.test.map(({ label }) => label)).toEqual([2, 2, 2, 2, 2]);
  });

  test('without val/ it is split from train/', async () => {
    const root = await folderWith({
      ...imageFolder({ cat: 10, dog: 20 }, 'train/'),
      ...imageFolder({ cat: 2, dog: 2 }, 'test/'),
    });
    const dataset = await openForTest(root, { seed: 5, valFraction: 0.1 });
    expect(dataset.note).toBe(
      'test as the data set has it, val split from train by idat (seed 5, stratified by class, 10 %): 27 train, 3 val, 4 test.',
    );
  });

  test.each<[string, string, Record<string, string | Uint8Array>]>([
    ['data.empty', 'no images found; expected .jpg', { 'notes.txt': 'x' }],
    ['data.empty', 'no images found', { 'cat/': '', 'dog/': '' }],
    ['data.no-classes', 'put the images of each class into a folder', { 'a.png': dot(), 'b.png': dot() }],
    ['data.one-class', 'found one class only (cat)', imageFolder({ cat: 9 })],
    ['data.class.empty', '/dog: holds no images', { ...imageFolder({ cat: 9, eel: 9 }), 'dog/': '' }],
    ['data.class.empty', '/dog: holds no images', { ...imageFolder({ cat: 9, eel: 9 }), 'dog/a.txt': 'x' }],
    ['data.split.small', 'too few images', imageFolder({ cat: 2, dog: 2 })],
    [
      'data.split.missing',
      'has train/ but no test/',
      { ...imageFolder({ cat: 2, dog: 2 }, 'train/'), ...imageFolder({ cat: 2, dog: 2 }, 'val/') },
    ],
    [
      'data.split.mixed',
      'extra/ holds images beside train/',
      { ...imageFolder({ cat: 2, dog: 2 }, 'train/'), ...imageFolder({ cat: 2, dog: 2 }, 'extra/') },
    ],
    [
      'data.split.mixed',
      'keep one',
      {
        ...imageFolder({ cat: 2 }, 'train/'),
        ...imageFolder({ cat: 2 }, 'val/'),
        ...imageFolder({ cat: 2 }, 'valid/'),
      },
    ],
    [
      'data.class.unknown',
      'test/eel: train/ has no class',
      { ...imageFolder({ cat: 9, dog: 9 }, 'train/'), ...imageFolder({ eel: 2 }, 'test/') },
    ],
    ['data.no-classes', 'train: holds no class folders', imageFolder({ train: 3, test: 3 })],
  ])('%s: %s', async (code, message, files) => {
    await expect(openDataset(await folderWith(files), { seed: 1 })).rejects.toMatchObject(refusal(code, message));
  });

  test('a link out of the folder is refused by name', async () => {
    const root = await folderWith(imageFolder({ cat: 5, dog: 5 }));
    await symlink('/etc', join(root, 'etc'));
    await expect(openDataset(root, { seed: 1 })).rejects.toMatchObject(
      refusal('data.link.escape', '/etc: is a link that leaves the data set'),
    );
  });

  test('a vehicle class called "train" is a class', async () => {
    expect((await openForTest(await folderWith(imageFolder({ train: 5, tram: 5 })))).classes).toEqual([
      'train',
      'tram',
    ]);
  });
});
