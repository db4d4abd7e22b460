/** The tables of docs/results.md are those of the results that the repository keeps. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { sweepTable } from '../src/report/sweep-table.js';
import { withTables } from '../tools/make-docs/results-text.mjs';

it('docs/results.md has the tables of results/', () => {
  const page = readFileSync('docs/results.md', 'utf8');
  expect(page).toContain('| iDAT-S-mse − Seq. adapter |');
  expect(page, 'made anew by: npm run build && node tools/make-docs/results.mjs').toBe(withTables(page, sweepTable));
});
