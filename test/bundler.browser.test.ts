/** `idat/browser` and `idat/classifier` behind Vite, built and in development. Needs Chromium; without one these tests are left out. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, createServer } from 'vite';
import { afterAll, describe, expect, it } from 'vitest';
import type * as Idat from '../src/browser.js';
import type * as InTab from '../src/classifier.js';
import { BUNDLED } from '../src/settings/fields.js';
import { hasChromium, serve, startBrowser } from './browser-support.js';
import { temporaryFolder } from './train-support.js';

/** A page that somebody else would make, with what it trains on among its own files. */
function project(): string {
  const root = join(temporaryFolder(), 'page');
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  mkdirSync(join(root, 'public'));
  symlinkSync(resolve('.'), join(root, 'node_modules/idat'));
  symlinkSync(resolve('assets/models'), join(root, 'public/models'));
  symlinkSync(resolve('assets/eurosat-100.zip'), join(root, 'public/eurosat-100.zip'));
  writeFileSync(join(root, 'package.json'), '{ "type": "module", "private": true }');
  writeFileSync(join(root, 'index.html'), '<!doctype html><script type="module" src="/main.js"></script>');
  const main = "import * as idat from 'idat/browser';\nimport { openClassifier } from 'idat/classifier';\n";
  writeFileSync(join(root, 'main.js'), `${main}Object.assign(window, { idat, openClassifier });\n`);
  return root;
}

/** Trains one epoch on the page, and asks what came of it. */
async function trainOn(url: string): Promise<unknown> {
  const browser = await startBrowser(url);
  try {
    const page = await browser.open();
    return await page.evaluate(
      async ([{ student, teacher }]) => {
        const { idat, openClassifier } = window as unknown as { idat: typeof Idat } & typeof InTab;
        const weights = { student: `/models/${student}.safetensors`, teacher: `/models/${teacher}.safetensors` };
        const settings = { student, teacher, epochs: 1, protocol: 'last', batchSize: 50, run: 'x' } as const;
        try {
          const { run, accuracy } = await idat.fineTune({ ...settings, weights, data: '/eurosat-100.zip' });
          const classifier = await openClassifier(await idat.exportModel('x', weights.student));
          const answer = await classifier.classify({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3) });
          return { run, accuracy, named: answer.predictions.length };
        } catch (error) {
          return { message: `${error}` };
        }
      },
      [BUNDLED] as const,
    );
  } finally {
    await browser.close();
  }
}

describe.skipIf(!hasChromium)('behind Vite', { timeout: 180_000 }, () => {
  const closing: (() => unknown)[] = [];
  afterAll(async () => {
    for (const close of closing) await close();
  });

  it('is built without a word and trains', async () => {
    const root = project();
    const warned: string[] = [];
    const onwarn = ({ code, message }: { code?: string; message: string }) => {
      if (code !== 'PLUGIN_TIMINGS') warned.push(message); // a busy machine is slow, which is no matter of the package
    };
    const common = { root, configFile: false, logLevel: 'silent' } as const;
    await build({ ...common, build: { rolldownOptions: { onwarn } } });
    expect(warned).toEqual([]);
    const server = await serve(join(root, 'dist'), readFileSync(join(root, 'dist/index.html'), 'utf8'));
    closing.push(server.close);
    expect(await trainOn(server.url)).toEqual({ run: 'x', accuracy: expect.any(Number), named: 5 });
  });

  it('trains while the page is developed, left out of what Vite bundles beforehand', async () => {
    const server = await createServer({
      root: project(),
      configFile: false,
      logLevel: 'silent',
      optimizeDeps: { exclude: ['idat'] },
      server: { host: '127.0.0.1', port: 0, fs: { strict: false } },
    });
    closing.push(() => server.close());
    await server.listen();
    const url = server.resolvedUrls!.local[0]!.replace(/\/$/, '');
    expect(await trainOn(url)).toEqual({ run: 'x', accuracy: expect.any(Number), named: 5 });
  });
});
