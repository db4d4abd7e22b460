import { describe, expect, test } from 'vitest';
import type { ImageItem } from './dataset.js';
import type { ImageLists, LabelledImage } from './memory-dataset.js';
import { readImageLists, readTestLists } from './memory-dataset.js';

type Lists = ImageLists<number>;
const read = async () => new Uint8Array();
const open = (image: number, at: string) =>
  image < 0 ? { problem: 'it is below 0' } : { name: `${at} is ${image}`, read };
const labelled = (count: number, label: string | number): LabelledImage<number>[] =>
  Array.from({ length: count }, (_, image) => ({ image, label }));
const pets = (more: Partial<Lists> = {}): Lists => ({
  classes: ['cat', 'dog'],
  train: [...labelled(10, 'dog'), ...labelled(15, 0)],
  ...more,
});
const layoutOf = (lists: Lists) => readImageLists(lists, open, { seed: 1 });
const places = (items: readonly ImageItem[]) => items.map(({ key }) => key);

describe('lists of images', () => {
  test('become splits, labels by name or by index, each image known by its place', () => {
    const layout = layoutOf(pets({ val: labelled(2, 'cat'), test: labelled(3, 1) }));
    expect(layout.kind).toBe('memory');
    expect(layout.classes).toEqual(['cat', 'dog']);
    // by class, as folders are
    expect(layout.train.map(({ label }) => label)).toEqual([...Array(15).fill(0), ...Array(10).fill(1)]);
    expect(places(layout.train)[0]).toBe('train[10]');
    expect(layout.train[0]!.name).toBe('train[10] is 0');
    expect(layout.val.map(({ key, label }) => [key, label])).toEqual([
      ['val[0]', 0],
      ['val[1]', 0],
    ]);
    expect(layout.test.map(({ label }) => label)).toEqual([1, 1, 1]);
    expect(layout.trainval).toEqual([...layout.train, ...layout.val]);
    expect(layout.note).toBe('Splits as the data set has them: 25 train, 2 val, 3 test.');
  });

  test.each<[string, Partial<Lists>, string, number[]]>([
    [
      'neither',
      {},
      'The data set has no splits; idat made them (seed 1, stratified by class, 20 % test, 20 % of the rest val): 16 train, 4 val, 5 test.',
      [16, 4, 5],
    ],
    [
      'val',
      { val: labelled(2, 0) },
      'val is what is measured on (test), for want of a test with classes; val split from train by idat (seed 1, stratified by class, 20 %): 20 train, 5 val, 2 test.',
      [20, 5, 2],
    ],
    [
      'test',
      { test: labelled(2, 0) },
      'test as the data set has it, val split from train by idat (seed 1, stratified by class, 20 %): 20 train, 5 val, 2 test.',
      [20, 5, 2],
    ],
  ])(
    'given with %s besides train, what is missing is set aside, by class, and val is measured on where there is no test',
    (_, given, note, counts) => {
      const layout = layoutOf(pets(given));
      const { train, val, test: held } = layout;
      expect(layout.note).toBe(note);
      expect([train.length, val.length, held.length]).toEqual(counts);
      const own = [...train, ...val, ...held].filter(({ key }) => key!.startsWith('train'));
      expect(new Set(places(own)).size).toBe(25);
      expect(layoutOf(pets(given))).toEqual(layout);
      if (!given.test && !given.val)
        expect(places(readImageLists(pets(given), open, { seed: 2 }).test)).not.toEqual(places(held));
    },
  );

  test('to test on need no others', () => {
    const layout = readTestLists({ classes: ['cat', 'dog'], test: labelled(3, 'dog') }, open);
    expect(layout.test.map(({ key, label }) => [key, label])).toEqual([0, 1, 2].map((i) => [`test[${i}]`, 1]));
    expect([layout.train, layout.val, layout.trainval]).toEqual([[], [], []]);
    expect(() => readTestLists({ classes: ['cat', 'dog'], test: [] }, open)).toThrow('(memory): test has no images');
  });
});

const odd = (lists: unknown) => lists as Lists;
const withLabel = (label: unknown) =>
  odd({
    ...pets(),
    val: [
      { image: 1, label: 0 },
      { image: 1, label },
    ],
  });

test.each<[string, Lists, string, (string | number)[]]>([
  [
    'data.label.unknown',
    withLabel('dgo'),
    '(memory): val[1]: there is no class "dgo"; did you mean dog or cat?',
    ['val', 1, 'label'],
  ],
  ['data.label.unknown', withLabel('0'), 'there is no class "0"', ['val', 1, 'label']],
  ['data.label.range', withLabel(2), 'val[1]: expected a label from 0 to 1, got 2', ['val', 1, 'label']],
  ['data.label.range', withLabel(-1), 'got -1', ['val', 1, 'label']],
  ['data.label.range', withLabel(0.5), 'got 0.5', ['val', 1, 'label']],
  ['data.label.range', withLabel(Number.NaN), 'got NaN', ['val', 1, 'label']],
  [
    'data.label',
    withLabel(undefined),
    'val[1]: expected the name of a class or its index as label, got undefined',
    ['val', 1, 'label'],
  ],
  ['data.label', odd({ ...pets(), test: [null] }), 'test[0]: expected the name', ['test', 0, 'label']],
  [
    'data.image',
    pets({ train: labelled(3, 0).concat({ image: -1, label: 0 }) }),
    'train[3]: it is below 0',
    ['train', 3, 'image'],
  ],
  ['data.classes.empty', pets({ classes: [] }), 'there are no classes', ['classes']],
  ['data.classes.empty', pets({ classes: ['cat', ''] }), 'classes[1] is no name', ['classes', 1]],
  ['data.classes.empty', odd({ ...pets(), classes: ['cat', 7] }), 'classes[1] is no name', ['classes', 1]],
  ['data.classes.twice', pets({ classes: ['cat', 'dog', 'cat'] }), 'there are two classes cat', ['classes', 2]],
  ['data.one-class', pets({ classes: ['cat'] }), 'there is one class only (cat)', ['classes']],
  [
    'data.class.empty',
    pets({ classes: ['cat', 'dog', 'newt'] }),
    'train has no image of the class newt',
    ['classes', 2],
  ],
  ['data.empty', pets({ train: [] }), 'train has no images; add some', ['train']],
  ['data.empty', pets({ val: [] }), 'val has no images; add some, or leave it out', ['val']],
  ['data.lists', odd({}), 'expected { classes: names, train: [{ image, label }, …] }, got no classes', ['classes']],
  ['data.lists', odd({ classes: ['cat', 'dog'] }), 'expected train: [{ image, label }, …], got none', ['train']],
  ['data.lists', odd({ ...pets(), test: 'pets/' }), 'expected test: [{ image, label }, …]', ['test']],
  ['data.name', pets({ name: '../pets' }), 'expected a name that a folder may have', ['name']],
  ['data.name', pets({ name: '..' }), 'expected a name that a folder may have', ['name']],
  ['data.name', pets({ name: '' }), 'expected a name that a folder may have', ['name']],
])('%s: refused, naming the place', (code, lists, message, path) => {
  const issue = { path: ['data', ...path], code: code.replace('data.', ''), message: expect.any(String) };
  let error: unknown;
  try {
    layoutOf(lists);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ name: 'IdatError', code, message: expect.stringContaining(message), issues: [issue] });
});

test('too few images to set some aside are told, with the name the data set has', () => {
  const lists = { name: 'pets', classes: ['cat', 'dog'], train: [...labelled(1, 0), ...labelled(1, 1)] };
  expect(() => layoutOf(lists)).toThrow('pets (memory): too few images to set some aside for val');
});
