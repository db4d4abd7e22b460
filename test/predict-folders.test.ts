/** What predict takes of folders: links, names in any encoding, and nothing without a word. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { predict } from '../src/index.js';

const fixture = fileURLToPath(new URL('./fixtures/run-0.1', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'idat-predict-'));
const run = join(root, 'finished');
const image = (name: string) => join(fixture, 'images', name);
const folder = (name: string) => {
  mkdirSync(join(root, name), { recursive: true });
  return join(root, name);
};

beforeAll(() => {
  cpSync(fixture, root, { recursive: true });
  const path = join(run, 'config.json');
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('/idat-fixture', root));
});
afterAll(() => rmSync(root, { recursive: true }));

it('answers links to files and folders, deeper folders, and names that are no UTF-8', async () => {
  const [links, store, deeper] = [folder('links'), folder('store'), folder('links/deeper')];
  cpSync(image('green.png'), join(store, 'green.png'));
  symlinkSync(image('red.png'), join(links, 'a.png'));
  symlinkSync(store, join(links, 'sub'));
  symlinkSync('nowhere', join(links, 'gone.png'));
  symlinkSync('..', join(links, 'up'));
  cpSync(image('blue.png'), join(deeper, 'b.png'));
  cpSync(image('red.png'), join(links, 'x.png'));
  renameSync(join(links, 'x.png'), Buffer.from(join(links, 'caf\xe9.png'), 'latin1'));
  const found = await predict(run, [links], { top: 1 });
  expect(found.map(({ path, predictions }) => [path, predictions[0]!.label])).toEqual([
    [join(links, 'a.png'), 'red'],
    [join(links, 'caf\\xE9.png'), 'red'],
    [join(links, 'deeper/b.png'), 'blue'],
    [join(links, 'sub/green.png'), 'green'],
  ]);
});

it('refuses to answer nothing', async () => {
  const empty = folder('empty');
  writeFileSync(join(empty, 'notes.txt'), 'x');
  await expect(predict(run, [empty])).rejects.toMatchObject({
    code: 'predict.empty',
    message: `${empty}: no images found. Left out: 1 file that is no image idat reads (.txt).`,
  });
  await expect(predict(run, [])).rejects.toMatchObject({ code: 'predict.empty' });
  await expect(predict(run, [join(root, 'nope.png')])).rejects.toMatchObject({ code: 'predict.path' });
});
