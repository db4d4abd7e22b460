/** Pictures decoded in browsers, beside the same in Node. Needs Chromium and Firefox; what is not there is left out. */
import { readFileSync } from 'node:fs';
import { rolldown } from 'rolldown';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeImage } from '../src/data/node/decode.js';
import { preprocess } from '../src/data/preprocess.js';
import { sha256 } from '../src/files/sha256.js';
import { readZip } from '../src/files/web/zip.js';
import { randomStream } from '../src/random.js';
import { type Browser, type FileServer, serve, type TabPage } from './browser-support.js';
import { BROWSERS } from './browsers.js';
import { hasFirefox, startFirefox } from './firefox-support.js';

declare global {
  interface Window {
    decoding: {
      decodeImage: typeof decodeImage;
      preprocess: typeof preprocess;
      sha256: typeof sha256;
    };
  }
}

interface Decoded {
  /** sha256 of width, height and pixels, and of what the network reads of size 32. */
  hashes?: [string, string];
  code?: string;
}

const OPTIONS = { orient: true, name: 'a picture' };

async function inNode(bytes: Uint8Array): Promise<Decoded> {
  try {
    const image = await decodeImage(bytes, OPTIONS);
    const hash = await sha256(`${image.width}×${image.height}:${await sha256(image.pixels)}`);
    return { hashes: [hash, await sha256(preprocess(image, 32))] };
  } catch (error) {
    return { code: (error as { code: string }).code };
  }
}

/** A picture with edges, gradients and noise, of odd size. */
function photograph(width = 131, height = 97, channels: 1 | 3 | 4 = 3) {
  const random = randomStream(1, 'photograph', channels);
  const raw = new Uint8Array(width * height * channels);
  for (let i = 0; i < raw.length; i++) {
    const [x, y] = [Math.floor(i / channels) % width, Math.floor(i / channels / width)];
    const edge = (x * 3 + y * (1 + (i % channels))) % 64 < 20 ? 120 : 0;
    raw[i] = Math.min(255, edge + ((x + y * (i % channels)) % 100) + random.below(30));
  }
  return sharp(raw, { raw: { width, height, channels } });
}

const formats: Record<string, { file: string }> = JSON.parse(readFileSync('test/fixtures/image-formats.json', 'utf8'));
const fixture = (name: string) => async () => new Uint8Array(Buffer.from(formats[name]!.file, 'base64'));

/** Must be the same bytes. */
const SAME: Record<string, () => Promise<Uint8Array>> = {
  'JPEG, 4:2:0': () => photograph().jpeg({ quality: 80 }).toBuffer(),
  'JPEG, 4:4:4': () => photograph().jpeg({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer(),
  'JPEG, progressive': () => photograph().jpeg({ quality: 60, progressive: true }).toBuffer(),
  'JPEG, grey': () => photograph(50, 60, 1).toColourspace('b-w').jpeg().toBuffer(),
  'JPEG, large': () => photograph(1501, 1003).jpeg().toBuffer(),
  'JPEG, turned by its EXIF': () => photograph().withMetadata({ orientation: 6 }).jpeg().toBuffer(),
  'JPEG, mirrored by its EXIF': () => photograph().withMetadata({ orientation: 5 }).jpeg().toBuffer(),
  'JPEG, with a wide colour profile': () => photograph().withIccProfile('p3').jpeg().toBuffer(),
  PNG: () => photograph().png().toBuffer(),
  'PNG, interlaced': () => photograph().png({ progressive: true }).toBuffer(),
  'PNG, palette': () => photograph().png({ palette: true, colours: 13 }).toBuffer(),
  'PNG, transparent': () => photograph(40, 30, 4).png().toBuffer(),
  'PNG, grey': () => photograph(50, 60, 1).toColourspace('b-w').png().toBuffer(),
  'PNG, 16 bits': () => photograph().toColourspace('rgb16').png().toBuffer(),
  'WebP, lossy': () => photograph().webp().toBuffer(),
  'WebP, lossless': () => photograph().webp({ lossless: true }).toBuffer(),
  GIF: () => photograph().gif().toBuffer(),
};
/** Must be refused, where a browser would give other colours or none. */
const REFUSED: Record<string, () => Promise<Uint8Array>> = {
  'JPEG, CMYK': () => photograph().toColourspace('cmyk').jpeg().toBuffer(),
  'JPEG, cut short': async () => (await SAME['JPEG, 4:2:0']!()).slice(0, 3000),
  'PNG, cut short': async () => (await SAME.PNG!()).slice(0, 3000),
  'PNG, damaged': async () => (await SAME.PNG!()).map((byte, i) => (i === 2000 ? byte ^ 1 : byte)),
  'WebP, transparent': () => photograph(40, 30, 4).webp({ lossless: true }).toBuffer(),
  TIFF: () => photograph().tiff().toBuffer(),
  AVIF: fixture(Object.keys(formats).find((name) => name.startsWith('AVIF'))!),
  'an HTML page': async () => new TextEncoder().encode('<!doctype html><title>404</title>'),
};

/** A server of a page on which all of it is loaded. */
async function decodingServer(): Promise<FileServer> {
  const entry = [
    "import { decodeImage } from './src/data/web/decode.ts';",
    "import { preprocess } from './src/data/preprocess.ts';",
    "import { sha256 } from './src/files/sha256.ts';",
    'window.decoding = window.idat = { decodeImage, preprocess, sha256 };',
  ].join('\n');
  const virtual = {
    name: 'entry',
    resolveId: (id: string) => (id === 'entry' ? `${process.cwd()}/entry.js` : null),
    load: (id: string) => (id.endsWith('/entry.js') ? entry : null),
  };
  const bundle = await rolldown({ input: 'entry', platform: 'browser', plugins: [virtual] });
  const { output } = await bundle.generate({ format: 'es' });
  const script = new Map([['/decoding.js', Buffer.from(output[0].code)]]);
  return serve(undefined, '<!doctype html><script type="module" src="/decoding.js"></script>', script);
}

const inTab = (page: TabPage, bytes: Uint8Array) =>
  page.evaluate(
    async ([base64, options]): Promise<Decoded> => {
      const { decodeImage, preprocess, sha256 } = window.decoding;
      const file = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      try {
        const image = await decodeImage(file, options);
        const hash = await sha256(`${image.width}×${image.height}:${await sha256(image.pixels)}`);
        return { hashes: [hash, await sha256(preprocess(image, 32))] };
      } catch (error) {
        return { code: (error as { code: string }).code };
      }
    },
    [Buffer.from(bytes).toString('base64'), OPTIONS] as const,
  );

describe.each(BROWSERS)('in $name', { timeout: 120_000 }, ({ there, start }) => {
  if (!there) return it.skip('is left out: there is no such browser', () => {});

  let server: FileServer;
  let browser: Browser;
  let page: TabPage;
  beforeAll(async () => {
    server = await decodingServer();
    browser = await start(server.url);
    page = await browser.open();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  it.each(Object.entries(SAME))('%s gives the bytes that Node has', async (_, make) => {
    const bytes = await make();
    const expected = await inNode(bytes);
    expect(expected.hashes).toBeDefined();
    expect(await inTab(page, bytes)).toEqual(expected);
  });

  it('so do the pictures of the bundled data set', async () => {
    const zip = await readZip(new Blob([readFileSync('assets/eurosat-100.zip')]));
    const pictures = zip.filter(({ name }) => name.endsWith('.jpg')).slice(0, 100);
    expect(pictures).toHaveLength(100);
    for (const { read } of pictures) {
      const bytes = await read();
      expect(await inTab(page, bytes)).toEqual(await inNode(bytes));
    }
  });

  it.each(Object.entries(REFUSED))('%s is refused', async (_, make) => {
    expect(await inTab(page, await make())).toEqual({ code: 'image.unreadable' });
  });
});

describe.skipIf(!hasFirefox)('in a Firefox that hides the device from pages', { timeout: 120_000 }, () => {
  it.each([
    ['by noise', { 'privacy.resistFingerprinting': true }],
    [
      'by other pixels here and there',
      {
        'privacy.fingerprintingProtection': true,
        'privacy.fingerprintingProtection.overrides': '-AllTargets,+CanvasRandomization',
      },
    ],
  ])('%s, what the browser decodes is refused, and the rest is read as everywhere', async (_, preferences) => {
    const server = await decodingServer();
    const browser = await startFirefox(server.url, preferences);
    try {
      const page = await browser.open();
      expect(await inTab(page, await SAME['JPEG, 4:2:0']!())).toEqual({ code: 'image.unreadable' });
      const png = await SAME.PNG!();
      expect(await inTab(page, png)).toEqual(await inNode(png));
    } finally {
      await browser.close();
      server.close();
    }
  });
});
