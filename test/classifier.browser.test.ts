/** `idat/classifier` in a real browser. Needs Chromium; without one these tests are left out. */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as InTab from '../src/classifier.js';
import { readZip } from '../src/files/web/zip.js';
import { exportRun, fineTune, openClassifier } from '../src/index.js';
import { type ChromiumBrowser, hasChromium, serve, startBrowser } from './browser-support.js';
import { makeImageFolder, STUDENT, settings, temporaryFolder } from './train-support.js';

type Window = { idat: typeof InTab };
const PAGE = `<!doctype html><title>idat</title><script type="module">
  import * as idat from "/dist/browser/classifier.js"; window.idat = idat;
  window.training = () => import("/dist/browser/idat.js");
</script>`;

it('loads no more than 45 kB of script, compressed, and nothing of training', () => {
  const scripts = ['classifier.js', 'classifier-worker.js'].map((name) => readFileSync(join('dist/browser', name)));
  expect(scripts.reduce((sum, bytes) => sum + gzipSync(bytes, { level: 9 }).length, 0)).toBeLessThan(45_000);
  // words of the optimiser and of the compiler, which the whole has
  const training = readFileSync('dist/browser/training-worker.js', 'utf8');
  for (const word of ['LayerNormalization', 'weightDecay', 'invalid_type']) {
    expect(training).toContain(word);
    for (const script of scripts) expect(script.toString()).not.toContain(word);
  }
});

describe.skipIf(!hasChromium)('in a tab', { timeout: 120_000 }, () => {
  const root = temporaryFolder();
  const at = (name: string) => join(root, name);
  const pictures = new Map<string, Uint8Array>();
  const files = new Map<string, Uint8Array>();
  let server: Awaited<ReturnType<typeof serve>>;
  let browser: ChromiumBrowser;
  let page: Page;

  beforeAll(async () => {
    const data = await makeImageFolder(root, 8);
    await fineTune({ ...settings(data, at('run')), epochs: 2 });
    await fineTune({ ...settings(data, at('other')), epochs: 1, seed: 9 });
    await exportRun(at('run'), { out: at('plain') });
    await exportRun(at('run'), { out: at('pixels'), resize: 'graph' });
    await exportRun(at('run'), { out: at('base'), adapterInput: true });
    await exportRun(at('other'), { out: at('others'), adapterInput: true });
    for (const folder of ['plain', 'pixels', 'base', 'others']) {
      for (const name of readdirSync(at(folder))) files.set(`/${folder}/${name}`, readFileSync(join(at(folder), name)));
    }
    const entries = await readZip(new Blob([readFileSync('assets/eurosat-100.zip')]));
    for (const entry of entries.filter(({ name }) => /\.jpg$/.test(name)).slice(0, 6)) {
      pictures.set(`/pictures/${entry.name.replace(/^.*\//, '')}`, await entry.read());
    }
    pictures.set('/pictures/noise.png', readFileSync(join(data, 'red', '1.png')));
    server = await serve(undefined, PAGE, new Map([...files, ...pictures]));
    browser = await startBrowser(server.url);
    page = await browser.open();
  }, 240_000);
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(root, { recursive: true });
  });

  it.each(['/plain/model.onnx', '/pixels/', '/base/'])('(%s) real pictures are answered as in Node', async (model) => {
    const here = await openClassifier(at('run'), { threads: 1 });
    const images = [...pictures.values()];
    const expected = { answers: await here.classify(images), features: await here.features(images) };
    await here.close();
    const got = await page.evaluate(
      async ([address, paths]) => {
        const classifier = await (window as unknown as Window).idat.openClassifier(address);
        const blobs = await Promise.all(paths.map(async (path) => (await fetch(path)).blob()));
        const answers = await classifier.classify(blobs);
        const [first] = blobs;
        const single = await classifier.classify(first!);
        const features = (await classifier.features(blobs)).map((row) => Array.from(row));
        await classifier.close();
        return { answers, single, features };
      },
      [model, [...pictures.keys()]] as const,
    );
    expect(got.answers.map(({ none }) => none)).toEqual(expected.answers.map(({ none }) => none));
    for (const [i, { predictions, familiarity }] of got.answers.entries()) {
      const own = expected.answers[i]!;
      expect(predictions.map(({ label }) => label)).toEqual(own.predictions.map(({ label }) => label));
      expect(predictions[0]!.probability).toBeCloseTo(own.predictions[0]!.probability, 4);
      expect(familiarity).toBeCloseTo(own.familiarity!, 3);
    }
    expect(got.single.predictions[0]!.label).toBe(got.answers[0]!.predictions[0]!.label);
    for (const [i, row] of got.features.entries()) {
      expect(Math.max(...row.map((x, k) => Math.abs(x - expected.features[i]![k]!)))).toBeLessThan(1e-3);
    }
  });

  it('one picture is the same as file, bytes, pixels, canvas, bitmap and frame of a camera', async () => {
    const [path] = [...pictures.keys()].slice(-1);
    const answers = await page.evaluate(async (address) => {
      const { openClassifier: open } = (window as unknown as Window).idat;
      const classifier = await open('/plain/');
      const blob = await (await fetch(address)).blob();
      const bitmap = await createImageBitmap(blob);
      const { width, height } = bitmap;
      const canvas = Object.assign(document.createElement('canvas'), { width, height });
      canvas.getContext('2d')!.drawImage(bitmap, 0, 0);
      const offscreen = new OffscreenCanvas(width, height);
      const context = offscreen.getContext('2d')!;
      context.drawImage(bitmap, 0, 0);
      const pixels = context.getImageData(0, 0, width, height);
      const frame = new VideoFrame(bitmap, { timestamp: 0 });
      const bytes = new Uint8Array(await blob.arrayBuffer());
      const all = await classifier.logits([blob, bytes, pixels, canvas, offscreen, bitmap, frame]);
      frame.close();
      const again = await classifier.logits(bitmap); // what is the page's stays the page's
      // a camera's frames are on their way through colours of their own
      const stream = canvas.captureStream();
      const video = Object.assign(document.createElement('video'), { srcObject: stream, muted: true });
      const early = await classifier.classify([document.createElement('video')]);
      const drawing = setInterval(() => canvas.getContext('2d')!.drawImage(bitmap, 0, 0), 30); // a still gives no frames
      await video.play();
      const [ofVideo] = await classifier.logits([video]);
      clearInterval(drawing);
      await classifier.close();
      const rows = [...all, again].map((row) => Array.from(row));
      return { rows, ofVideo: Array.from(ofVideo!), early: early[0]!.error };
    }, path!);
    for (const row of answers.rows) expect(row).toEqual(answers.rows[0]);
    expect(answers.ofVideo).toHaveLength(3);
    expect(answers.ofVideo.every((x, k) => Math.abs(x - answers.rows[0]![k]!) < 1)).toBe(true);
    expect(answers.early).toContain('has no frame yet');
  });

  it('turns to another adapter and back', async () => {
    const there = await openClassifier(at('other'), { threads: 1 });
    const expected = await there.logits([...pictures.values()]);
    await there.close();
    const { before, other, after } = await page.evaluate(
      async (paths) => {
        const { openAdapter, openClassifier: open } = (window as unknown as Window).idat;
        const classifier = await open('/base/model.onnx');
        const blobs = await Promise.all(paths.map(async (path) => (await fetch(path)).blob()));
        const [own, second] = [
          await openAdapter('/base/adapter.safetensors'),
          await openAdapter('/others/adapter.safetensors'),
        ];
        const asked = [classifier.logits(blobs)];
        void classifier.use(second);
        asked.push(classifier.logits(blobs));
        void classifier.use(own);
        asked.push(classifier.logits(blobs));
        const rows = (await Promise.all(asked)).map((some) => some.map((row) => Array.from(row)));
        await classifier.close();
        return { before: rows[0]!, other: rows[1]!, after: rows[2]! };
      },
      [...pictures.keys()],
    );
    expect(after).toEqual(before);
    for (const [i, row] of other.entries()) {
      expect(Math.max(...row.map((x, k) => Math.abs(x - expected[i]![k]!)))).toBeLessThan(1e-3);
    }
    expect(other).not.toEqual(before);
  });

  it('says in a sentence what is wrong, and stops when it is asked to', async () => {
    const codes = await page.evaluate(async () => {
      const { openClassifier: open } = (window as unknown as Window).idat;
      const codeOf = (asked: Promise<unknown>) =>
        asked.then(
          () => 'none',
          ({ code }) => code as string,
        );
      const classifier = await open('/plain/');
      const [broken] = await classifier.classify([new Blob(['no image'])]);
      const pixels = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) };
      const stop = new AbortController();
      const many = codeOf(classifier.classify(Array(500).fill(pixels), { signal: stop.signal }));
      setTimeout(() => stop.abort(), 10);
      const found = {
        page: await codeOf(open('/nowhere/model.onnx')),
        foreign: await codeOf(open(new Blob(['no model']))),
        source: await codeOf(classifier.classify({} as Blob)),
        stopped: await many,
        later: (await classifier.classify(pixels)).predictions.length,
      };
      await classifier.close();
      return { ...found, broken: broken!.error, closed: await codeOf(classifier.classify(pixels)) };
    });
    expect(codes).toEqual({
      page: 'fetch.page',
      foreign: 'onnx.format',
      source: 'image.source',
      stopped: 'run.interrupted',
      later: 3,
      broken: expect.stringContaining('image 1: not a JPEG'),
      closed: 'classifier.closed',
    });
    expect(browser.foreign).toEqual([]);
  });

  it('the page of docs/deploy.md names what a camera sees', async () => {
    const [, html] = /^```html\n([\s\S]*?)^```$/m.exec(readFileSync('docs/deploy.md', 'utf8'))!;
    const camera = await browser.open();
    const wrong: string[] = [];
    camera.on('pageerror', (error) => wrong.push(`${error}`));
    await camera.evaluate(() => {
      const canvas = document.createElement('canvas');
      setInterval(() => canvas.getContext('2d')!.fillRect(0, 0, 300, 150), 30);
      const getUserMedia = async () => canvas.captureStream();
      Object.defineProperty(navigator, 'mediaDevices', { value: { getUserMedia } });
    });
    const here = html!.replaceAll('/node_modules/idat/', '/').replace("'/model/", "'/plain/");
    await camera.setContent(here);
    const said = camera.locator('output');
    const answer = async () => (await said.textContent()) || wrong.join();
    await expect.poll(answer, { timeout: 30_000 }).toMatch(/^(blue|green|red|none of these)$/);
    expect(wrong).toEqual([]);
    await camera.close();
  });

  it('a run of the browser is classified with, as Node does', async () => {
    const names = readdirSync(at('run')).filter((name) => statSync(join(at('run'), name)).isFile());
    const { writeZip } = await import('../src/files/web/zip.js');
    const zip = writeZip(names.map((name) => ({ name: `run/${name}`, bytes: readFileSync(join(at('run'), name)) })));
    const base64 = Buffer.from(await zip.arrayBuffer()).toString('base64');
    const here = await openClassifier(at('run'), { threads: 1 });
    const expected = await here.logits([...pictures.values()]);
    await here.close();
    const rows = await page.evaluate(
      async ([text, paths, weights]) => {
        type Training = typeof import('../src/browser.js');
        const training = await (window as unknown as { training: () => Promise<Training> }).training();
        await training.importRun(await (await fetch(`data:application/zip;base64,${text}`)).blob(), 'run');
        const classifier = await training.openClassifier('run', weights);
        const blobs = await Promise.all(paths.map(async (path) => (await fetch(path)).blob()));
        const got = (await classifier.logits(blobs)).map((row) => Array.from(row));
        await classifier.close();
        return got;
      },
      [base64, [...pictures.keys()], `/assets/models/${STUDENT}.safetensors`] as const,
    );
    for (const [i, row] of rows.entries()) {
      expect(Math.max(...row.map((x, k) => Math.abs(x - expected[i]![k]!)))).toBeLessThan(1e-3);
    }
  });
});
