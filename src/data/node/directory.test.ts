import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { namesOf, openForTest, refusal } from '../testing/dataset.js';
import { dot, folderWith, imageFolder, temporaryFolder } from '../testing/folder.js';
import { openDirectory } from './directory.js';

/** Folders that answer as if others owned them: the tests may run as root, who may read all. */
const locked = vi.hoisted(() => new Set<string>());
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const readdir = ((path: string, options: never) =>
    locked.has(String(path))
      ? Promise.reject(Object.assign(new Error('EACCES'), { code: 'EACCES' }))
      : real.readdir(path, options)) as typeof real.readdir;
  return { ...real, readdir };
});

const filesIn = async (root: string) => [...(await openDirectory(root)).files].sort();

describe('links', () => {
  test('a data set of links to pictures elsewhere is one, and says so', async () => {
    const store = await folderWith(imageFolder({ cat: 6, dog: 6 }));
    const root = await folderWith({ 'cat/': '' });
    for (let i = 0; i < 6; i++) await symlink(join(store, `cat/0${i}.png`), join(root, `cat/${i}.png`));
    await symlink(join(store, 'dog'), join(root, 'dog'));
    const dataset = await openForTest(root);
    expect(dataset.classes).toEqual(['cat', 'dog']);
    expect(dataset.trainval.length + dataset.test.length).toBe(12);
    expect(dataset.note).toMatch(/\. 12 images lie outside the folder, behind links\.$/);
    for (const { name, read } of dataset.train) expect(await read()).toEqual(dot(Number(/(\d+)\.png$/.exec(name)![1])));
  });

  test('to nothing, to no picture and to what holds the data set are passed over', async () => {
    const root = await folderWith(imageFolder({ cat: 5, dog: 5 }));
    await symlink('/nowhere/readme', join(root, 'README.txt'));
    await symlink('/etc/passwd', join(root, 'cat/notes.txt'));
    await symlink('/', join(root, 'cat/all'));
    await symlink('..', join(root, 'cat/up'));
    await symlink('/proc', join(root, 'cat/proc'));
    const tree = await openDirectory(root);
    expect(tree.files.size).toBe(10);
    expect(Object.fromEntries(tree.passedOver)).toEqual({
      'README.txt': 'dangling',
      'cat/notes.txt': 'outside',
      'cat/all': 'loop',
      'cat/up': 'loop',
      'cat/proc': 'outside',
    });
    expect((await openForTest(root)).note).toMatch(
      / Left out: 2 files that are no images idat reads \(1 \.txt, 1 no extension\); 1 link to nothing \(README\.txt\)\.$/,
    );
  });

  test('in circles end, however they are knotted', async () => {
    const names = Array.from({ length: 7 }, (_, i) => `n${i}`);
    const root = await folderWith(Object.fromEntries(names.map((name) => [`${name}/a.png`, dot()])));
    for (const from of names) for (const to of names) await symlink(`../${to}`, join(root, from, to));
    const { files } = await openDirectory(root);
    expect(files.size).toBeGreaterThanOrEqual(7);
    expect(files.size).toBeLessThan(100);
  });
});

test('run directories of idat among the pictures are passed over', async () => {
  const run = { 'config.json': JSON.stringify({ format: 'idat-run-1' }), 'seen/a.png': dot() };
  const files = imageFolder({ cat: 5, dog: 5 });
  for (const [name, content] of Object.entries(run)) files[`runs/cat-1/${name}`] = Buffer.from(content);
  for (const [name, content] of Object.entries(run)) files[`dog/out/${name}`] = Buffer.from(content);
  const dataset = await openForTest(await folderWith({ ...files, 'cat/config.json': '{"format":"other"}' }));
  expect(dataset.classes).toEqual(['cat', 'dog']);
  expect(dataset.trainval.length + dataset.test.length).toBe(10);
  expect(dataset.note).toMatch(
    / Left out: 1 file that is no image idat reads \(\.json\); 2 run directories of idat \(such as dog\/out\)\.$/,
  );
});

describe('folders that may not be read', () => {
  const lock = (path: string) => {
    locked.add(path);
    onTestFinished(() => void locked.delete(path));
  };

  test('are counted below a class, refused as a class', async () => {
    const root = await folderWith({ ...imageFolder({ cat: 5, dog: 5 }), 'cat/private/a.png': dot() });
    lock(join(root, 'cat/private'));
    const dataset = await openForTest(root);
    expect(dataset.note).toMatch(/ Left out: 1 folder that may not be read \(cat\/private\)\.$/);
    lock(join(root, 'dog'));
    await expect(openForTest(root)).rejects.toMatchObject(
      refusal('data.path.unreadable', '/dog: cannot list this folder; check its permissions'),
    );
    lock(root);
    await expect(openForTest(root)).rejects.toMatchObject(refusal('data.path.unreadable', '(EACCES)'));
  });
});

describe('names', () => {
  const latin1 = (...parts: string[]) => Buffer.from(join(...parts), 'latin1');

  test('that are no UTF-8 are read and shown with escapes', async () => {
    const root = await folderWith(imageFolder({ cat: 5, dog: 5 }));
    await rename(join(root, 'cat/00.png'), latin1(root, 'cat/caf\xe9.png'));
    await rename(join(root, 'dog'), latin1(root, 'caf\xe9'));
    const dataset = await openForTest(root);
    expect(dataset.classes).toEqual(['caf\\xE9', 'cat']);
    const all = [...dataset.trainval, ...dataset.test];
    expect(namesOf(all)).toContain('cat/caf\\xE9.png');
    expect(namesOf(all)).toContain('caf\\xE9/00.png');
    expect(await Promise.all(all.map(({ read }) => read()))).toHaveLength(10);
  });

  test('composed and decomposed are one', async () => {
    const [composed, decomposed] = ['caf\u00e9', 'cafe\u0301'];
    const root = await temporaryFolder();
    for (const [folder, name] of [
      [composed, 'a.png'],
      [decomposed, 'b.png'],
      ['dog', `${composed}.png`],
      ['dog', `${decomposed}.png`],
      ['dog', 'c.png'],
    ] as const) {
      await mkdir(join(root, folder), { recursive: true });
      await writeFile(join(root, folder, name), dot(name.length));
    }
    expect(await filesIn(root)).toEqual([
      `${composed}/a.png`,
      `${composed}/b.png`,
      'dog/c.png',
      `dog/${decomposed}.png`,
      `dog/${composed}.png`,
    ]);
    const tree = await openDirectory(root);
    for (const file of tree.files) {
      expect(await tree.read(file, 1e6)).toEqual(dot(file.slice(file.indexOf('/') + 1).length));
    }
  });
});
