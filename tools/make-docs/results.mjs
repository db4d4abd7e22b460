/** Writes the tables of docs/results.md from results/: node tools/make-docs/results.mjs, after npm run build. */
import { readFileSync, writeFileSync } from 'node:fs';
import { sweepTable } from '../../dist/report/sweep-table.js';
import { withTables } from './results-text.mjs';

const page = new URL('../../docs/results.md', import.meta.url);
writeFileSync(page, withTables(readFileSync(page, 'utf8'), sweepTable));
