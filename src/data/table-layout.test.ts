import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCsv } from './csv.js';
import type { ImageItem } from './dataset.js';
import { openDataset } from './node/open.js';
import { namesOf, openForTest, refusal } from './testing/dataset.js';
import { dot, folderWith, imageFolder } from './testing/folder.js';

describe('rows', () => {
  test('what was written is what is read, quotes and line ends within fields included', () => {
    const field = fc.string({ unit: fc.constantFrom('a', ' b', ',', '"', '\n', ';', 'é'), maxLength: 6 });
    const rows = fc.array(fc.tuple(fc.constant('x'), field, field), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(rows, fc.constantFrom(',', '\t'), fc.constantFrom('\n', '\r\n'), (values, separator, end) => {
        const quoted = (value: string) => `"${value.replaceAll('"', '""')}"`;
        const header = ['h', 'i', 'j'].join(separator);
        const text = `\uFEFF${[header, ...values.map((row) => row.map(quoted).join(separator))].join(end)}`;
        const read = parseCsv(text).slice(1);
        expect(read.map(({ fields }) => fields)).toEqual(values.map((row) => row.map((value) => value.trim())));
      }),
    );
  });

  test('lines are those of the file', () => {
    expect(parseCsv('a;b\n\n"x\ny";2\r\nz;3').map(({ line }) => line)).toEqual([1, 3, 5]);
    expect(() => parseCsv('a,b\n"x,2\n')).toThrow('line 2: a quoted field has no end');
  });
});

const classOf = (classes: string[], items: ImageItem[]) =>
  Object.fromEntries(items.map(({ name, label }) => [name, classes[label]]));
/** Twelve pictures, six of each class. */
const pictures = (prefix = '', extension = '.png') =>
  Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`${prefix}${i}${extension}`, dot(i)]));
const rows = (name: (i: number) => string, separator = ',') =>
  Array.from({ length: 12 }, (_, i) => `${name(i)}${separator}${i % 2 ? 'dog' : 'red fox'}`).join('\n');

describe('one table', () => {
  test.each<[string, Record<string, string | Uint8Array>]>([
    ['names and labels with a header', { ...pictures(), 'labels.csv': `filename,label\n${rows((i) => `${i}.png`)}` }],
    ['without header', { ...pictures(), 'labels.csv': rows((i) => `${i}.png`) }],
    ['ids, as Kaggle has them', { ...pictures('train/'), 'train.csv': `id,breed\n${rows(String)}` }],
    ['paths', { ...pictures('images/'), 'labels.csv': `path,y\n${rows((i) => `images/${i}.png`)}` }],
    ['names of files in a folder', { ...pictures('img/a/'), 'labels.csv': `image,class\n${rows((i) => `${i}.png`)}` }],
    ['tabs', { ...pictures(), 'labels.tsv': `file\tlabel\n${rows((i) => `${i}.png`, '\t')}` }],
    ['semicolons and quotes', { ...pictures(), 'x.csv': `"file";"label"\n${rows((i) => `"${i}.png"`, ';')}` }],
    ['more columns', { ...pictures(), 'x.csv': `n,file,label\n${rows((i) => `7,./${i}.png`)}` }],
    ['below one folder', { ...pictures('pets/images/'), 'pets/labels.csv': rows((i) => `${i}.png`) }],
  ])('%s', async (_, files) => {
    const { classes, trainval, test: held, note } = await openForTest(await folderWith(files));
    expect(classes).toEqual(['dog', 'red fox']);
    const all = classOf(classes, [...trainval, ...held]);
    expect(Object.keys(all)).toHaveLength(12);
    for (const [name, label] of Object.entries(all)) {
      expect(label).toBe(Number(/(\d+)\.png$/.exec(name)![1]) % 2 ? 'dog' : 'red fox');
    }
    expect(note).toMatch(/^The data set has no splits; .*: 8 train, 2 val, 2 test\. Labels from [a-z]+\.[ct]sv\.$/);
    for (const { name, read } of trainval) expect(await read()).toEqual(dot(Number(/(\d+)\.png$/.exec(name)![1])));
  });

  test('a column of splits; numbers in their order; images it does not list', async () => {
    const table = Array.from(
      { length: 11 },
      (_, i) => `${i}.png,${i % 3 ? 10 : 9},${['train', 'valid', 'test'][Math.floor(i / 5)]}`,
    );
    const dataset = await openForTest(
      await folderWith({ ...pictures(), 'labels.csv': ['image,label,split', ...table].join('\n') }),
    );
    expect(dataset.classes).toEqual(['9', '10']);
    expect(dataset.note).toBe(
      'Splits as the data set’s table has them: 5 train, 5 val, 1 test. Labels from labels.csv. 1 image is in no table with labels.',
    );
  });
});

test('train.csv and test.csv; ids that both have are those of their folder', async () => {
  const files = { ...pictures('train_images/'), ...pictures('test_images/'), 'train.csv': `id,label\n${rows(String)}` };
  const both = await openForTest(await folderWith({ ...files, 'test.csv': 'id,label\n0,dog\n1,dog' }));
  expect(namesOf(both.test)).toEqual(['test_images/0.png', 'test_images/1.png']);
  expect(both.note).toBe(
    'test.csv as the data set has it, val split from train.csv by idat (seed 1, stratified by class, 20 %): 10 train, 2 val, 2 test. Labels from test.csv, train.csv. 10 images are in no table with labels.',
  );
  const competition = { ...files, 'test.csv': 'id\n0\n1', 'sample_submission.csv': 'id,label\n0,dog' };
  const unnamed = await openForTest(await folderWith(competition));
  expect([unnamed.train.length, unnamed.val.length, unnamed.test.length]).toEqual([8, 2, 2]);
  expect(namesOf(unnamed.test).every((name) => name.startsWith('train_images/'))).toBe(true);
});

test('beside class folders a table is not read, and said', async () => {
  const files = { ...imageFolder({ cat: 5, dog: 5 }), 'labels.csv': 'file,label\ncat/00.png,eel' };
  const dataset = await openForTest(await folderWith(files));
  expect(dataset.classes).toEqual(['cat', 'dog']);
  expect(dataset.note).toMatch(/ Not read: labels\.csv; the folders say what the classes are\.$/);
});

test.each<[string, string, string]>([
  ['data.table.missing-image', 'labels.csv:3: there is no image "99.png"', 'file,label\n1.png,a\n99.png,b'],
  ['data.table.label', 'labels.csv:3: has no label', 'file,label\n1.png,a\n2.png,'],
  ['data.table.twice', 'labels.csv:3: 1.png has another label in line 2', 'file,label\n1.png,a\n1.png,b\n2.png,b'],
  ['data.table.columns', 'It has file, x, y; call one "label"', 'file,x,y\n1.png,1,7\n2.png,0,1'],
  ['data.table.split', 'labels.csv:2: expected train, val or test, got "holdout"', 'file,label,split\n1.png,a,holdout'],
  ['data.table.which', 'its tables name images but have no labels', 'file\n1.png\n2.png'],
  ['data.table.unmatched', 'labels.csv: no column of it names images', 'file,label\nx,a\ny,b'],
  ['data.table.broken', 'labels.csv: line 2: a quoted field has no end', 'file,label\n"1.png,a\n'],
  ['data.one-class', 'found one class only (a)', 'file,label\n1.png,a\n2.png,a'],
])('%s: %s', async (code, message, table) => {
  const root = await folderWith({ ...pictures(), 'labels.csv': table });
  await expect(openDataset(root, { seed: 1 })).rejects.toMatchObject(refusal(code, message));
});

describe('several labels for an image are refused, in a sentence that says why', () => {
  const said = 'idat trains single-label classifiers';
  const one = (line: number, image: string, labels: string) =>
    `labels.csv:${line}: ${image} has several labels (${labels}); ${said}`;
  test.each<[string, string, string]>([
    ['a bar', one(3, '2.png', 'cat, dog'), 'file,label\n1.png,cat\n2.png,cat|dog\n3.png,dog'],
    [
      'a comma in a quoted cell',
      one(3, '2.png', 'cat, dog'),
      'file,label\n1.png,cat\n2.png,"cat,dog"\n3.png,"bird, dog"',
    ],
    [
      'combinations alone',
      one(2, '1.png', 'cat, dog'),
      'file,label\n1.png,"cat,dog"\n2.png,"dog,eel"\n3.png,"eel,cat"',
    ],
    ['semicolons', one(4, '3.png', 'a, b'), 'file,label\n1.png,a\n2.png,b\n3.png,a;b'],
    [
      'blanks',
      one(2, '1.png', 'haze, primary'),
      'file,tags\n1.png,haze primary\n2.png,clear haze primary\n3.png,primary',
    ],
    ['a list', one(2, '1.png', 'cat, dog'), "file,label\n1.png,\"['cat', 'dog']\"\n2.png,x"],
    ['numbers', one(3, '2.png', '0, 1'), 'file,label\n1.png,0\n2.png,"0,1"\n3.png,1'],
    ['two rows', `1.png has another label in line 2; ${said}`, 'file,label\n1.png,a\n1.png,b\n2.png,b'],
    [
      'a column for each',
      `yes or no for each class (cat, dog); ${said}`,
      'file,cat,dog\n1.png,1,0\n2.png,1,1\n3.png,0,1',
    ],
    ['without a header', `(column 2, column 3, column 4); ${said}`, '1.png,1,0,0\n2.png,0,1,0\n3.png,0,0,1'],
    ['six of them', '(a, b, c, d, e, …); ', 'file,a,b,c,d,e,f\n1.png,1,-1,1,1,1,1\n2.png,-1,1,1,1,1,1'],
  ])('%s', async (_, message, table) => {
    const root = await folderWith({ ...pictures(), 'labels.csv': table });
    const refused = openDataset(root, { seed: 1 });
    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining(message) });
    await expect(refused).rejects.toMatchObject({ message: expect.stringMatching(/^[^\n]*single-label[^\n]*$/) });
  });

  test.each([
    [
      'names with commas',
      ['maillot', 'maillot, tank suit', 'goldfish, Carassius auratus', 'Bulldog, French', 'Bulldog, old'],
    ],
    ['names with blanks', ['red fox', 'fox', 'great white shark', 'white shark']],
    ['semicolons and colons', ['a;1', 'b;2', 'c: d']],
  ])('but not %s', async (_, labels) => {
    const lines = Array.from({ length: 12 }, (_, i) => `${i}.png,"${labels[i % labels.length]}"`);
    const { classes } = await openForTest(
      await folderWith({ ...pictures(), 'x.csv': ['f,label', ...lines].join('\n') }),
    );
    expect(classes).toEqual([...labels].sort());
  });
});
