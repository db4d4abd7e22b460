/** The page of `idat serve`, as a visitor uses it. Needs Chromium, and Firefox for one test; what is not there is left out. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readZip, writeZip } from '../src/files/web/zip.js';
import { openClassifier, predict } from '../src/index.js';
import { type PageServer, servePage } from '../src/page/node/server.js';
import { writeSite } from '../src/page/node/site.js';
import { BUNDLED } from '../src/settings/fields.js';
import { CHROMIUM, hasChromium, serve } from './browser-support.js';
import { hasFirefox, startFirefox } from './firefox-support.js';
import { temporaryFolder } from './train-support.js';

const root = temporaryFolder();
/** As soon as a busy machine has come to it. */
const soon = <T>(look: () => T | Promise<T>) => expect.poll(look, { timeout: 90_000 });
afterAll(() => rmSync(root, { recursive: true }));

/** Pictures of two kinds of land, a folder each, and what is none. */
async function visitorsZip(perClass: number): Promise<Buffer<ArrayBuffer>> {
  const counts = new Map<string, number>();
  const files: { name: string; bytes: Uint8Array }[] = [];
  for (const { name, read } of await readZip(new Blob([readFileSync('dist/page/example.zip')]))) {
    const kind = name.split('/')[0]!;
    const count = counts.get(kind) ?? 0;
    if (!/Forest|Highway/.test(kind) || count === perClass) continue;
    counts.set(kind, count + 1);
    files.push({ name, bytes: await read() });
  }
  files.push({ name: 'Forest/broken.jpg', bytes: new Uint8Array(900).fill(7) });
  files.push({ name: 'Forest/notes.txt', bytes: new Uint8Array(10) });
  return Buffer.from(await writeZip(files).arrayBuffer());
}

const launch = (profile: string, ...more: string[]): Promise<BrowserContext> =>
  chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: [
      ...['--no-sandbox', '--disable-dev-shm-usage', '--use-fake-device-for-media-stream', ...more],
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
  });

/** Gives a picture to the open model and waits until it has been looked at. */
async function tries(column: Locator, buffer: Buffer): Promise<void> {
  const files = { name: 'p.jpg', mimeType: 'image/jpeg', buffer };
  await column.getByLabel('A picture', { exact: true }).setInputFiles(files);
  await column.locator('.tried canvas').waitFor();
}

describe.skipIf(!hasChromium)('a visitor', { timeout: 240_000 }, () => {
  let server: PageServer;
  let context: BrowserContext;
  let page: Page;
  const asked: string[] = [];
  const everything: string[] = [];
  const problems: string[] = [];
  /** What was trained quickly, as it was taken away, and a picture that it was tried on. */
  let zip: string;
  let picture: Buffer;
  const notices = () => page.locator('.notice').allTextContents();
  const button = (name: string | RegExp) => page.getByRole('button', { name });
  const column = (name: string) => page.locator(`section[aria-labelledby=${name}]`);
  const saved = async (name: string | RegExp): Promise<string> => {
    const [download] = await Promise.all([page.waitForEvent('download'), button(name).click()]);
    const path = join(root, download.suggestedFilename());
    await download.saveAs(path);
    return path;
  };
  const passes = async (count: number) => {
    if ((await page.locator('details[open]').count()) === 0) await page.getByText('Advanced').click();
    await page.getByLabel('Picture size').selectOption('32');
    await page.getByLabel(/^Passes/).fill(`${count}`);
    await page.getByLabel(/^Passes/).blur();
  };

  beforeAll(async () => {
    server = await servePage(0);
    context = await launch(join(root, 'profile'), '--use-fake-ui-for-media-stream');
    // what the service worker keeps for later is not asked for by the page
    context.on('request', (one) => {
      everything.push(one.url());
      if (!one.serviceWorker()) asked.push(one.url());
    });
    page = await context.newPage();
    page.on('pageerror', (error) => problems.push(error.message));
    await page.goto(server.url);
  }, 60_000);
  afterAll(async () => {
    await context?.close();
    await server?.close();
  });

  it('is told what is missing, and adds pictures from an archive and the camera', async () => {
    await soon(() => column('train').textContent()).toContain('Add pictures of at least two classes');
    expect(await button(/^Train/).isDisabled()).toBe(true);
    const pictures = { name: 'land.zip', mimeType: 'application/zip', buffer: await visitorsZip(8) };
    await page.getByLabel('Files', { exact: true }).first().setInputFiles(pictures);
    await soon(() => page.locator('.thumbnails li').count()).toBe(16);
    await soon(notices).toEqual([expect.stringContaining('broken.jpg cannot be read')]);
    await page.getByLabel('Remove Forest', { exact: false }).first().click();
    await soon(() => page.locator('.thumbnails li').count()).toBe(15);
    await button('+ Add a class').click();
    const card = page.locator('.class').last();
    for (const kind of ['dragover', 'drop']) {
      const dataTransfer = await page.evaluateHandle(() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(['words'], 'notes.txt'));
        return transfer;
      });
      await card.dispatchEvent(kind, { dataTransfer });
      await soon(() => page.locator('.whole.over').count()).toBe(kind === 'drop' ? 0 : 1);
    }
    await soon(notices).toContainEqual(expect.stringContaining('1 file is no picture'));
    await card.getByLabel('Name of the class').fill('Test card');
    await card.getByRole('button', { name: 'Camera' }).click();
    const record = card.getByRole('button', { name: 'Hold to record' });
    await record.hover();
    await soon(() => record.isEnabled()).toBe(true);
    await page.mouse.down();
    await soon(() => card.locator('.thumbnails li').count()).toBeGreaterThanOrEqual(6);
    await page.mouse.up();
    await card.getByRole('button', { name: 'Close' }).click();
    // nothing that trains or runs a model has been fetched for this
    expect(asked.filter((url) => /wasm|training|models|engine/.test(url))).toEqual([]);
  });

  it('trains quickly, sees what came out, tries it live, and takes it away', async () => {
    await page.getByLabel(/^Quick/).check();
    await passes(2);
    await button(/^Train$/).click();
    await page.locator('.outcome').waitFor({ timeout: 180_000 });
    expect(await page.locator('.outcome').textContent()).toMatch(
      /right of \d+ pictures it had never seen.*between \d+ and \d+ %/,
    );
    await page.locator('.byclass li').first().waitFor({ timeout: 60_000 });
    expect(await page.locator('.byclass li').count()).toBe(3);
    if ((await page.locator('.answers canvas').count()) === 0) await button(/^Right/).click();
    const drawn = page.locator('.answers canvas').first();
    await soon(() => drawn.evaluate((canvas: HTMLCanvasElement) => canvas.width)).toBe(160);

    await column('try').getByRole('button', { name: 'Camera' }).click();
    const best = column('try').locator('.bars .best');
    await soon(() => best.textContent()).toMatch(/^Test card(9\d|100) %$/);

    await column('try').getByRole('button', { name: 'Camera off' }).click();
    const [entry] = (await readZip(new Blob([await visitorsZip(1)]))).filter(({ name }) => name.startsWith('Highway'));
    picture = Buffer.from(await entry!.read());
    await tries(column('try'), picture);
    const bars = async () =>
      (await column('try').locator('.bars output').allTextContents()).map((text) => Number.parseInt(text, 10));
    const onnx = await saved('Model (.onnx)');
    zip = await saved(/run \(\.zip\)/);

    const run = join(root, 'run');
    mkdirSync(run);
    for (const { name, read } of await readZip(new Blob([readFileSync(zip)]))) {
      writeFileSync(join(run, name.split('/').at(-1)!), await read());
    }
    const [told] = await predict(run, [picture]);
    const classes = JSON.parse(readFileSync(join(run, 'classes.json'), 'utf8')) as string[];
    const inNode = classes.map((label) => told!.predictions.find((one) => one.label === label)!.probability);
    expect((await bars()).map((percent, i) => Math.abs(percent - 100 * inNode[i]!) <= 1)).toEqual([true, true, true]);
    const classifier = await openClassifier(onnx);
    const { predictions } = await classifier.classify(picture);
    await classifier.close();
    for (const { label, probability } of predictions) {
      expect(probability).toBeCloseTo(inNode[classes.indexOf(label)]!, 2);
    }
  });

  it('stops a longer training, closes the page, and goes on', async () => {
    await page.getByLabel(/^Normal/).check();
    await passes(3);
    await button('Train anew').dblclick();
    await page.locator('.chart').first().waitFor({ timeout: 120_000 });
    await soon(() =>
      page
        .locator('.left')
        .textContent()
        .catch(() => ''),
    ).toMatch(/Pass [23] of 3/);
    await button('Stop and save').click();
    await page.locator('.unfinished').waitFor({ timeout: 60_000 });
    // a second tab waits for the first
    const other = await context.newPage();
    await other.goto(server.url);
    await other.locator('.elsewhere').waitFor();
    expect(await other.locator('.unfinished').count()).toBe(0);
    await page.close();
    page = other;
    await page.locator('.unfinished').waitFor({ timeout: 30_000 });
    expect(await page.locator('.unfinished').textContent()).toMatch(
      /was stopped .* is saved.*Back to the model before/s,
    );
    await button('Go on').click();
    await page.locator('.outcome').waitFor({ timeout: 180_000 });
    await page.locator('.byclass li').first().waitFor({ timeout: 60_000 });
    expect(await page.locator('.chart').first().textContent()).toContain('pass 3');
  });

  it('opens a kept model, and goes back to its own; one that cannot be opened changes nothing', async () => {
    const runs = () =>
      page.evaluate(async () => {
        let folder = await navigator.storage.getDirectory();
        for (const name of ['idat', 'runs']) folder = await folder.getDirectoryHandle(name);
        let count = 0;
        for await (const _ of folder as unknown as AsyncIterable<unknown>) count++;
        return count;
      });
    const open = async (buffer: Buffer) => {
      const files = [{ name: 'kept.zip', mimeType: 'application/zip', buffer }];
      await page.getByLabel('Open a kept model', { exact: false }).setInputFiles(files);
    };
    const before = await runs();
    const kept = readFileSync(zip);
    const foreign = await Promise.all(
      (await readZip(new Blob([kept]))).map(async ({ name, read }) => {
        const text = name.endsWith('config.json') ? Buffer.from(await read()).toString() : null;
        return { name, bytes: text ? Buffer.from(text.replaceAll(BUNDLED.student, 'vit_of_others')) : await read() };
      }),
    );
    await open(Buffer.from(await writeZip(foreign).arrayBuffer()));
    await soon(notices).toEqual([expect.stringContaining('trained over vit_of_others')]);
    expect([await runs(), await page.locator('.byclass li').count()]).toEqual([before, 3]);
    await button('Dismiss').click();
    await tries(column('try'), picture);

    await open(kept);
    await soon(() => page.locator('.byclass').count()).toBe(0);
    await soon(() => button('Model (.onnx)').isEnabled()).toBe(true);
    expect(await runs()).toBe(before + 1);
    await button('Back to the model before').click();
    await soon(() => page.locator('.byclass li').count()).toBe(3);
    expect([await runs(), await notices()]).toEqual([before, []]);
  });

  it('opens and predicts without a network, and nobody else was asked for anything', async () => {
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await server.close();
    await page.reload();
    await page.locator('.thumbnails li').first().waitFor();
    await soon(() => page.locator('.byclass li').count()).toBe(3);
    expect(everything.filter((url) => !url.startsWith(server.url) && !/^(blob|data):/.test(url))).toEqual([]);
    expect(problems).toEqual([]);
  });
});

describe.skipIf(!hasChromium)('on a plain host, below another page', { timeout: 120_000 }, () => {
  it('says in a sentence what is refused or missing, and loses nothing', async () => {
    const folder = join(root, 'host');
    await writeSite(join(folder, 'deep/er'));
    writeFileSync(join(folder, 'deep/er', 'mine.txt'), '');
    await expect(writeSite(join(folder, 'deep/er'))).rejects.toMatchObject({ code: 'page.folder' });
    // this host answers with a page for what it lacks
    const host = await serve(folder);
    const context = await launch(join(root, 'other-profile'));
    try {
      const page = await context.newPage();
      rmSync(join(folder, 'deep/er/models'), { recursive: true });
      await page.goto(`${host.url}/deep/er/index.html`);
      await soon(() => page.locator('footer').textContent()).toContain('nothing here needs it');
      expect(await page.locator('.loading').count()).toBe(0);
      await page.getByRole('button', { name: 'Use example pictures' }).click();
      await soon(() => page.locator('.thumbnails li').count()).toBeGreaterThan(100);
      await soon(() => page.getByRole('button', { name: 'Train', exact: true }).isEnabled()).toBe(true);
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      const notice = page.locator('.notice');
      await soon(() => notice.allTextContents()).toEqual([expect.stringContaining('a page (HTML)')]);
      // a model of the visitor's own needs none of the host's
      await page.getByText('Advanced').click();
      const own = join('assets/models', `${BUNDLED.teacher}.safetensors`);
      await page.getByLabel('A model of your own').setInputFiles(own);
      await page.getByLabel(/^Quick/).check();
      await page.getByRole('button', { name: 'Train', exact: true }).click();
      await page.locator('.outcome').waitFor({ timeout: 60_000 });
      await page.locator('.class').first().getByRole('button', { name: 'Camera' }).click();
      await soon(() => notice.last().textContent()).toContain('camera was refused');
      // what an earlier version of the page left: a picture of no class
      const facts = (change: boolean) =>
        page.evaluate(async (add) => {
          const done = <T>(request: IDBRequest<T>) =>
            new Promise<T>((resolve) => {
              request.onsuccess = () => resolve(request.result);
            });
          const store = (await done(indexedDB.open('idat-page')))
            .transaction('pictures', 'readwrite')
            .objectStore('pictures');
          if (add) await done(store.put({ ...(await done(store.getAll()))[0], id: 'lost', classId: 'c99' }));
          return (await done(store.getAllKeys())).includes('lost');
        }, change);
      expect(await facts(true)).toBe(true);
      await page.reload();
      await soon(() => page.locator('.thumbnails li').count()).toBeGreaterThan(100);
      await soon(() => facts(false)).toBe(false);

      const nothingKept = await context.newPage();
      await nothingKept.addInitScript(() => {
        Object.defineProperty(StorageManager.prototype, 'getDirectory', { value: undefined });
        Object.defineProperty(IDBFactory.prototype, 'open', { value: undefined });
      });
      await nothingKept.goto(`${host.url}/deep/er/index.html`);
      const said = nothingKept.locator('.notice');
      await soon(() => said.allTextContents()).toEqual([
        expect.stringContaining('keeps no files for pages'),
        expect.stringContaining('keeps nothing for this page'),
      ]);
      await nothingKept.getByRole('button', { name: 'Use example pictures' }).click();
      await soon(() => nothingKept.locator('.thumbnails li').count()).toBeGreaterThan(100);
    } finally {
      await context.close();
      host.close();
    }
  });
});

describe.skipIf(!hasFirefox)('a visitor with Firefox', { timeout: 120_000 }, () => {
  it('adds pictures, trains, and sees what came out', async () => {
    const server = await servePage(0);
    const firefox = await startFirefox(server.url);
    try {
      const page = await firefox.blank();
      await page.goto(server.url);
      const count = (selector: string) => page.evaluate((wanted) => document.querySelectorAll(wanted).length, selector);
      /** Clicks what holds these words, once it may be clicked. */
      const click = (selector: string, words: string) =>
        soon(() =>
          page.evaluate(
            ([wanted, text]) => {
              const all = [...document.querySelectorAll<HTMLButtonElement>(wanted)];
              const found = all.find((one) => one.textContent?.startsWith(text) && !one.disabled);
              found?.click();
              return found !== undefined;
            },
            [selector, words] as const,
          ),
        ).toBe(true);
      await soon(() => count('.class')).toBe(2);
      await page.setFiles('.class input[type=file]', [resolve('dist/page/example.zip')]);
      await soon(() => count('.thumbnails li')).toBe(120);
      await click('label', 'Quick');
      await click('button', 'Train');
      await soon(() => count('.outcome')).toBe(1);
      await soon(() => count('.byclass li')).toBe(4);
      expect(await page.evaluate(() => document.querySelector('.outcome')!.textContent)).toMatch(
        /^[4-9]\d%right of 24 /,
      );
      expect(await count('.notice')).toBe(0);
      expect(firefox.foreign).toEqual([]);
    } finally {
      await firefox.close();
      await server.close();
    }
  });
});
