/**
 * The studio's page in a real browser, flow by flow, with trainings that take seconds. `IDAT_SHOTS=FOLDER` keeps pictures of what is
 * seen on the way.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ServedStudio, serveStudio } from '../src/studio/server.js';
import { BROWSER, IN_BROWSER } from './browser.js';
import { makeImageFolder, temporaryFolder } from './train-support.js';

const HOSTILE = '<img src=x onerror=alert(1)>';
const TEACHER = 'vit_nano_patch4_32.cifar10';
/** A training starts a process and reads weights, on a machine that may be busy. */
const LONG = 120_000;

const root = temporaryFolder();
const runs = join(root, 'runs');
const shots = process.env.IDAT_SHOTS;
let served: ServedStudio;
let browser: Browser;
let page: Page;
let data: string;
const complaints: string[] = [];
const foreign: string[] = [];

const shot = async (name: string, of = page) => {
  if (shots === undefined) return;
  mkdirSync(shots, { recursive: true });
  await of.evaluate(() => window.scrollTo(0, 0));
  await of.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
};

async function open(width: number, height: number, colorScheme: 'light' | 'dark'): Promise<Page> {
  const context = await browser.newContext({
    ...{ viewport: { width, height }, colorScheme },
    permissions: ['camera', 'clipboard-read', 'clipboard-write'],
  });
  const opened = await context.newPage();
  opened.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  opened.on('pageerror', (error) => complaints.push(`${error.stack}`));
  opened.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  opened.on('request', (request) => {
    if (!request.url().startsWith(served.url) && !/^(data|blob):/.test(request.url())) foreign.push(request.url());
  });
  await opened.goto(served.address);
  return opened;
}

/** By way of another view, so that a form is a fresh one. */
async function goTo(hash: string, of = page): Promise<void> {
  for (const to of ['#/compare', hash]) await of.goto(served.url + to);
}
const hero = () => page.locator('.hero');
const row = (name: string) => page.locator(`tr[data-run="${name}"]`);

/** Fills the form in. */
async function form(values: Readonly<Record<string, string>>): Promise<void> {
  await page.getByLabel('Pictures to learn from').selectOption('…');
  await page.getByLabel('Path of the pictures').fill(data);
  await page.getByText(/^All \d+ other settings/).click();
  // how a batch is cut is not measured then, which takes longer than these trainings
  const all = { ...values, microBatch: '8', threads: '1' };
  for (const [name, value] of Object.entries(all)) await page.locator(`#field-${name}`).fill(value);
}

describe.skipIf(BROWSER === null)(IN_BROWSER, () => {
  beforeAll(async () => {
    data = await makeImageFolder(root, 8);
    served = await serveStudio(runs, { port: 0, dataRoots: [root], intervalMs: 200 });
    const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    const args = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', ...asRoot];
    browser = await chromium.launch({ executablePath: BROWSER!, args });
    page = await open(1280, 900, 'light');
    page.setDefaultTimeout(30_000);
  }, LONG);
  afterAll(async () => {
    await browser?.close();
    await served?.close();
    rmSync(root, { recursive: true });
  });

  it('begins with what to do when there is no run', async () => {
    await page.getByRole('heading', { name: 'No runs yet' }).waitFor();
    expect(page.url()).toBe(served.url);
    await shot('1-first-start');
    await page.getByRole('link', { name: 'Try it with the bundled ones' }).click();
    await page.locator('pre', { hasText: 'eurosat-100.zip' }).waitFor();
    await shot('2-form');
  });

  it('shows what is wrong at its field, and begins nothing', async () => {
    await goTo('#/new');
    await form({ epochs: '0', method: 'lora2', lr: 'fast' });
    await page.locator('[data-field=epochs] .wrong').waitFor();
    expect(await page.locator('[data-field=lr] .wrong').textContent()).toContain('got "fast"');
    await page.locator('#field-epochs').fill('2');
    await page.locator('#field-lr').fill('');
    await page.locator('[data-field=method] .wrong', { hasText: 'lora' }).waitFor();
    await shot('3-wrong-fields');
    await page.getByRole('button', { name: 'Start training' }).click();
    await page.waitForFunction(() => document.activeElement?.id === 'field-method');
    expect(readdirSync(runs)).toEqual([]);
  });

  it(
    'trains, stops and goes on, as is watched',
    async () => {
      await goTo('#/new');
      await form({ epochs: '400', teacher: TEACHER, batchSize: '8' });
      await page.locator('pre', { hasText: '--epochs 400' }).waitFor();
      await page.getByRole('button', { name: 'Start training' }).click();
      await page.getByRole('heading', { name: 'colours-iDAT-PS-mse-1' }).waitFor();
      await hero()
        .getByText(/epoch \d+ of 410/)
        .waitFor({ timeout: LONG });
      await page.locator('#curves').waitFor();
      await hero().getByText(/left/).waitFor();
      await shot('4-under-way');
      await page.getByRole('button', { name: 'Stop' }).click();
      await hero().getByText('stopped').waitFor();
      const [name] = readdirSync(runs);
      expect(existsSync(join(runs, name!, 'state.safetensors'))).toBe(true);
      const config = join(runs, name!, 'config.json');
      expect(JSON.parse(readFileSync(config, 'utf8')).settings).toMatchObject({ epochs: 400, teacher: TEACHER });
      await page.getByRole('button', { name: 'Go on' }).click();
      await hero().getByText('running').waitFor({ timeout: LONG });
      await page.getByRole('button', { name: 'Stop' }).click();
      await hero().getByText('stopped').waitFor({ timeout: LONG });
    },
    2 * LONG,
  );

  it(
    'says why a training failed',
    async () => {
      const empty = join(root, 'nothing-in-it');
      mkdirSync(empty);
      await goTo('#/new');
      await page.getByLabel('Pictures to learn from').selectOption('…');
      await page.getByLabel('Path of the pictures').fill(empty);
      await page.getByRole('button', { name: 'Start training' }).click();
      await page.locator('.why', { hasText: 'nothing-in-it' }).waitFor({ timeout: LONG });
      await shot('5-failed');
      await page.getByRole('link', { name: 'Change it and try again' }).click();
      await page.waitForFunction(() =>
        /nothing-in-it/.test(
          document.querySelector<HTMLInputElement>('[aria-label="Path of the pictures"]')?.value ?? '',
        ),
      );
      await goTo('#/');
      await page.locator('.job .why').waitFor();
      await page.getByRole('button', { name: 'Dismiss' }).click();
    },
    LONG,
  );

  it(
    'makes a sweep, and compares with and without the teacher',
    async () => {
      await goTo('#/new');
      await form({ epochs: '2', teacher: TEACHER, batchSize: '8' });
      await page.getByLabel('Several runs').check();
      await page.locator('#sweep-name').fill('both');
      await page.locator('#sweep-seeds').fill('1, 2');
      await page.getByLabel('Each also without the teacher').check();
      await page.getByRole('button', { name: 'Start 4 runs' }).click();
      await page.locator('.job[data-job=sweep]').waitFor();
      await page.locator('.job[data-job=sweep]').waitFor({ state: 'detached', timeout: 2 * LONG });
      await goTo('#/sweep/both');
      await page.locator('td .small', { hasText: /points \(/ }).waitFor();
      expect(await page.locator('#results ~ .card tbody tr').count()).toBe(2);
      expect(await page.locator('#settings ~ .card thead th').allTextContents()).toEqual([
        'run',
        'accuracy',
        'teacher',
        'seed',
      ]);
      expect(await page.locator('#curves ~ .figure svg path').count()).toBeGreaterThan(3);
      expect(existsSync(join(runs, 'both', 'results.jsonl'))).toBe(true);
      await shot('6-sweep');
    },
    3 * LONG,
  );

  const run = 'both/colours/taught/seed-1';

  it(
    'shows a run with its curves, its command and pictures that are made when asked for',
    async () => {
      await goTo(`#/run/${encodeURIComponent(run)}`);
      await hero().getByText('finished').waitFor();
      await page.locator('#curves ~ div figure').nth(4).waitFor();
      expect(await page.locator('pre').first().textContent()).toBe(
        `idat train ${data} --student vit_micro_patch4_32.cifar10 --teacher ${TEACHER} --method parallel-shared ` +
          '--distill mse --epochs 2 --batch-size 8 --seed 1 --protocol last',
      );
      await page.getByRole('button', { name: 'Copy' }).first().click();
      expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/^idat train .*--protocol last$/);
      await page.getByRole('button', { name: 'What is taken for what' }).click();
      await page.locator('[data-picture=confusion] svg').waitFor({ timeout: LONG });
      expect(existsSync(join(runs, run, 'analysis', 'confusion.svg'))).toBe(true);
    },
    LONG,
  );

  it(
    'names what is on a picture, and what the camera sees',
    async () => {
      await page.locator('#try ~ .card input[type=file]').setInputFiles(join(data, 'red', '0.png'));
      await page.locator('#try ~ .card .bars li').first().waitFor({ timeout: LONG });
      expect((await page.locator('#try ~ .card .bars li span').allTextContents()).sort()).toEqual([
        'blue',
        'green',
        'red',
      ]);
      await page.locator('#try ~ .card input[type=file]').setInputFiles(join(runs, run, 'config.json'));
      await page.locator('#try ~ .card .warn').waitFor();
      await page.getByRole('button', { name: 'Use the camera' }).click();
      await page.locator('#try ~ .card .bars li').first().waitFor();
      await page.getByRole('button', { name: 'Switch the camera off' }).click();
      expect(await page.locator('video').count()).toBe(0);
    },
    LONG,
  );

  it(
    'exports',
    async () => {
      await page.locator('#export ~ .two').getByRole('button', { name: 'Export' }).click();
      await page.locator('[data-done=export]').waitFor({ timeout: LONG });
      expect(readdirSync(join(runs, 'exports', 'both-colours-taught-seed-1-onnx')).sort()).toEqual([
        'README.md',
        'model.onnx',
      ]);
      await shot('7-run');
    },
    LONG,
  );

  it('keeps tags and notes, of any words', async () => {
    await page.getByLabel('Add a tag').fill(HOSTILE);
    await page.keyboard.press('Enter');
    await page.locator('.notes .tag', { hasText: 'onerror' }).waitFor();
    await page.getByRole('button', { name: 'Write a note' }).click();
    await page.getByLabel('Note', { exact: true }).fill(`${HOSTILE}\nsecond`);
    await page.getByRole('button', { name: 'Keep the note' }).click();
    await page.locator('.written', { hasText: 'second' }).waitFor();
    expect(await page.locator('img[src="x"]').count()).toBe(0);
  });

  it('takes a folder of pictures that is chosen, and a zip that is dropped', async () => {
    await goTo('#/new');
    await page.locator('input[webkitdirectory]').setInputFiles(data);
    await page.locator('.says', { hasText: '3 classes' }).waitFor();
    expect(readdirSync(join(runs, 'uploads', 'colours')).sort()).toEqual(['blue', 'green', 'red']);
    await page.locator('pre', { hasText: join(runs, 'uploads', 'colours') }).waitFor();
    const dropped = await page.evaluateHandle((base64) => {
      const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], 'euro.zip'));
      return data;
    }, readFileSync('assets/eurosat-100.zip').toString('base64'));
    await page.locator('.drop').dispatchEvent('drop', { dataTransfer: dropped });
    await page.locator('.says', { hasText: '10 classes, 100 pictures to learn from and 600' }).waitFor();
    expect(existsSync(join(runs, 'uploads', 'euro.zip'))).toBe(true);
  });

  it('removes a run, and has it back', async () => {
    await goTo('#/');
    const copy = `other ${HOSTILE}`;
    cpSync(join(runs, run), join(runs, copy), { recursive: true });
    await row(copy).waitFor();
    await row(copy).getByRole('checkbox').check();
    await page.getByRole('button', { name: 'Remove' }).click();
    await row(copy).waitFor({ state: 'detached' });
    expect(existsSync(join(runs, copy))).toBe(false);
    await page.getByRole('button', { name: 'Undo' }).click();
    await row(copy).waitFor();
    expect(existsSync(join(runs, copy, 'result.json'))).toBe(true);
  });

  it('lists forty runs, found, grouped and opened by the keyboard', async () => {
    for (let i = 0; i < 36; i++) {
      const dir = join(runs, 'many', `run-${i}`);
      cpSync(join(runs, run), dir, { recursive: true });
      if (i % 6 === 0) rmSync(join(dir, 'result.json'));
    }
    writeFileSync(join(runs, 'many', 'run-7', 'config.json'), '{');
    await goTo('#/');
    await row('many/run-35').waitFor();
    await shot('8-forty-runs');
    await page.getByLabel('Group by').selectOption('loss');
    expect(await page.locator('tr.group b').allTextContents()).toEqual(['mse', 'no teacher', 'unknown']);
    await page.keyboard.press('Escape');
    await page.locator('h1').click();
    await page.keyboard.press('/');
    await page.keyboard.type('run-3 ');
    await page.waitForFunction(() => document.querySelectorAll('tr[data-run]').length === 7);
    await page.getByLabel('Find runs').fill('both alone');
    await page.locator('h1').click();
    for (const key of ['j', 'x', 'j', 'x', 'c']) await page.keyboard.press(key);
    await page.getByRole('heading', { name: '2 runs side by side' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
  });

  it(
    'sees runs that another process makes, as they go on',
    async () => {
      await goTo('#/');
      await page.getByLabel('Find runs').fill('');
      const out = join(runs, 'by-hand');
      const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
      const args = ['train', data, '--epochs', '3', '--batch-size', '8', '--out', out];
      const training = new Promise((resolve) => execFile(process.execPath, [main, ...args], resolve));
      await row('by-hand').waitFor({ timeout: LONG });
      await row('by-hand').locator('.state.finished').waitFor({ timeout: LONG });
      expect(await training).toBe(null);
    },
    LONG,
  );

  it('shows what it learns between the drawing of a view and the frame after it', async () => {
    const context = await browser.newContext();
    const other = await context.newPage();
    let tell = (_: string) => {};
    const told = new Promise<string>((resolve) => {
      tell = resolve;
    });
    let asked = 0;
    await other.route('**/api/events', async (route) => {
      if (asked++ > 0) return; // what it asks when this stream has ended waits for ever
      await route.fulfill({ contentType: 'text/event-stream', body: await told });
    });
    await other.clock.install();
    await other.goto(served.address);
    await other.clock.pauseAt(Date.now() + 60_000);
    await other.getByText('Looking at the folder…').waitFor();
    await other.evaluate(() => {
      location.hash = '#/compare';
    });
    await other.locator('nav [aria-current][href="#/compare"]').waitFor();
    tell(`data: ${JSON.stringify((await served.studio.beginning(null))[0])}\n\n`);
    await other.waitForTimeout(500);
    await other.clock.runFor(2000);
    await other.getByRole('heading', { name: '0 runs side by side' }).waitFor();
    await context.close();
  });

  it(
    'fits a phone, light and dark, and leaves nothing behind',
    async () => {
      for (const [width, scheme] of [
        [390, 'light'],
        [390, 'dark'],
        [1280, 'dark'],
      ] as const) {
        const other = await open(width, 844, scheme);
        for (const hash of ['#/', `#/run/${encodeURIComponent(run)}`, '#/sweep/both', '#/new/try']) {
          await goTo(hash, other);
          await other.locator('h1').waitFor();
          await other.waitForTimeout(400);
          const facts = await other.evaluate(() => ({
            wide: document.documentElement.scrollWidth - innerWidth,
            over: [...document.querySelectorAll('main *')]
              .filter(
                (one) => !one.closest('.scroll,svg,.hidden') && one.getBoundingClientRect().right > innerWidth + 1,
              )
              .map((one) => one.outerHTML.slice(0, 80)),
            unnamed: [...document.querySelectorAll('button,input,select,textarea')]
              .filter(
                (one) =>
                  !one.textContent && !one.getAttribute('aria-label') && !(one as HTMLInputElement).labels?.length,
              )
              .map((one) => one.outerHTML.slice(0, 80)),
            ground: getComputedStyle(document.body).backgroundColor,
          }));
          expect([hash, facts.wide, facts.over, facts.unnamed]).toEqual([hash, 0, [], []]);
          expect(Number(/\d+/.exec(facts.ground)![0]) > 128).toBe(scheme === 'light');
          await shot(`9-${width}-${scheme}-${hash.replace(/\W+/g, '-').slice(0, 12)}`, other);
        }
        await other.context().close();
      }
      await expect.poll(() => served.studio.hub.size, { timeout: 10_000 }).toBe(1);
    },
    LONG,
  );

  it(
    'does not grow, however long it is used',
    async () => {
      const client = await page.context().newCDPSession(page);
      const counted = async () => {
        for (const hash of ['#/', `#/run/${encodeURIComponent(run)}`, '#/sweep/both', '#/new']) {
          await goTo(hash);
          await page.locator('h1').waitFor();
          await page.waitForTimeout(150);
        }
        await goTo('#/');
        await page.waitForTimeout(300);
        await client.send('HeapProfiler.collectGarbage');
        return client.send('Memory.getDOMCounters');
      };
      await counted();
      const before = await counted();
      for (let i = 0; i < 4; i++) await counted();
      const after = await counted();
      expect(after.jsEventListeners).toBeLessThan(before.jsEventListeners * 1.2 + 50);
      expect(after.nodes).toBeLessThan(before.nodes * 1.3 + 500);
      expect(served.studio.hub.size).toBe(1);
    },
    LONG,
  );

  it('complains of nothing and asks nobody else', () => {
    // a picture that is none is refused with a word; the browser tells its console of every refusal
    const own = complaints.filter((text) => !/status of 40\d/.test(text));
    expect(own).toEqual([]);
    expect(foreign).toEqual([]);
  });
});
