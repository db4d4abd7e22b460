/** What predict takes of folders: links, names in any encoding, and nothing without a word. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { openDataset } from '../src/data/node/index.js';
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

it('passes over pipes, sockets and devices among pictures, and waits for none', async () => {
  const odd = folder('odd');
  cpSync(image('red.png'), join(odd, 'red.png'));
  const [pipe, socket] = [join(odd, 'pipe.png'), join(odd, 'socket.png')];
  execFileSync('mkfifo', [pipe]);
  const server = createServer().listen(socket);
  await once(server, 'listening');
  symlinkSync('/dev/zero', join(odd, 'zero.png'));
  symlinkSync(pipe, join(odd, 'to-pipe.png'));
  try {
    expect((await predict(run, [odd], { top: 1 })).map(({ path }) => path)).toEqual([join(odd, 'red.png')]);
    const answers = await predict(run, [join(odd, 'red.png'), pipe, socket, '/dev/zero', join(odd, 'to-pipe.png')]);
    expect(answers.map(({ error }) => error)).toEqual([
      undefined,
      ...[pipe, socket, '/dev/zero', join(odd, 'to-pipe.png')].map(
        (path) => `${path}: is a folder, a pipe, a socket or a device; give the path of a file`,
      ),
    ]);
    const classes = folder('odd-classes');
    for (const name of ['red', 'green']) {
      mkdirSync(join(classes, name));
      for (let i = 0; i < 5; i++) cpSync(image(`${name}.png`), join(classes, name, `${i}.png`));
      execFileSync('mkfifo', [join(classes, name, 'pipe.png')]);
    }
    const dataset = await openDataset(classes, { seed: 1 });
    expect(dataset.trainval.length + dataset.test.length).toBe(10);
    expect(dataset.note).toMatch(/pipe\.png/);
    await dataset.close();
    await expect(openDataset(pipe, { seed: 1 })).rejects.toMatchObject({ code: 'data.path.kind' });
    const weights = folder('odd-weights');
    cpSync(join(fixture, 'student.safetensors'), join(weights, 'model.safetensors'));
    execFileSync('mkfifo', [join(weights, 'config.json')]);
    await expect(backboneFromFile(weights)).rejects.toThrow(/config\.json.*is no file/);
  } finally {
    server.close();
  }
}, 30_000);

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
