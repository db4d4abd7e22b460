import { beforeEach, expect, it, vi } from 'vitest';
import type { Prepare } from './intake.js';
import { Pictures } from './pictures.js';
import { Store } from './store.js';

vi.stubGlobal('navigator', {});

/** Pictures that wait to be read. */
let reading: (() => void)[];
let store: Store;
let pictures: Pictures;
beforeEach(() => {
  reading = [];
  store = new Store();
  const prepare: Prepare = async ({ name, blob }, classId, recording = null) => {
    await new Promise<void>((resolve) => reading.push(resolve));
    return { id: `${classId} ${name}`, classId, name, recording, blob, added: 0 };
  };
  pictures = new Pictures(store, {
    prepare,
    unpack: { unpack: async () => ({ files: [], problems: [] }), listed: async () => null },
  });
});

const file = (path: string): File =>
  Object.assign(new File(['a picture'], path.split('/').at(-1)!), {
    webkitRelativePath: path.includes('/') ? path : '',
  });
const files = (...paths: string[]): File[] => paths.map(file);
/** Reads so many of the pictures that wait, and come meanwhile. */
const read = async (count: number) => {
  for (let i = 0; i < count; i++) {
    await vi.waitFor(() => expect(reading).not.toHaveLength(0));
    reading.shift()!();
  }
};
const names = () => store.state.project.classes.map(({ name }) => name);
const kept = () => store.state.pictures.map(({ id }) => id);

it('keeps an empty class while others are filled', async () => {
  pictures.addClass();
  for (const [i, into] of ['c1', 'c3', 'c2'].entries()) {
    const taken = pictures.takeFiles(files(`${i}.jpg`), into);
    await read(1);
    await taken;
    expect(names()).toEqual(['Class 1', 'Class 2', 'Class 3']);
  }
  expect(kept()).toEqual(['c1 0.jpg', 'c3 1.jpg', 'c2 2.jpg']);
});

it('drops the two classes of the beginning where folders came in their place, unless pictures for them are on their way', async () => {
  const folders = pictures.takeFiles(files('land/cat/1.jpg', 'land/dog/2.jpg'), null);
  const more = pictures.takeFiles(files('3.jpg'), 'c2');
  pictures.addClass();
  await read(3);
  await Promise.all([folders, more]);
  expect(names()).toEqual(['Class 2', 'Class 3', 'cat', 'dog']);
  expect(kept()).toContain('c2 3.jpg');
});

it('drops what was still read for a class that is removed, and makes it no second time', async () => {
  const folders = pictures.takeFiles(files('land/cat/1.jpg', 'land/dog/2.jpg', 'land/cat/3.jpg'), null);
  await read(1);
  await vi.waitFor(() => expect(reading).toHaveLength(1));
  pictures.removeClass(store.state.project.classes.find(({ name }) => name === 'cat')!.id);
  await read(2);
  await folders;
  const shot = pictures.takeShot(new Blob(), 'c1', 'camera');
  pictures.removeClass('c1');
  await read(1);
  await shot;
  expect(names()).toEqual(['Class 2', 'dog']);
  expect(store.state.pictures.map(({ name }) => name)).toEqual(['2.jpg']);
});

it('takes a picture once that is dropped again while it is read', async () => {
  const both = [pictures.takeFiles(files('1.jpg'), 'c1'), pictures.takeFiles(files('1.jpg'), 'c1')];
  await read(2);
  await Promise.all(both);
  expect(kept()).toEqual(['c1 1.jpg']);
  expect(store.state.notices.map(({ text }) => text)).toEqual(['1 picture was there already.']);
});
