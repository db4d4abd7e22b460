/** The pages of reports in a real browser. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BROWSER, IN_BROWSER, openFile, startBrowser, type Visit } from './browser.js';
import { pageFacts } from './page-facts.mjs';
import { makeReports, type Reports } from './report-support.js';
import { temporaryFolder } from './train-support.js';

describe.skipIf(BROWSER === null)(IN_BROWSER, () => {
  const root = temporaryFolder();
  let browser: Browser;
  let reports: Reports;
  beforeAll(async () => {
    reports = await makeReports(root);
    browser = await startBrowser();
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(root, { recursive: true });
  });

  const PHONE = { width: 390, height: 844 };
  const DESK = { width: 1280, height: 900 };
  const visits: [string, 'run' | 'sweep', Visit][] = (['run', 'sweep'] as const).flatMap((of) =>
    (['light', 'dark'] as const).flatMap((colorScheme): [string, 'run' | 'sweep', Visit][] => [
      [`a ${of} on a phone, ${colorScheme}`, of, { ...PHONE, colorScheme }],
      [`a ${of} on a desk, ${colorScheme}`, of, { ...DESK, colorScheme }],
    ]),
  );

  it.each(visits)('%s: complains of nothing, asks for nothing, fits', async (_, of, visit) => {
    const { page, complaints, requests } = await openFile(
      browser,
      (of === 'run' ? reports.ofRun : reports.ofSweep).path,
      visit,
    );
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
    writeFileSync(broken, readFileSync(reports.ofSweep.path, 'utf8').replace('<main>', `<main>${bad}`));
    const { page, complaints, requests } = await openFile(browser, broken, { ...PHONE, colorScheme: 'light' });
    expect(await page.title()).toBe('sweep · idat');
    expect(complaints.filter((text) => /Content Security Policy/.test(text)).length).toBeGreaterThanOrEqual(2);
    expect(requests.filter((url) => !url.startsWith('https://example.org'))).toEqual([]);
    await page.context().close();
  });

  it.each([390, 700, 880, 1280])('lets no two numbers of a scale touch, %d pixels wide', async (width) => {
    const { page } = await openFile(browser, reports.ofSweep.path, { width, height: 900, colorScheme: 'light' });
    const gaps = await page.evaluate(() =>
      [...document.querySelectorAll('.scale')].map((scale) => {
        const seen = [...scale.querySelectorAll('text')].map((text) => text.getBoundingClientRect());
        const boxes = seen.filter((box) => box.width > 0).sort((a, b) => a.left - b.left);
        return Math.min(...boxes.slice(1).map((box, i) => box.left - boxes[i]!.right));
      }),
    );
    expect(gaps.length).toBeGreaterThan(1);
    expect(Math.min(...gaps)).toBeGreaterThan(3);
    expect(Math.max(...gaps)).toBeLessThan(Infinity);
    await page.context().close();
  });
});
