import { symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openDataset } from './node/open.js';
import { namesOf, openForTest, refusal, VTAB_FILES } from './testing/dataset.js';
import { dot, folderWith, imageFolder } from './testing/folder.js';
import { describeWithShared, sharedPath } from './testing/shared.js';

describeWithShared('VTAB-mini', () => {
  test.each([
    ['caltech101', 102, 2000],
    ['flowers5', 5, 1500],
    ['sign_digits', 10, 1062],
    ['eurosat', 10, 1500],
    ['elpv', 2, 642],
    ['bloodcells', 3, 429],
    ['dsprites_loc', 16, 2000],
    ['dsprites_ori', 16, 2000],
  ])('%s: %i classes, 800 / 200 / %i images', async (task, classCount, testCount) => {
    const dataset = await openForTest(sharedPath(`data/${task}.zip`));
    expect(dataset.kind).toBe('vtab');
    expect(dataset.classes).toHaveLength(classCount);
    expect([dataset.train, dataset.val, dataset.trainval, dataset.test].map((split) => split.length)).toEqual([
      800,
      200,
      1000,
      testCount,
    ]);
    expect(namesOf(dataset.trainval)).toEqual(namesOf([...dataset.train, ...dataset.val]));
    expect(dataset.note).toBe(`Splits as listed by the data set: 800 train, 200 val, ${testCount} test.`);
    const [first] = dataset.test;
    const bytes = (await first!.read()) as Uint8Array;
    expect(bytes.subarray(0, 2)).toEqual(Buffer.from(first!.name.endsWith('.png') ? [0x89, 0x50] : [0xff, 0xd8]));
  });

  test('a label can be told from the name of a dSprites picture: x position in 16 bins', async () => {
    const { train, classes } = await openForTest(sharedPath('data/dsprites_loc.zip'));
    for (const { name, label } of train) {
      const index = Number(name.match(/(\d+)\.png$/)![1]);
      expect(label).toBe(Math.floor((Math.floor(index / 32) % 32) / 2));
    }
    expect(classes[1]).toBe('x_02_03');
  });
});

describe('VTAB lists', () => {
  /** Four images of each of two classes, and their list. */
  const eight = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`images/${i}.png`, dot(i)]));
  const train = Object.keys(eight)
    .map((name, i) => `${name} ${i % 2}`)
    .join('\n');

  test('without classes.txt and train800val200.txt', async () => {
    const dataset = await openForTest(await folderWith(VTAB_FILES));
    expect(dataset.classes).toEqual(['0', '1', '2']);
    expect(namesOf(dataset.trainval)).toEqual(['images/a.png', 'images/b c.png', 'images/c.png']);
    expect(await dataset.train[1]!.read()).toEqual(dot(2));
    expect(dataset.test[0]!.label).toBe(2);
  });

  test('classes.txt names the labels, whatever its line ends', async () => {
    const dataset = await openForTest(await folderWith({ ...VTAB_FILES, 'classes.txt': 'cat\r\nred fox\r\ndog\r\n' }));
    expect(dataset.classes).toEqual(['cat', 'red fox', 'dog']);
  });

  test('lists of plain names are read alike; without val.txt a part of train validates', async () => {
    const { 'train800.txt': _, 'val200.txt': __, ...rest } = VTAB_FILES;
    const made = await openForTest(await folderWith({ ...rest, ...eight, 'train.txt': train }));
    expect([made.train.length, made.val.length, made.trainval.length, made.test.length]).toEqual([6, 2, 8, 1]);
    expect(made.val.map(({ label }) => label).sort()).toEqual([0, 1]);
    expect(made.note).toBe(
      'Lists as the data set has them, val split from train by idat (seed 1): 6 train, 2 val, 1 test.',
    );
    const given = await openForTest(
      await folderWith({ ...rest, ...eight, 'train.txt': train, 'val.txt': 'images/c.png 1' }),
    );
    expect([given.train.length, given.val.length]).toEqual([8, 1]);
  });

  const { 'train800.txt': train800, 'val200.txt': _val, 'test.txt': _test, ...pictures } = VTAB_FILES;

  test('train.txt and val.txt without test.txt: measured on val.txt, and said', async () => {
    const dataset = await openForTest(
      await folderWith({ ...pictures, ...eight, 'train.txt': train, 'val.txt': 'images/a.png 0\nimages/c.png 1' }),
    );
    expect(dataset.note).toBe(
      'val.txt is what is measured on (test), for want of a test.txt; val split from train by idat (seed 1): 6 train, 2 val, 2 test.',
    );
  });

  test('train.txt alone says what it lacks', async () => {
    const root = await folderWith({ ...pictures, 'train.txt': train800! });
    await expect(openDataset(root, { seed: 1 })).rejects.toMatchObject(
      refusal('data.list.missing', 'no test.txt; train.txt needs test.txt or val.txt beside it'),
    );
  });

  test('a stray list beside class folders is none, and said', async () => {
    const folders = imageFolder({ cat: 5, dog: 5 });
    for (const stray of ['test.txt', 'train.txt', 'val.txt']) {
      const dataset = await openForTest(
        await folderWith({ ...folders, [stray]: 'notes', 'classes.txt': 'x', 'README.txt': 'y' }),
      );
      expect(dataset.kind).toBe('folder');
      expect(dataset.note).toContain(` Not read: ${stray}; a list is read where`);
    }
  });

  test('absolute paths inside the folder, and an é as the other system writes it', async () => {
    const root = await folderWith({ ...VTAB_FILES, 'images/caf\u00e9.png': dot(7) });
    await writeFile(join(root, 'val200.txt'), `${root}/images/c.png 1\nimages/cafe\u0301.png 0\n`);
    const { val } = await openForTest(root);
    expect(namesOf(val)).toEqual(['images/c.png', 'images/caf\u00e9.png']);
    expect(await val[1]!.read()).toEqual(dot(7));
  });

  test.each([
    ['is UTF-16; save it as UTF-8', Buffer.from('\ufeffimages/c.png 1\n', 'utf16le')],
    ['is UTF-16; save it as UTF-8', Buffer.from('images/c.png 1\n', 'utf16le')],
    ['is UTF-16; save it as UTF-8', Buffer.from('images/c.png 1\n', 'utf16le').swap16()],
    ['is not UTF-8; save it as UTF-8', Buffer.from('images/caf\xe9.png 1', 'latin1')],
  ])('val200.txt: %s', async (message, bytes) => {
    const root = await folderWith({ ...VTAB_FILES, 'val200.txt': bytes });
    await expect(openDataset(root, { seed: 1 })).rejects.toMatchObject(
      refusal('data.list.encoding', `val200.txt: ${message}`),
    );
  });

  test('a symbolic link to an image or a folder inside the data set is fine', async () => {
    const root = await folderWith({ ...VTAB_FILES, 'test.txt': 'linked.png 0\nmore/d.png 2\n' });
    await symlink('images/d.png', join(root, 'linked.png'));
    await symlink('images', join(root, 'more'));
    await symlink('..', join(root, 'images/loop'));
    const dataset = await openForTest(root);
    expect(await dataset.test[0]!.read()).toEqual(dot(4));
    expect(await dataset.test[1]!.read()).toEqual(dot(4));
  });

  test.each<[string, string, Record<string, string>]>([
    [
      'data.list.label',
      'test.txt:1: expected a label from 0 to 1 (classes.txt names 2 classes), got "2"',
      { 'classes.txt': 'cat\ndog' },
    ],
    [
      'data.list.escape',
      'val200.txt:2: "../../etc/passwd" is not a path',
      { 'val200.txt': 'images/c.png 1\n../../etc/passwd 1' },
    ],
    [
      'data.list.missing-image',
      'test.txt:2: there is no file "images/e.png"',
      { 'test.txt': 'images/d.png 0\nimages/e.png 0' },
    ],
    ['data.list.missing-image', 'there is no file "images/A.png"', { 'test.txt': 'images/A.png 0' }],
    ['data.list.empty', 'train800.txt: lists no images', { 'train800.txt': '\n' }],
    ['data.one-class', 'of one class', { 'train800.txt': 'images/a.png 0', 'val200.txt': 'images/c.png 0' }],
    [
      'data.one-class',
      'of one class',
      {
        'train800.txt': 'images/a.png 0',
        'val200.txt': 'images/c.png 0',
        'test.txt': 'images/d.png 0',
        'classes.txt': 'cat',
      },
    ],
    ['data.classes.empty', 'classes.txt:2: expected a class name', { 'classes.txt': 'cat\n\ndog' }],
  ])('%s: %s', async (code, message, files) => {
    await expect(openDataset(await folderWith({ ...VTAB_FILES, ...files }), { seed: 1 })).rejects.toMatchObject(
      refusal(code, message),
    );
  });

  test.each(['train800.txt', 'val200.txt', 'test.txt'])('%s is needed', async (list) => {
    const root = await folderWith(VTAB_FILES);
    await unlink(join(root, list));
    await expect(openDataset(root, { seed: 1 })).rejects.toMatchObject(
      refusal('data.list.missing', `no ${list}; VTAB data need`),
    );
  });

  test('links out of the data set are followed to images, and to nothing else', async () => {
    const outside = await folderWith({ 'far.png': dot(9), 'classes.txt': 'root\nusers\nstaff\n' });
    const files = { ...VTAB_FILES, 'val200.txt': 'images/c.png 1\nx.png 0\nout/far.png 0' };
    const root = await folderWith(files);
    await symlink(join(outside, 'far.png'), join(root, 'x.png'));
    await symlink(outside, join(root, 'out'));
    await symlink(join(outside, 'classes.txt'), join(root, 'classes.txt'));
    const dataset = await openForTest(root);
    expect(dataset.classes).toEqual(['0', '1', '2']);
    expect(await dataset.val[1]!.read()).toEqual(dot(9));
    expect(await dataset.val[2]!.read()).toEqual(dot(9));
  });

  test('a list that names what is passed over says why it is', async () => {
    for (const [link, target, reason] of [
      ['gone.png', 'nowhere', 'is a link to nothing'],
      ['up', '..', 'is a link to a folder it lies in'],
      ['etc.txt', '/etc/passwd', 'is a link that leaves the data set, which is followed to images only'],
    ] as const) {
      const listed = link === 'up' ? 'up/a.png' : link;
      const root = await folderWith({ ...VTAB_FILES, 'val200.txt': `images/c.png 1\n${listed} 0` });
      await symlink(target, join(root, link));
      await expect(openDataset(root, { seed: 1 })).rejects.toMatchObject(
        refusal('data.list.passed-over', `val200.txt:2: ${link} ${reason}`),
      );
    }
  });
});
