/** Reports of runs and sweeps: what is written, and what is made anew. Their pages in a browser: report.browser.test.ts. */
import { cpSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IdatError, type Report, report } from '../src/index.js';
import { makeReports } from './report-support.js';
import { temporaryFolder } from './train-support.js';

const root = temporaryFolder();
const run = join(root, 'run');
const sweep = join(root, 'sweep');
/** The file, without the letters that pictures are encoded in. */
const wordsOf = (path: string) => readFileSync(path, 'utf8').replace(/base64,[A-Za-z\d+/=]+/g, '');

let ofRun: Report;
let ofSweep: Report;

beforeAll(async () => {
  ({ ofRun, ofSweep } = await makeReports(root));
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
