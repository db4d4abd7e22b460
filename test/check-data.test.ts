/** `idat data check`: each thing that can be wrong with a data set is counted and named. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkData, fineTune, type Progress } from '../src/index.js';
import { randomStream } from '../src/random.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

const idat = (...args: string[]) =>
  new Promise<{ code: number; stdout: string }>((done) =>
    execFile(process.execPath, [main, 'data', 'check', ...args], { cwd: root }, (error, stdout) =>
      done({ code: error ? Number(error.code) : 0, stdout }),
    ),
  );

/** A picture of its own for each seed: three discs on a ground. */
function scene(seed: number, width = 40, height = 32) {
  const random = randomStream(seed, 'scene');
  const colour = () => `rgb(${random.below(256)},${random.below(256)},${random.below(256)})`;
  const disc = () =>
    `<circle cx="${random.below(40)}" cy="${random.below(32)}" r="${4 + random.below(12)}" fill="${colour()}"/>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="32"><rect width="40" height="32" fill="${colour()}"/>${disc()}${disc()}${disc()}</svg>`;
  return sharp(Buffer.from(svg)).resize(width, height).removeAlpha();
}

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

/** Four pictures to train, two to validate, four to test on, of two classes; `more` is added to the lists. */
async function listed(
  name: string,
  more: Partial<Record<'train800' | 'val200' | 'train800val200' | 'test', string>> = {},
): Promise<string> {
  for (let i = 0; i < 10; i++) write(`${name}/images/${i}.png`, await scene(i).png().toBuffer());
  const lists = { train800: [0, 1, 2, 3], val200: [4, 5], train800val200: [0, 1, 2, 3, 4, 5], test: [6, 7, 8, 9] };
  for (const [list, images] of Object.entries(lists)) {
    const lines = images.map((i) => `images/${i}.png ${i % 2}\n`).join('');
    write(`${name}/${list}.txt`, lines + (more[list as keyof typeof lists] ?? ''));
  }
  write(`${name}/classes.txt`, 'even\nodd\n');
  return join(root, name);
}

const texts = ({ findings }: Awaited<ReturnType<typeof checkData>>) =>
  findings.map(({ severity, text }) => `${severity}: ${text}`);

describe('checkData', () => {
  it('finds nothing wrong where nothing is', async () => {
    const found = await checkData(await listed('good'));
    expect(texts(found)).toEqual([]);
    expect(found).toMatchObject({ kind: 'vtab', classes: ['even', 'odd'], task: null, missing: { count: 0 } });
    expect(found.splits.test).toMatchObject({ images: 4, unreadable: 0, perClass: [2, 2] });
    expect(found.sizes).toMatchObject({ width: { lowest: 40, highest: 40 }, height: { median: 32 } });
    expect(found.compared.map(({ training, measured }) => `${training}/${measured}`)).toEqual([
      'train/val',
      'trainval/test',
    ]);
  });

  it('counts lines that name no file, labels that no class has, and lines that are none, and goes on', async () => {
    const found = await checkData(
      await listed('lines', {
        train800: 'images/gone.png 0\nimages/away.png 1\nimages/0.png 2\nimages/1.png -1\nnonsense\n',
        test: 'images/lost.png 0\n../outside.png 1\n',
      }),
    );
    expect(found.missing).toEqual({
      count: 3,
      examples: [
        expect.stringMatching(/lines.train800\.txt:5: there is no file "images\/gone\.png"/),
        expect.stringMatching(/train800\.txt:6: .*away/),
        expect.stringMatching(/test\.txt:5: .*lost/),
      ],
    });
    expect(found.labelsOutOfRange).toMatchObject({
      count: 2,
      examples: [expect.stringMatching(/:7: .*from 0 to 1 .*got "2"/), expect.anything()],
    });
    expect(found.brokenLines).toMatchObject({ count: 2 });
    expect(found.splits.train.images).toBe(4);
    expect(texts(found).filter((text) => text.startsWith('error: '))).toHaveLength(3);
  });

  it('tells what lies in train and test by content, what is alike, and what has two labels', async () => {
    const dir = await listed('twice', {
      test: 'images/copy.png 0\nimages/packed.png 0\nimages/saved.jpg 1\nimages/other.png 0\n',
    });
    const place = (file: string, bytes: Uint8Array) => write(`twice/images/${file}`, bytes);
    place('copy.png', readFileSync(join(dir, 'images/0.png')));
    place('packed.png', await scene(2).png({ compressionLevel: 0 }).toBuffer());
    place('saved.jpg', await scene(3).jpeg({ quality: 85, chromaSubsampling: '4:4:4' }).toBuffer());
    place('other.png', readFileSync(join(dir, 'images/1.png'))); // as 1.png, which is odd
    const found = await checkData(dir);
    const { overlap } = found.compared.find(({ measured }) => measured === 'test')!;
    expect([overlap.sameFile.count, overlap.samePixels.count, overlap.alike.count]).toEqual([2, 1, 1]);
    expect(found.contradicting).toEqual({ count: 1, examples: ['images/1.png and images/other.png'] });
    expect(found.repeated.count).toBe(2);
    const [first, ...others] = texts(found);
    expect(first).toMatch(/^error: 1 picture lies there under several labels/);
    expect(others.join('\n')).toMatch(/^error: 2 of 8 test images are training images byte for byte/m);
    expect(others.join('\n')).toMatch(/^warning: 1 of 8 test images look almost like/m);
  });

  it('counts what cannot be read, and leaves it out of the classes', async () => {
    const dir = await listed('broken');
    truncateSync(join(dir, 'images/6.png'), 60);
    write('broken/images/8.png', 'no image');
    const found = await checkData(dir);
    expect(found.unreadable.count).toBe(2);
    expect(found.unreadable.examples.join()).toMatch(/images\/8\.png: not a JPEG/);
    expect(found.splits.test).toMatchObject({ images: 2, unreadable: 2, perClass: [0, 2] });
    expect(texts(found)).toEqual([
      expect.stringMatching(/^error: 2 images cannot be read/),
      expect.stringMatching(/^warning: 1 of 2 classes has no test images that can be read: even/),
    ]);
  });

  it('tells when the list of all training images is not the two lists', async () => {
    const found = await checkData(await listed('unequal', { train800val200: 'images/9.png 1\n' }));
    expect(texts(found)[0]).toMatch(/^error: the list of train and val together is not the two lists: 1 images/);
  });

  it('recognises a task by all that it is, and warns of what is only called so', async () => {
    expect(texts(await checkData(await listed('vtab/cifar')))).toEqual([
      'warning: called as vtab/cifar100, but has 6 + 4 images of 2 classes where that has 1000 + 10000 of 100',
    ]);
  });

  it('has the fingerprints that a run records', async () => {
    const data = await makeImageFolder(root);
    await fineTune({ ...settings(data, join(root, 'run')), teacher: null, epochs: 1, protocol: 'val' });
    const { fingerprints } = JSON.parse(readFileSync(join(root, 'run', 'config.json'), 'utf8')).data;
    const { splits } = await checkData(data);
    expect(Object.keys(fingerprints).sort()).toEqual(['test', 'train', 'trainval', 'val']);
    for (const split of ['train', 'val', 'trainval', 'test'] as const)
      expect(splits[split].fingerprint).toBe(fingerprints[split]);
    const other = await checkData(data, { splitSeed: 7 });
    expect(other.splits.test.fingerprint).not.toBe(fingerprints.test);
  });

  it('stops when asked to', async () => {
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    await expect(checkData(await listed('good'), { signal: stop.signal })).rejects.toThrow('enough');
  });
});

describe('a training', () => {
  it.each([
    [
      'clean',
      undefined,
      /^Checked: none of 4 test images is among the 6 of trainval, by file, pixels or looks; every class has/,
    ],
    ['same', 'images/0.png 0\n', /^1 of 5 test images are training images byte for byte/],
  ])('says in a sentence what the fast part of it found: %s', async (name, test, sentence) => {
    const notes: string[] = [];
    const onProgress = (event: Progress) => event.kind === 'note' && notes.push(event.text);
    const data = await listed(name, test === undefined ? {} : { test });
    await fineTune(
      { ...settings(data, join(root, `run-${name}`)), teacher: null, epochs: 1, batchSize: 2, microBatch: 2 },
      { onProgress },
    );
    expect(notes.filter((text) => sentence.test(text))).toHaveLength(1);
    expect(notes.filter((text) => /^Checked/.test(text))).toHaveLength(test === undefined ? 1 : 0);
  });
});

describe('idat data check', () => {
  beforeAll(async () => {
    await listed('fine');
    await listed('wrong', { train800: 'images/gone.png 0\n' });
  });
  it('prints what it is in 80 columns, and ends well', async () => {
    const { code, stdout } = await idat('fine');
    expect(code).toBe(0);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(stdout).toMatch(/^trainval +6 +0 +2 +3 +[0-9a-f]{16}$/m);
    expect(stdout).toMatch(/^40×32 pixels, all$/m);
    expect(stdout).toMatch(/^Nothing is wrong with it/m);
  });
  it('ends with 1 where something is wrong, and says what', async () => {
    const { code, stdout } = await idat('wrong');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^error: 1 line of a list names an image that is not there, such as:/m);
  });
  it('prints JSON', async () => {
    const { stdout } = await idat('fine', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'vtab', findings: [], splits: { train: { perClass: [2, 2] } } });
  });
});
