import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { craftZip } from '../data/testing/zip.js';
import { readZip } from '../files/web/zip.js';
import { fromFiles } from './intake.js';
import { listedIn, unpacked } from './unpack.js';

it('takes the classes of an archive from its lists, where it has some', async () => {
  const { files } = await unpacked(new Blob([readFileSync('assets/eurosat-100.zip')]));
  expect(files).toHaveLength(700);
  expect(new Set(files.map(({ folder }) => folder)).size).toBe(10);
  for (const { folder, name } of files) expect(name).toContain(folder.replaceAll(' ', ''));
});

it('reads nothing that no tab could hold', async () => {
  const zip = (count: number, claimedBytes: number) =>
    new Blob([
      new Uint8Array(
        craftZip(
          Array.from({ length: count }, (_, i) => ({
            name: `cat/${i}.jpg`,
            data: 'small',
            ...(i > 0 && { claimedBytes }),
          })),
        ),
      ),
    ]);
  const { files, problems } = await unpacked(zip(2, 300 * 2 ** 20));
  expect(files.map(({ name }) => name)).toEqual(['0.jpg']);
  expect(problems).toEqual([expect.stringContaining('1 picture was passed over')]);
  await expect(unpacked(zip(10, 256 * 2 ** 20))).rejects.toMatchObject({ code: 'data.zip.too-large' });
});

it('takes the classes of a folder from its lists, and by its folders where it has none', async () => {
  const entries = await readZip(new Blob([readFileSync('assets/eurosat-100.zip')]));
  const chosen = await Promise.all(
    entries.map(async ({ name, read }) => {
      const file = new File([(await read()) as Uint8Array<ArrayBuffer>], name.split('/').at(-1)!);
      return Object.assign(file, { webkitRelativePath: `eurosat/${name}` });
    }),
  );
  const worker = { unpack: unpacked, listed: listedIn };
  const { files, problems } = await fromFiles(chosen, worker);
  expect(problems).toEqual([]);
  expect(files).toHaveLength(700);
  for (const { folder, name } of files) expect(name).toContain(folder.replaceAll(' ', ''));

  const pictures = chosen.filter(({ name }) => !name.endsWith('.txt'));
  expect(new Set((await fromFiles(pictures, worker)).files.map(({ folder }) => folder)).size).toBe(1);
  const missing = chosen.filter(({ name }) => name !== files[0]!.name);
  const broken = await fromFiles(missing, worker);
  expect(broken).toMatchObject({ files: [], problems: [expect.stringContaining(files[0]!.name)] });
});
