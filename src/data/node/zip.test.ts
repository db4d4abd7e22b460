import { open as openFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../testing/folder.js';
import { type CraftedEntry, craftZip } from '../testing/zip.js';
import { openZip } from './zip.js';

const zipFile = async (bytes: Uint8Array) => {
  const path = join(await temporaryFolder(), 'data.zip');
  await writeFile(path, bytes);
  return path;
};
const open = async (entries: CraftedEntry[]) => {
  const tree = await openZip(await zipFile(craftZip(entries)));
  onTestFinished(() => tree.close());
  return tree;
};
const text = 'the quick brown fox '.repeat(200);
const refusal = (code: string, message: string) => ({
  name: 'IdatError',
  code,
  message: expect.stringContaining(message),
});

test('stored and deflated entries come back, in any order and at once', async () => {
  const tree = await open([
    { name: 'a/', data: '' },
    { name: 'a/stored.txt', data: text },
    { name: 'a/b/deflated.txt', data: text, deflate: true },
    { name: 'empty.txt', data: '' },
    { name: 'empty-deflated.txt', data: '', deflate: true },
  ]);
  expect([...tree.files]).toEqual(['a/stored.txt', 'a/b/deflated.txt', 'empty.txt', 'empty-deflated.txt']);
  expect([...tree.folders].sort()).toEqual(['a', 'a/b']);
  const contents = await Promise.all(
    [...tree.files].reverse().map(async (name) => Buffer.from(await tree.read(name, 1e6)).toString()),
  );
  expect(contents).toEqual(['', '', text, text]);
});

test('one entry deep in a zip of more than 4 GiB is read without the rest', async () => {
  // Sparse: the 4.5 GiB between the entry and the directory are a hole, which takes no room on the disk.
  const crafted = craftZip([{ name: 'a.txt', data: text }]);
  const directoryAt = crafted.indexOf('PK\x01\x02', 0, 'latin1');
  const [entry, directory] = [crafted.subarray(0, directoryAt), crafted.subarray(directoryAt, crafted.length - 22)];
  const far = 4.5 * 2 ** 30;
  const zip64 = Buffer.alloc(56 + 20);
  zip64.write('PK\x06\x06', 0, 'latin1');
  zip64.writeBigUInt64LE(44n, 4);
  zip64.writeBigUInt64LE(1n, 24);
  zip64.writeBigUInt64LE(1n, 32);
  zip64.writeBigUInt64LE(BigInt(directory.length), 40);
  zip64.writeBigUInt64LE(BigInt(far), 48);
  zip64.write('PK\x06\x07', 56, 'latin1');
  zip64.writeBigUInt64LE(BigInt(far + directory.length), 64);
  zip64.writeUInt32LE(1, 72);
  const end = Buffer.alloc(22, 0xff);
  end.write('PK\x05\x06\0\0\0\0', 0, 'latin1');
  end.writeUInt16LE(0, 20);
  const path = await zipFile(entry);
  const handle = await openFile(path, 'r+');
  await handle.write(Buffer.concat([directory, zip64, end]), 0, undefined, far);
  await handle.close();

  const before = process.memoryUsage().rss;
  const tree = await openZip(path);
  onTestFinished(() => tree.close());
  expect(Buffer.from(await tree.read('a.txt', 1e6)).toString()).toBe(text);
  expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
});

describe('names of entries', () => {
  const named = (bytes: string, utf8 = false) => {
    // the letters stand in for bytes that the crafted archive may not hold as text
    const placeholder = 'x'.repeat(bytes.length);
    const zip = craftZip([{ name: `${placeholder}/a.png`, data: 'y' }]);
    for (let at = zip.indexOf(placeholder); at >= 0; at = zip.indexOf(placeholder, at)) zip.write(bytes, at, 'latin1');
    if (!utf8)
      for (const mark of ['PK\x03\x04', 'PK\x01\x02']) zip[zip.indexOf(mark) + (mark.endsWith('\x02') ? 9 : 7)]! &= ~8;
    return zip;
  };

  test.each([
    ['UTF-8 that nobody declared', named('caf\xc3\xa9'), 'café/a.png'],
    ['UTF-8 as declared', named('caf\xc3\xa9', true), 'café/a.png'],
    ['decomposed, as macOS has them', named('cafe\xcc\x81'), 'café/a.png'],
    ['CP437', named('caf\x82'), 'café/a.png'],
    ['what is declared as UTF-8 and is none', named('caf\xe9', true), 'caf\\xE9/a.png'],
  ])('%s', async (_, zip, name) => {
    const tree = await openZip(await zipFile(zip));
    onTestFinished(() => tree.close());
    expect([...tree.files]).toEqual([name]);
    expect(Buffer.from(await tree.read(name, 10)).toString()).toBe('y');
  });

  test.each(['\xe9/../../x', '..\\..\\\xe9x'])('%j leads nowhere', async (bytes) => {
    for (const utf8 of [true, false]) {
      await expect(openZip(await zipFile(named(bytes, utf8)))).rejects.toMatchObject(
        refusal('data.zip.escape', 'would leave'),
      );
    }
  });
});

describe('is refused when opened', () => {
  test.each<[string, string, CraftedEntry[]]>([
    ['data.zip.escape', 'an entry would leave the data set', [{ name: '../../etc/cron.d/x', data: '' }]],
    ['data.zip.escape', 'absolute path: /etc/passwd', [{ name: '/etc/passwd', data: '' }]],
    ['data.zip.escape', 'absolute path: C:/x', [{ name: 'C:\\x', data: '' }]],
    [
      'data.zip.encrypted',
      'a.png is encrypted; unpack it',
      [{ name: 'a.png', data: 'x'.repeat(12 + 6), claimedBytes: 6, encrypted: true }],
    ],
    [
      'data.zip.duplicate',
      'holds a.png twice',
      [
        { name: 'a.png', data: 'x' },
        { name: 'a.png', data: 'y' },
      ],
    ],
    ['data.zip.depth', 'more than 64 folders deep', [{ name: `${'a/'.repeat(4000)}x.png`, data: '' }]],
    ['data.zip.broken', 'size mismatch for stored file', [{ name: 'a.png', data: 'x', claimedBytes: 9 }]],
  ])('%s: %s', async (code, message, entries) => {
    await expect(openZip(await zipFile(craftZip(entries)))).rejects.toMatchObject(refusal(code, message));
  });

  test('when entries share bytes', async () => {
    const zip = craftZip([
      { name: 'a.png', data: text },
      { name: 'b.png', data: text },
    ]);
    // the second entry of the directory points to the bytes of the first
    const second = zip.lastIndexOf('PK\x01\x02', undefined, 'latin1');
    zip.writeUInt32LE(0, second + 42);
    await expect(openZip(await zipFile(zip))).rejects.toMatchObject(refusal('data.zip.broken', 'overlap'));
  });

  test('when cut anywhere, or when it is no zip', async () => {
    const whole = craftZip([
      { name: 'a.png', data: text },
      { name: 'b.png', data: text },
    ]);
    for (const length of [0, 10, 2000, whole.length - 1]) {
      await expect(openZip(await zipFile(whole.subarray(0, length)))).rejects.toMatchObject(
        refusal('data.zip.broken', 'data.zip: not a usable zip'),
      );
    }
    await expect(openZip(await zipFile(Buffer.from('<!DOCTYPE html>'.repeat(9))))).rejects.toMatchObject(
      refusal('data.zip.broken', 'not a usable zip'),
    );
    const headless = Buffer.from(whole);
    headless.write('XX', whole.indexOf('PK\x01\x02', 0, 'latin1'));
    await expect(openZip(await zipFile(headless))).rejects.toMatchObject(
      refusal('data.zip.broken', 'invalid central directory'),
    );
  });
});

describe('is refused when read', () => {
  test.each<[string, CraftedEntry]>([
    [
      'it holds more than the 100 bytes it promises',
      { name: 'a.png', data: 'x'.repeat(1e6), deflate: true, claimedBytes: 100 },
    ],
    ['it promises 5000 bytes and holds 4000', { name: 'a.png', data: text, deflate: true, claimedBytes: 5000 }],
    ['its checksum does not match', { name: 'a.png', data: text, claimedCrc: 1 }],
  ])('%s', async (message, entry) => {
    const tree = await open([entry]);
    await expect(tree.read('a.png', 1e7)).rejects.toMatchObject(
      refusal('data.zip.broken', `data.zip/a.png: damaged zip entry (${message})`),
    );
  });

  test('an entry over the limit, before it is inflated', async () => {
    const tree = await open([{ name: 'bomb.png', data: Buffer.alloc(3e6), deflate: true }]);
    await expect(tree.read('bomb.png', 2e6)).rejects.toMatchObject(
      refusal('data.file.too-large', 'bomb.png: 3 MiB are more than the 2 MiB'),
    );
  });

  test('a symbolic link is passed over', async () => {
    const tree = await open([{ name: 'link.png', data: '/etc/passwd', mode: 0o120777 }]);
    expect(tree.files.size).toBe(0);
    expect(tree.passedOver.get('link.png')).toBe('link');
  });
});
