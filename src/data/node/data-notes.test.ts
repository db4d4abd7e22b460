import sharp from 'sharp';
import { expect, onTestFinished, test } from 'vitest';
import { randomStream } from '../../random.js';
import { compareSplits, dataNotes, noteAfterReading, type ReadSplits } from '../data-notes.js';
import type { ImageItem } from '../dataset.js';
import { findOverlap } from '../overlap.js';
import { dot } from '../testing/folder.js';
import { describeWithShared, sharedPath } from '../testing/shared.js';
import { openDataset } from './open.js';
import { loadPixels } from './pixels.js';

/** A picture with shapes of its own: a few discs on a ground. */
function scene(seed: number) {
  const random = randomStream(seed, 'scene');
  const colour = () => `rgb(${random.below(256)},${random.below(256)},${random.below(256)})`;
  const discs = Array.from(
    { length: 6 },
    () => `<circle cx="${random.below(96)}" cy="${random.below(72)}" r="${6 + random.below(24)}" fill="${colour()}"/>`,
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="96" height="72"><rect width="96" height="72" fill="${colour()}"/>${discs.join('')}</svg>`;
  return sharp(Buffer.from(svg)).removeAlpha();
}

const png = (seed: number) => scene(seed).png().toBuffer();
const jpeg = (seed: number, quality = 75) => scene(seed).jpeg({ quality }).toBuffer();

async function store(files: Record<string, [label: number, bytes: Uint8Array]>) {
  const items: ImageItem[] = Object.entries(files).map(([name, [label, bytes]]) => ({
    name,
    label,
    read: async () => bytes,
  }));
  const loaded = await loadPixels(items, { size: 32, orient: false, strict: false, cacheDir: null });
  onTestFinished(() => loaded.close());
  return loaded;
}

const notesOf = async (classes: string[], splits: ReadSplits) =>
  dataNotes(classes, splits, await compareSplits(splits));

test('each measured image is counted once, as the same file, the same pixels or alike', async () => {
  const [one, two] = [await png(1), await png(2)];
  const training = await store({
    'a.png': [0, one],
    'b.png': [0, two],
    'c.png': [1, await png(3)],
    'd.png': [1, await png(4)],
  });
  const measured = await store({
    'copy.png': [0, one],
    'packed.png': [0, await scene(2).png({ compressionLevel: 0 }).toBuffer()],
    'saved.jpg': [1, await jpeg(3)],
    'smaller.jpg': [1, await scene(4).resize(64, 48).jpeg({ quality: 85 }).toBuffer()],
    'other.png': [1, await png(5)],
    'white.png': [0, dot(255)],
  });
  expect(await findOverlap(training, measured)).toEqual({
    measured: 6,
    whole: true,
    sameFile: { count: 1, example: ['copy.png', 'a.png'] },
    samePixels: { count: 1, example: ['packed.png', 'b.png'] },
    alike: { count: 2, example: ['saved.jpg', 'c.png'] },
  });
  const notes = await notesOf(['cat', 'dog', 'eel'], { trainval: training, test: measured });
  expect(notes.map(({ code, text }) => `${code}: ${text}`)).toEqual([
    'data.classes: 1 of 3 classes has no training images that can be read: eel',
    'data.overlap: 1 of 6 test images are training images byte for byte (such as copy.png and a.png); what is measured on them is memory, take them out of one of the two',
    'data.overlap: 1 of 6 test images have the pixels of training images (such as packed.png and b.png); what is measured on them is memory, take them out of one of the two',
    'data.alike: 2 of 6 test images look almost like training images (such as saved.jpg and c.png); where it is one picture, take it out of one',
  ]);
});

test('two hundred different pictures are not alike, nor is val compared with what holds it', async () => {
  const pictures = async (from: number) => {
    const files: Record<string, [number, Uint8Array]> = {};
    for (let i = from; i < from + 100; i++) files[`${i}.png`] = [i % 2, await png(i)];
    return files;
  };
  const [train, test_] = [await pictures(0), await pictures(100)];
  const [trainStore, testStore] = [await store(train), await store(test_)];
  expect(await notesOf(['a', 'b'], { train: trainStore, test: testStore })).toEqual([
    {
      code: 'data.checked',
      text: 'Checked: none of 100 test images is among the 100 of train, by file, pixels or looks; every class has images to learn from and to be tested on.',
    },
  ]);
  const trainval = await store({ ...train, ...test_ });
  expect(await notesOf(['a', 'b'], { trainval, val: testStore })).toEqual([]); // nothing to compare
});

test('labels counted from 1 leave class 0 empty, which is said', async () => {
  const train = await store({ 'a.png': [1, dot(1)], 'b.png': [2, dot(2)] });
  expect(await notesOf(['0', '1', '2'], { train })).toEqual([
    {
      code: 'data.classes',
      text: '1 of 3 classes has no training images that can be read: 0; labels are counted from 0',
    },
  ]);
});

test('the note has the counts that are left', async () => {
  const train = await store({ 'a.png': [0, dot(1)], 'b.png': [1, Buffer.from('x')], 'c.png': [1, dot(2)] });
  const clean = await store({ 'd.png': [0, dot(1)] });
  expect(noteAfterReading('Three train, 1 test.', { train, test: clean })).toBe(
    'Three train, 1 test. 1 image could not be read; used: 2 train, 1 test.',
  );
  expect(noteAfterReading('One.', { test: clean })).toBe('One.');
});

describeWithShared('published splits have almost no such pairs, whatever their pictures', () => {
  // grey, drawn, of many classes, of few: the other tasks' pictures are of these kinds
  test.each(['elpv', 'dsprites_loc', 'caltech101', 'bloodcells'])('%s', async (task) => {
    const dataset = await openDataset(sharedPath(`data/${task}.zip`), { seed: 1 });
    onTestFinished(() => dataset.close());
    const load = (items: ImageItem[]) => loadPixels(items, { size: 64, orient: false, strict: false, cacheDir: null });
    const [training, measured] = [await load(dataset.trainval), await load(dataset.test)];
    const { sameFile, samePixels, alike } = await findOverlap(training, measured);
    expect([sameFile.count, samePixels.count]).toEqual([0, 0]);
    expect(alike.count).toBeLessThanOrEqual(8);
  });
});
