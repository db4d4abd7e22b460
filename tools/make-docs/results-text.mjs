/** Tables of sweeps in docs/results.md, of the results that the repository keeps. */
import { readFileSync } from 'node:fs';

const PART = /(<!-- results\/([\w-]+)(?: without ([\w-]+))? -->)[\s\S]*?(<!-- end -->)/g;

/**
 * @param text a page in which `<!-- results/NAME -->`, or `<!-- results/NAME without TASK -->`, and `<!-- end -->` stand around each table
 * @param sweepTable idat's own (src/report/sweep-table.ts)
 * @returns the page with the tables of what lies in results/NAME
 */
export function withTables(text, sweepTable) {
  return text.replace(PART, (_, begin, name, left, end) => {
    const file = (path) => readFileSync(new URL(`../../results/${name}/${path}`, import.meta.url), 'utf8');
    const all = file('results.jsonl').trim().split('\n').map(JSON.parse);
    const results = all.filter(({ task }) => task !== left);
    const { plan } = JSON.parse(file('sweep.json'));
    return `${begin}\n\n${sweepTable({ plan, results, failed: [] })}\n\n${end}`;
  });
}
