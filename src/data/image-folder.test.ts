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
      'The data set has no splits; idat made them (seed 42, stratified by class, 20 % test, 20 % of the rest val): 51 train, 13 val, 16 test. Left out: 1 file that is no image idat reads (.txt).',
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
      'dog/anim.heic': 'x',
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
    expect(dataset.note).toBe('Splits as the data set’s folders have them: 9 train, 4 val, 5 test.');
    expect(dataset.test.map(({ label }) => label)).toEqual([2, 2, 2, 2, 2]);
  });

  test('without val/ it is split from train/', async () => {
    const root = await folderWith({
      ...imageFolder({ cat: 10, dog: 20 }, 'train/'),
      ...imageFolder({ cat: 2, dog: 2 }, 'test/'),
    });
    const dataset = await openForTest(root, { seed: 5, valFraction: 0.1 });
    expect(dataset.note).toBe(
      'test/ as the data set has it, val split from train/ by idat (seed 5, stratified by class, 10 %): 27 train, 3 val, 4 test.',
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
      'has train/ but neither test/ nor val/',
      { ...imageFolder({ cat: 2, dog: 2 }, 'train/'), 'docs/a.txt': '' },
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

  test.each(['val', 'validation'])(
    'train/ and %s/ without test/: measured on what there is, and said',
    async (name) => {
      const root = await folderWith({
        ...imageFolder({ cat: 10, dog: 10 }, 'train/'),
        ...imageFolder({ cat: 4, dog: 3 }, `${name}/`),
      });
      const dataset = await openForTest(root, { seed: 5 });
      expect([dataset.train.length, dataset.val.length, dataset.test.length]).toEqual([16, 4, 7]);
      expect(dataset.note).toBe(
        `${name}/ is what is measured on (test), for want of a test/ with classes; val split from train/ by idat (seed 5, stratified by class, 20 %): 16 train, 4 val, 7 test.`,
      );
      const bytes = await Promise.all([...dataset.trainval, ...dataset.test].map(({ read }) => read()));
      expect(bytes).toHaveLength(27);
    },
  );

  test('a test/ of pictures nobody has named is passed over, and said', async () => {
    const unnamed = { 'test/1.png': dot(1), 'test/2.png': dot(2) };
    const train = imageFolder({ cat: 10, dog: 10 }, 'train/');
    const alone = await openForTest(await folderWith({ ...train, ...unnamed }));
    expect([alone.train.length, alone.val.length, alone.test.length]).toEqual([12, 4, 4]);
    expect(alone.note).toMatch(/ 12 train, 4 val, 4 test\. test\/ has no class folders and is not used\.$/);
    const val = imageFolder({ cat: 2, dog: 2 }, 'val/');
    const measured = await openForTest(await folderWith({ ...train, ...val, ...unnamed }));
    expect([measured.train.length, measured.val.length, measured.test.length]).toEqual([16, 4, 4]);
    expect(measured.note).toMatch(/^val\/ is what is measured on .* test\/ has no class folders and is not used\.$/);
  });

  test('a class that test/ has no images of is no reason to refuse', async () => {
    const root = await folderWith({
      ...imageFolder({ cat: 10, dog: 10 }, 'train/'),
      ...imageFolder({ cat: 2 }, 'test/'),
      'test/dog/': '',
      'test/birds/': '',
    });
    expect((await openForTest(root)).test.map(({ label }) => label)).toEqual([0, 0]);
  });

  test('what is left out is counted in one sentence, and an empty class says what it holds', async () => {
    const root = await folderWith({
      ...imageFolder({ cat: 5, dog: 5 }),
      'cat/a.HEIC': 'x',
      'cat/b.heic': 'x',
      'dog/c.psd': 'x',
      'dog/LICENSE': 'x',
      'cover.png': dot(),
      'cat/@eaDir/00.png/SYNOPHOTO_THUMB_M.jpg': dot(),
      '#recycle/old.png': dot(),
      'cat/._00.png': 'x',
    });
    expect((await openForTest(root)).note).toMatch(
      / Left out: 4 files that are no images idat reads \(2 \.heic, 1 \.psd, 1 no extension\); 1 image outside the class folders \(cover\.png\); 2 images that are hidden or left by a system \(such as #recycle\)\.$/,
    );
    const unread = await folderWith({ ...imageFolder({ cat: 5, dog: 5 }), 'eel/a.heic': 'x', 'eel/b.heic': 'x' });
    await expect(openDataset(unread, { seed: 1 })).rejects.toMatchObject(
      refusal(
        'data.class.empty',
        '/eel: holds no images (.jpg, .png, .webp, .gif, .tif, .avif, .bmp or .ppm); add some or remove the folder. Left out: 2 files that are no images idat reads (.heic).',
      ),
    );
  });

  test('a vehicle class called "train" is a class', async () => {
    expect((await openForTest(await folderWith(imageFolder({ train: 5, tram: 5 })))).classes).toEqual([
      'train',
      'tram',
    ]);
  });
});
