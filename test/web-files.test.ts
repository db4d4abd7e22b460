/** What a tab reads of files by itself: zips and PNGs. Runs in Node as it does there. */
import { deflateRawSync, crc32 as zlibCrc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { decodePng, turnOfPng } from '../src/data/png.js';
import { craftZip } from '../src/data/testing/zip.js';
import { openWebDataset } from '../src/data/web/open.js';
import { crc32 } from '../src/files/crc32.js';
import { fetched } from '../src/files/web/fetch.js';
import { readZip, unzlib, writeZip } from '../src/files/web/zip.js';
import { randomStream } from '../src/random.js';

const text = (words: string) => new TextEncoder().encode(words);
const noise = (length: number) => {
  const random = randomStream(1, 'noise', length);
  return Uint8Array.from({ length }, () => random.below(256));
};

interface Raw {
  name: string | Uint8Array;
  bytes: Uint8Array;
  deflate?: boolean;
  claims?: number;
  crc?: number;
  flags?: number;
  method?: number;
}

/** A zip written by hand, with what no packer writes. @param offsets of the entries in the directory, where not their own */
function rawZip(entries: Raw[], offsets: number[] = []): Blob {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [i, entry] of entries.entries()) {
    const name = Buffer.from(entry.name as string);
    const packed = entry.deflate ? deflateRawSync(entry.bytes) : Buffer.from(entry.bytes);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(entry.flags ?? 0, 2);
    fields.writeUInt16LE(entry.method ?? (entry.deflate ? 8 : 0), 4);
    fields.writeUInt32LE(entry.crc ?? zlibCrc32(entry.bytes), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(entry.claims ?? entry.bytes.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offsets[i] ?? at, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fields, rest, name);
    const local = [Buffer.from('PK\x03\x04', 'latin1'), fields, name, packed];
    parts.push(...local);
    at += Buffer.concat(local).length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(at, 16);
  return new Blob([Buffer.concat([...parts, listing, end])]);
}

const readFirst = async (zip: Blob) => (await readZip(zip))[0]!.read();

describe('a zip in a tab', () => {
  it('gives back what was written, and is the same bytes each time', async () => {
    const files = [
      { name: 'run/config.json', bytes: text('{}') },
      { name: 'run/große Datei', bytes: noise(70_000) },
    ];
    const zip = writeZip(files);
    const entries = await readZip(zip);
    expect(entries.map(({ name }) => name)).toEqual(files.map(({ name }) => name));
    for (const [i, { read }] of entries.entries()) expect(await read()).toEqual(files[i]!.bytes);
    expect(await writeZip(files).arrayBuffer()).toEqual(await zip.arrayBuffer());
  });

  it('is read where it is deflated', async () => {
    expect(await readFirst(rawZip([{ name: 'a', bytes: text('a'.repeat(5000)), deflate: true }]))).toEqual(
      text('a'.repeat(5000)),
    );
  });

  it.each<[string, Raw, string]>([
    [
      'promises less than it holds',
      { name: 'a', bytes: text('a'.repeat(9999)), deflate: true, claims: 10 },
      'checksum',
    ],
    ['promises more', { name: 'a', bytes: text('a'.repeat(99)), deflate: true, claims: 200 }, 'holds 99|checksum'],
    ['has another checksum', { name: 'a', bytes: text('abc'), crc: 1 }, 'checksum'],
    ['is encrypted', { name: 'a', bytes: text('abc'), flags: 1 }, 'encrypted'],
    ['is packed otherwise', { name: 'a', bytes: text('abc'), method: 14 }, 'method 14'],
  ])('is refused where an entry %s', async (_, entry, reason) => {
    await expect(readFirst(rawZip([entry]))).rejects.toThrow(new RegExp(reason));
  });

  it.each(['../a', '/a', 'C:/a', 'a/../../b', 'a\\b', 'a\0b'])('is refused with a name such as %j', async (name) => {
    const zip = rawZip([{ name, bytes: text('x') }]);
    await expect(readZip(zip)).rejects.toThrow('would leave it');
    await expect(openWebDataset(zip, 'x.zip', { seed: 1 })).rejects.toMatchObject({ code: 'data.zip.escape' });
  });

  it('is refused where entries share bytes, and where it is none', async () => {
    const twice = rawZip(
      [
        { name: 'a', bytes: noise(100) },
        { name: 'b', bytes: noise(100) },
      ],
      [0, 0],
    );
    await expect(readZip(twice)).rejects.toThrow('overlap');
    for (const bytes of [text(''), text('<html>'), noise(1000)]) {
      await expect(readZip(new Blob([bytes as Uint8Array<ArrayBuffer>]))).rejects.toThrow('no zip');
    }
  });

  it('is read past symbolic links', async () => {
    const link = { name: 'images/link.png', data: '/etc/passwd', mode: 0o120777 };
    const zip = new Blob([craftZip([link, { name: 'images/a.png', data: 'a' }]) as Uint8Array<ArrayBuffer>]);
    const entries = await readZip(zip);
    expect(entries.map(({ symbolicLink }) => symbolicLink)).toEqual([true, false]);
    await expect(openWebDataset(zip, 'x.zip', { seed: 1 })).rejects.toThrow('one class only');
  });

  it('is refused or read, whatever stands in it', async () => {
    const whole = new Uint8Array(await rawZip([{ name: 'a', bytes: text('abc'), deflate: true }]).arrayBuffer());
    for (let at = 0; at < whole.length; at++) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const changed = whole.map((byte, i) => (i === at ? value : byte));
        const read = readZip(new Blob([changed])).then((entries) => Promise.all(entries.map((entry) => entry.read())));
        await read.then(
          ([bytes]) => bytes && expect(bytes).toEqual(text('abc')),
          (error) => expect(error).toBeInstanceOf(Error),
        );
      }
    }
  });
});

describe('a PNG by arithmetic', () => {
  const raw = (channels: 1 | 3 | 4) => sharp(noise(37 * 29 * channels), { raw: { width: 37, height: 29, channels } });
  const made: Record<string, Sharp> = {
    rgb: raw(3).png(),
    interlaced: raw(3).png({ progressive: true }),
    transparent: raw(4).png(),
    'transparent and interlaced': raw(4).png({ progressive: true, adaptiveFiltering: true }),
    grey: raw(1).toColourspace('b-w').png(),
    'sixteen bits': raw(3).toColourspace('rgb16').png(),
    'grey of sixteen bits': raw(1).toColourspace('grey16').png(),
    'two colours': raw(3).png({ palette: true, colours: 2 }),
    'four colours, interlaced': raw(3).png({ palette: true, colours: 4, progressive: true }),
    'sixteen colours': raw(3).png({ palette: true, colours: 16 }),
    'all filters': sharp(noise(300), { raw: { width: 10, height: 10, channels: 3 } })
      .resize(200, 200)
      .png({ adaptiveFiltering: true }),
  };
  it.each(Object.entries(made))('%s', async (_, pipeline) => {
    const bytes = new Uint8Array(await pipeline.toBuffer());
    const expected = await sharp(bytes).removeAlpha().toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer();
    const image = decodePng(bytes, unzlib);
    expect(Buffer.from(image.pixels).equals(expected)).toBe(true);
  });

  it('says how it has to be turned', async () => {
    const turned = await raw(3).withMetadata({ orientation: 6 }).png().toBuffer();
    expect(turnOfPng(new Uint8Array(turned))).toBe(6);
    expect(turnOfPng(new Uint8Array(await raw(3).png().toBuffer()))).toBe(1);
  });

  it('is refused or read, whatever stands in it', async () => {
    const whole = new Uint8Array(await raw(3).png().toBuffer());
    for (let at = 8; at < 120; at++) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const changed = whole.map((byte, i) => (i === at ? value : byte));
        try {
          expect(decodePng(changed, unzlib).pixels).toHaveLength(37 * 29 * 3);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }
    }
  });
});

it('the checksum is that of zlib', () => {
  for (const bytes of [text(''), text('idat'), noise(10_000)]) expect(crc32(bytes)).toBe(zlibCrc32(bytes));
});

it('a file of another origin comes whole, though its length is that of the compressed one', async () => {
  const answer = (type: string) => {
    const response = new Response(noise(500), { headers: { 'content-length': '84' } });
    return Object.defineProperty(response, 'type', { value: type });
  };
  onTestFinished(() => void vi.unstubAllGlobals());
  vi.stubGlobal('fetch', async (url: string) => answer(url));
  expect(await fetched('cors', 'a file', {})).toHaveLength(500);
  await expect(fetched('basic', 'a file', {})).rejects.toThrow('500 of 84 bytes came');
});
