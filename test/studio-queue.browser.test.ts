/** The studio's view of a queue, on a real server, with what workers say of themselves. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseQueueUrl } from '../src/queue/address.js';
import { connect, loadEngine, type RedisClient } from '../src/queue/engine.js';
import { giveSign, type Sign } from '../src/queue/signs.js';
import { noteLane } from '../src/queue/snapshot.js';
import { type ServedStudio, serveStudio } from '../src/studio/server.js';
import { BROWSER, IN_BROWSER } from './browser.js';
import { freePort, SERVER, startServer, type TestServer } from './queue-support.js';
import { temporaryFolder } from './train-support.js';

const PASSWORD = 'not-for-the-page';
const root = temporaryFolder();
const sign = (name: string, more: Partial<Sign> = {}): Sign => ({
  ...{ name, lane: 'idat-lane', build: 'idat 0.1.0, ONNX Runtime 1.30.0', device: 'cpu', cores: 2, slots: 2, done: 3 },
  ...{ runs: [], lacks: [] },
  ...more,
});

describe.skipIf(BROWSER === null || SERVER === null)(`${IN_BROWSER}, with a server of queues`, () => {
  let port: number;
  let server: TestServer;
  let redis: RedisClient;
  let served: ServedStudio;
  let browser: Browser;
  const start = () => startServer(root, ['--requirepass', PASSWORD], port);

  beforeAll(async () => {
    mkdirSync(root, { recursive: true });
    port = await freePort();
    server = await start();
    process.env.IDAT_QUEUE_PASSWORD = PASSWORD;
    redis = await connect(await loadEngine(), parseQueueUrl(server.url, process.env));
    served = await serveStudio(join(root, 'runs'), { port: 0, queue: server.url });
    const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser = await chromium.launch({ executablePath: BROWSER!, args: asRoot });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    redis?.disconnect();
    await served?.close();
    await server?.stop();
    delete process.env.IDAT_QUEUE_PASSWORD;
    rmSync(root, { recursive: true });
  });

  it('shows workers, what each does, and says when the server is away', async () => {
    const page = await (await browser.newContext({ viewport: { width: 390, height: 844 } })).newPage();
    await page.goto(served.address);
    await page.getByRole('link', { name: 'Queue' }).click();
    await page.getByText('None is there.').waitFor();
    const run = { id: '1', name: 'eurosat/<b>mse</b>/seed-1', fraction: 0.4, secondsLeft: 65 };
    await noteLane(redis, 'idat', 'idat-lane');
    await giveSign(redis, 'idat', 'a', sign('idle', { lacks: ['the data set flowers (12 MB); put it into --data'] }));
    await giveSign(redis, 'idat', 'b', sign('busy', { runs: [run] }));
    await page.getByRole('heading', { name: '2 workers' }).waitFor();
    expect(await page.locator('[data-worker] h3').allTextContents()).toEqual(['busy', 'idle']);
    expect(await page.locator('[data-worker=busy]').textContent()).toContain(
      'eurosat/<b>mse</b>/seed-140 %, 1:05 left',
    );
    expect(await page.locator('[data-worker=idle]').textContent()).toContain('lacks the data set flowers');
    expect(await page.locator('.facts').textContent()).toContain('0 of 4 at a time');
    expect(await page.content()).not.toContain(PASSWORD);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
    if (process.env.IDAT_SHOTS) await page.screenshot({ path: join(process.env.IDAT_SHOTS, 'queue.png') });
    await server.stop();
    await page.getByRole('alert').getByText('does not answer').waitFor({ timeout: 20_000 });
    server = await start();
    await page.getByText('None is there.').waitFor({ timeout: 30_000 });
  }, 90_000);

  it('is not there without one', async () => {
    const plain = await serveStudio(join(root, 'plain'), { port: 0 });
    const page = await (await browser.newContext()).newPage();
    await page.goto(plain.address);
    await page.getByRole('heading', { name: 'No runs yet' }).waitFor();
    expect(await page.getByRole('link', { name: 'Queue' }).count()).toBe(0);
    await plain.close();
    await expect(serveStudio(join(root, 'wrong'), { port: 0, queue: `redis://:${PASSWORD}@` })).rejects.toMatchObject({
      code: 'config.queue',
    });
  });
});
