/** Which blocks of a backbone are tuned, as it is written: `all`, `last:4`, `first:4`, or a list such as `1,3,5-8`, from 1. */
import { fieldError } from './issues.js';

export const ALL_BLOCKS = 'all';

/** What a model's method works in. */
export interface BlockChoice {
  /** The setting that says so. */
  readonly field: 'blocks' | 'teacherBlocks';
  readonly text: string;
  /** Whether it was meant for another model, which may be deeper: `last:4` of two blocks are both then. */
  readonly inherited: boolean;
}

/** No published backbone is so deep. */
const MOST = 10_000;

type Parsed = { readonly from: 'first' | 'last'; readonly count: number } | { readonly list: readonly number[] } | null;

/** Null: all. @throws IdatError `config.field` */
function parse(field: string, text: string): Parsed {
  const given = text.replace(/\s+/g, '').toLowerCase();
  if (given === ALL_BLOCKS) return null;
  const [, from, count] = /^(first|last):(\d{1,5})$/.exec(given) ?? [];
  if (from !== undefined && Number(count) > 0) return { from: from as 'first' | 'last', count: Number(count) };
  const ranges = given.split(',').map((part) => /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part));
  const list = new Set<number>();
  for (const range of ranges) {
    const [first, last] = [Number(range?.[1] ?? 0), Number(range?.[2] ?? range?.[1] ?? 0)];
    if (first < 1 || last < first || last > MOST) {
      const expected = 'expected all, last:4, first:4 or a list such as 1,3,5-8 that counts from 1';
      throw fieldError(field, 'invalid_format', `${expected}, got ${JSON.stringify(text)}`);
    }
    for (let block = first; block <= last; block++) list.add(block);
  }
  return { list: [...list].sort((a, b) => a - b) };
}

/**
 * The same choice written in one way, so that equal choices are equal texts: `8,1-2,3` is `1-3,8`.
 * @throws IdatError `config.field` for what is none
 */
export function normalBlocks(field: string, text: string): string {
  const parsed = parse(field, text);
  if (parsed === null) return ALL_BLOCKS;
  if ('from' in parsed) return `${parsed.from}:${parsed.count}`;
  const runs: [first: number, last: number][] = [];
  for (const block of parsed.list) {
    const run = runs.at(-1);
    if (run && run[1] === block - 1) run[1] = block;
    else runs.push([block, block]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

/**
 * The positions of the blocks chosen, from 0; undefined where these are all.
 * @param model the backbone's name, and how many blocks it has
 * @throws IdatError `config.field` for blocks that it lacks
 */
export function chosenBlocks(
  { field, text, inherited }: BlockChoice,
  model: { readonly name: string; readonly depth: number },
): readonly number[] | undefined {
  const { name, depth } = model;
  const parsed = parse(field, text);
  if (parsed === null) return undefined;
  const has = `${name} has ${depth === 1 ? 'one block' : `${depth} blocks`}`;
  if ('from' in parsed) {
    if (parsed.count > depth && !inherited) {
      throw fieldError(field, 'too_big', `${has}, expected ${parsed.from}:${depth} at most, got ${text}`);
    }
    const count = Math.min(parsed.count, depth);
    const first = parsed.from === 'first' ? 0 : depth - count;
    return count === depth ? undefined : Array.from({ length: count }, (_, i) => first + i);
  }
  const beyond = parsed.list.find((block) => block > depth);
  if (beyond !== undefined) {
    const own = inherited ? ', which is the student’s; choose the teacher’s own (teacherBlocks)' : '';
    const what = `there is no block ${beyond}: ${has}, counted from 1`;
    throw fieldError(inherited ? 'teacherBlocks' : field, 'too_big', `${what}, got ${text}${own}`);
  }
  return parsed.list.length === depth ? undefined : parsed.list.map((block) => block - 1);
}

/** In words, for people: `the last 4`, `5 to 8 and 12`. */
export function blocksInWords(text: string): string {
  const [, from, count] = /^(first|last):(\d+)$/.exec(text) ?? [];
  if (from !== undefined) return count === '1' ? `the ${from} alone` : `the ${from} ${count}`;
  const parts = text.split(',').map((run) => run.replace('-', ' to '));
  return parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
