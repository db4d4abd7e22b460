/** Reports of runs and sweeps: what is written, what is made anew, and how the pages are in a real browser. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fineTune, IdatError, type Report, report } from '../src/index.js';
import { BROWSER, IN_BROWSER, openFile, startBrowser, type Visit } from './browser.js';
import { pageFacts } from './page-facts.mjs';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

/** A folder of that name is a class. */
const HOSTILE = '<img src=x onerror=alert(1)> & "it\'s"';
const LONG = `a-class-whose-name-is-${'very-'.repeat(12)}long`;

const root = temporaryFolder();
const run = join(root, 'run');
const sweep = join(root, 'sweep');
/** The file, without the letters that pictures are encoded in. */
const wordsOf = (path: string) => readFileSync(path, 'utf8').replace(/base64,[A-Za-z\d+/=]+/g, '');

let ofRun: Report;
let ofSweep: Report;

beforeAll(async () => {
  const data = await makeImageFolder(root, 16);
  renameSync(join(data, 'red'), join(data, HOSTILE));
  renameSync(join(data, 'green'), join(data, LONG));
  await fineTune({ ...settings(data, run), variant: 'iDAT-S-mse', evalEvery: 1 });
  ofRun = await report(run, { tensorboard: join(root, 'events') });

  mkdirSync(sweep);
  const lines = [1, 2, 3].flatMap((seed) =>
    ['alone', LONG].map((row, r) => {
      const name = `${HOSTILE.replaceAll('/', '')}/${row}/seed-${seed}`;
      cpSync(join(run, 'metrics.jsonl'), join(sweep, `${row}-${seed}`, 'metrics.jsonl'), { recursive: true });
      const counts = { accuracy: (50 + seed * r) / 100, correct: 50 + seed * r, total: 100 };
      const about = { name, task: HOSTILE, row, paperRow: r + 1, seed, protocol: 'last', run: `${row}-${seed}` };
      return { ...about, ...counts, trainAccuracy: 0.9 + seed / 30, seconds: 60 };
    }),
  );
  writeFileSync(
    join(sweep, 'results.jsonl'),
    `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"name":"x","accuracy":7}\n`,
  );
  const failed = [{ name: 'x/alone/seed-4', code: 'train.diverged', message: 'the loss is <b>not</b> a number' }];
  const plan = { says: 'What <i>it</i> is for.', against: 'alone' };
  writeFileSync(join(sweep, 'sweep.json'), JSON.stringify({ format: 'idat-sweep-1', plan, failed }));
  ofSweep = await report(sweep);
}, 180_000);
afterAll(() => rmSync(root, { recursive: true }));

describe('the report of a run', () => {
  it('is a file of bounded size, with nothing left out', () => {
    expect(ofRun).toMatchObject({ of: 'run', path: join(run, 'report.html'), missing: [] });
    expect(ofRun.bytes).toBe(statSync(ofRun.path).size);
    expect(ofRun.bytes).toBeLessThan(3e6);
    expect(ofRun.events).toHaveLength(1);
    const text = wordsOf(ofRun.path);
    expect(text).not.toMatch(/<img src=x|<script|NaN|undefined|\[object/);
    expect(text).toContain('&lt;img src=x onerror=alert(1)&gt; &amp; &quot;it&#39;s&quot;');
    expect(text).toContain('idat train colours --student vit_micro_patch4_32.cifar10');
    expect(text).not.toContain(root);
  });

  it('reuses pictures that are there and fit the run, and makes the others again', async () => {
    const before = readFileSync(ofRun.path);
    const folder = join(run, 'analysis');
    const times = () =>
      Object.fromEntries(readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mtimeMs]));
    const old = times();
    expect((await report(run, { out: join(root, 'again.html') })).missing).toEqual([]);
    expect(times()).toEqual(old);
    expect(readFileSync(join(root, 'again.html')).equals(before)).toBe(true);

    // made before the run's end; with a script in it
    utimesSync(join(folder, 'calibration.json'), 1, 1);
    const confusion = join(folder, 'confusion.svg');
    writeFileSync(confusion, readFileSync(confusion, 'utf8').replace('</svg>', '<script>alert(1)</script></svg>'));
    await report(run, { out: join(root, 'again.html') });
    expect(readFileSync(join(root, 'again.html')).equals(before)).toBe(true);
    const changed = Object.entries(times()).filter(([name, time]) => time !== old[name]);
    expect(changed.map(([name]) => name.replace(/\..*/, '')).sort()).toEqual([
      ...['calibration', 'calibration', 'calibration', 'confusion', 'confusion', 'confusion'],
    ]);
  }, 60_000);

  it('shows what has too many shapes as pixels, so that a page stays small', async () => {
    const large = join(root, 'large');
    cpSync(run, large, { recursive: true, preserveTimestamps: true });
    const path = join(large, 'analysis', 'confusion.svg');
    const shapes = Array.from(
      { length: 20_000 },
      (_, i) => `<rect x="${i % 200}" y="${i % 100}" width="9" height="9"/>`,
    );
    writeFileSync(path, readFileSync(path, 'utf8').replace('</svg>', `${shapes.join('\n')}</svg>`));
    const { bytes } = await report(large, { only: ['confusion'] });
    expect(bytes).toBeLessThan(400_000);
    const text = readFileSync(join(large, 'report.html'), 'utf8');
    expect(text).toMatch(/<img alt="What is taken for what\. [^"]*" src="data:image\/jpeg;base64,/);
  });

  it('shows what is asked for', async () => {
    const out = join(root, 'some.html');
    await report(run, { out, only: ['confusion', 'umap'], without: ['umap'] });
    const titles = [...readFileSync(out, 'utf8').matchAll(/<h3>([^<]+)<\/h3>/g)].map(([, title]) => title);
    expect(titles).toContain('What is taken for what');
    expect(titles).not.toContain('UMAP');
    expect(titles).not.toContain('Calibration');
  });

  it('is written where pictures cannot be made, and says why', async () => {
    const moved = join(root, 'moved');
    cpSync(run, moved, { recursive: true });
    rmSync(join(moved, 'analysis'), { recursive: true });
    const config = JSON.parse(readFileSync(join(moved, 'config.json'), 'utf8'));
    config.settings.data = config.data.source = join(root, 'gone');
    writeFileSync(join(moved, 'config.json'), JSON.stringify(config));
    const { missing, path } = await report(moved, { without: ['weights'] });
    expect(missing).toEqual([expect.stringMatching(/^attention, tsne.* is not shown: .*gone/)]);
    expect(readFileSync(path, 'utf8')).toContain('is not shown: ');
  });

  it('of a run that has not ended says so', async () => {
    const open = join(root, 'open');
    cpSync(run, open, { recursive: true });
    for (const name of ['result.json', 'analysis']) rmSync(join(open, name), { recursive: true });
    const { path } = await report(open);
    expect(readFileSync(path, 'utf8')).toContain('This run has not ended: 3 of 3 epochs are behind it');
  });

  it.each([
    ['a folder without a run', () => report(root), 'run.missing'],
    ['an unknown analysis', () => report(run, { without: ['weigths' as never] }), 'analysis.only'],
    ['an analysis of a sweep', () => report(sweep, { only: ['umap'] }), 'report.sweep'],
    ['a file in place of the sweep’s', () => report(sweep, { out: join(sweep, 'results.jsonl') }), 'export.overwrites'],
    ['a row of a single run', () => report(run, { against: 'alone' }), 'report.against'],
    ['a row that is not there', () => report(sweep, { against: 'alon' }), 'report.against'],
    ['a file in place of the run’s', () => report(run, { out: join(run, 'config.json') }), 'export.overwrites'],
    ['a folder that is not there', () => report(sweep, { out: join(root, 'none', 'x.html') }), 'report.out'],
  ])('%s is refused in a sentence', async (_, action, code) => {
    const error = await action().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(IdatError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(/^[^\n]{20,}$/) });
  });
});

describe('the report of a sweep', () => {
  it('passes over lines that are none, and says so', () => {
    expect(ofSweep.missing).toEqual(['1 line of results.jsonl is none of idat’s']);
    const text = wordsOf(ofSweep.path);
    expect(text).toContain('What &lt;i&gt;it&lt;/i&gt; is for.');
    expect(text).toContain('the loss is &lt;b&gt;not&lt;/b&gt; a number');
    expect(text).not.toMatch(/<img src=x|<script|NaN|undefined|\[object/);
  });
});

describe.skipIf(BROWSER === null)(IN_BROWSER, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());

  const PHONE = { width: 390, height: 844 };
  const DESK = { width: 1280, height: 900 };
  const visits: [string, 'run' | 'sweep', Visit][] = (['run', 'sweep'] as const).flatMap((of) =>
    (['light', 'dark'] as const).flatMap((colorScheme): [string, 'run' | 'sweep', Visit][] => [
      [`a ${of} on a phone, ${colorScheme}`, of, { ...PHONE, colorScheme }],
      [`a ${of} on a desk, ${colorScheme}`, of, { ...DESK, colorScheme }],
    ]),
  );

  it.each(visits)('%s: complains of nothing, asks for nothing, fits', async (_, of, visit) => {
    const { page, complaints, requests } = await openFile(browser, (of === 'run' ? ofRun : ofSweep).path, visit);
    const found = await page.evaluate(pageFacts);
    expect(complaints).toEqual([]);
    expect(requests).toEqual([]);
    expect(found.title).toBe(`${of} · idat`);
    expect(found.width).toBe(visit.width);
    expect(new Set(found.ids).size).toBe(found.ids.length);
    const { undescribed, headsWithoutScope, headings, deadLinks, overflowing } = found;
    expect({ undescribed, headsWithoutScope, headings, deadLinks, overflowing }).toEqual({
      ...{ undescribed: 0, headsWithoutScope: 0, headings: 0, deadLinks: 0, overflowing: 0 },
    });
    expect(found.tables).toBeGreaterThanOrEqual(of === 'run' ? 2 : 5);
    expect(found.charts).toBeGreaterThanOrEqual(of === 'run' ? 14 : 4);
    if (visit.colorScheme === 'dark') {
      expect(found.ground).toBeLessThan(40);
      expect(Math.min(found.words, found.chartWords)).toBeGreaterThan(150);
    } else {
      expect(found.ground).toBeGreaterThan(230);
      expect(Math.max(found.words, found.chartWords)).toBeLessThan(120);
    }
    await page.context().close();
  });

  it('would run no script and load nothing, even if somebody’s words were HTML', async () => {
    const broken = join(root, 'broken.html');
    const bad = '<script>document.title="run"</script><img src="https://example.org/x.png" onerror="document.title=1">';
    writeFileSync(broken, readFileSync(ofSweep.path, 'utf8').replace('<main>', `<main>${bad}`));
    const { page, complaints, requests } = await openFile(browser, broken, { ...PHONE, colorScheme: 'light' });
    expect(await page.title()).toBe('sweep · idat');
    expect(complaints.filter((text) => /Content Security Policy/.test(text)).length).toBeGreaterThanOrEqual(2);
    expect(requests.filter((url) => !url.startsWith('https://example.org'))).toEqual([]);
    await page.context().close();
  });
});
