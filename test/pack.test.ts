/** Packed runs: they work wherever they lie, name no path of the machine they come from, and appear whole or not at all. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { moveInto } from '../src/export/fresh-folder.js';
import { openZipArchive } from '../src/files/node/zip.js';
import { evaluateRun, mergeRun, packRun, predict } from '../src/index.js';
import { temporaryFolder } from './train-support.js';

const fixture = fileURLToPath(new URL('./fixtures/run-0.1', import.meta.url));
const root = temporaryFolder();
const home = join(root, 'home');
const image = join(fixture, 'images', 'red.png');
const run = join(home, 'finished');
let expected: Awaited<ReturnType<typeof predict>>;

beforeAll(async () => {
  cpSync(fixture, home, { recursive: true });
  const path = join(run, 'config.json');
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('/idat-fixture', home));
  expected = await predict(run, [image]);
});
afterAll(() => rmSync(root, { recursive: true }));

it('predicts, measures and merges where its data, weights and run are gone', async () => {
  const packed = join(root, 'packed');
  const { files, bytes } = await packRun(run, packed);
  expect(files).toContain('weights/student.safetensors');
  expect(statSync(packed).mode).toBe(statSync(join(packed, 'weights')).mode); // as folders are here
  expect(bytes).toBeGreaterThan(33_000);
  const there = join(root, 'away', 'moved');
  mkdirSync(join(root, 'away'));
  renameSync(packed, there);
  renameSync(home, `${home}-gone`);
  try {
    expect(await predict(there, [image])).toEqual(expected);
    expect(await evaluateRun(there, { data: join(fixture, 'colours.zip') })).toMatchObject({ total: 30 });
    await mergeRun(there, join(root, 'merged.safetensors'));
    for (const name of readdirSync(there).filter((file) => /json/.test(file))) {
      expect(readFileSync(join(there, name), 'utf8')).not.toContain(root);
    }
  } finally {
    renameSync(`${home}-gone`, home);
  }
});

it('is a zip that other programs read, the same each time', async () => {
  const zips = [join(root, 'one.zip'), join(root, 'two.zip')];
  for (const zip of zips) await packRun(run, zip);
  const [one, two] = zips.map((zip) => readFileSync(zip));
  const archive = await openZipArchive(zips[0]!);
  expect(archive.entries.map(({ name }) => name)).toContain('one/weights/student.safetensors');
  await archive.close();
  expect(two!.length).toBe(one!.length);
  execFileSync('python3', ['-m', 'zipfile', '-e', zips[0]!, join(root, 'unpacked')]);
  expect(await predict(join(root, 'unpacked', 'one'), [image])).toEqual(expected);
});

it('takes no place that is taken, and leaves nothing behind', async () => {
  const before = readdirSync(root);
  await expect(packRun(run, home)).rejects.toMatchObject({ code: 'pack.exists' });
  await expect(packRun(run, join(root, 'one.zip'))).rejects.toMatchObject({ code: 'pack.exists' });
  const student = join(home, 'student.safetensors');
  renameSync(student, `${student}.away`);
  await expect(packRun(run, join(root, 'none'))).rejects.toMatchObject({ code: 'run.weights' });
  renameSync(`${student}.away`, student);
  expect(readdirSync(root)).toEqual(before);
  expect(existsSync(join(root, 'none'))).toBe(false);
});

it('takes the place of an empty folder alone, also where that was filled meanwhile', async () => {
  const [made, place] = ['made', 'place'].map((name) => join(root, name)) as [string, string];
  for (const folder of [made, place]) mkdirSync(folder);
  writeFileSync(join(place, 'mine.txt'), '');
  await expect(moveInto(place, made)).rejects.toMatchObject({ code: 'export.exists' });
  rmSync(join(place, 'mine.txt'));
  await moveInto(place, made);
  expect([existsSync(made), existsSync(place)]).toEqual([false, true]);
});

it('keeps a packed run from naming weights outside of it', async () => {
  const packed = join(root, 'escaping');
  await packRun(run, packed);
  const path = join(packed, 'config.json');
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('weights/student', 'weights/../../home/student'));
  await expect(predict(packed, [image])).rejects.toMatchObject({
    code: expect.stringMatching(/^(run|files|backbone)\./),
  });
});
