/** Which runs are shown, in which order, under which headings. */
import type { ShownRun, ShownState } from './api.js';

export const GROUPINGS = ['nothing', 'folder', 'task', 'method', 'loss', 'seed', 'tag'] as const;
export type Grouping = (typeof GROUPINGS)[number];
export const ORDERS = ['changed', 'name', 'accuracy', 'method', 'task', 'seed', 'state'] as const;
export type Order = (typeof ORDERS)[number];

export interface Selection {
  /** Words that all have to be there. */
  readonly text: string;
  readonly state: ShownState | 'all';
  readonly group: Grouping;
  readonly order: Order;
  readonly descending: boolean;
}

export const FIRST_SELECTION: Selection = {
  ...{ text: '', state: 'all', group: 'nothing', order: 'changed', descending: true },
};

/** A run with what the page knows of it besides its files. */
export interface ListedRow {
  readonly run: ShownRun;
  readonly state: ShownState;
}

export interface RunGroup {
  readonly name: string;
  readonly rows: readonly ListedRow[];
  /** Mean accuracy of the finished ones; null where there is none. */
  readonly mean: number | null;
}

const collator = new Intl.Collator('en', { numeric: true });

/** All the text of a run that a search looks at. */
const wordsOf = ({ run, state }: ListedRow): string =>
  [run.name, run.task, run.variant, run.method, run.loss, run.student, run.teacher, run.note, state, ...run.tags]
    .concat(run.seed === null ? [] : [`seed ${run.seed}`])
    .filter((part) => part !== null)
    .join(' ')
    .toLowerCase();

export function matches(row: ListedRow, { text, state }: Pick<Selection, 'text' | 'state'>): boolean {
  if (state !== 'all' && row.state !== state) return false;
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const all = words.length === 0 ? '' : wordsOf(row);
  return words.every((word) => all.includes(word));
}

const KEYS: Readonly<Record<Order, (row: ListedRow) => string | number>> = {
  changed: ({ run }) => run.changed,
  name: ({ run }) => run.name,
  accuracy: ({ run }) => run.result?.accuracy ?? -1,
  method: ({ run }) => run.variant ?? '',
  task: ({ run }) => run.task ?? '',
  seed: ({ run }) => run.seed ?? Number.NEGATIVE_INFINITY,
  state: ({ state }) => state,
};

function sorted(rows: readonly ListedRow[], order: Order, descending: boolean): ListedRow[] {
  const key = KEYS[order];
  const compare = (a: ListedRow, b: ListedRow): number => {
    const [x, y] = [key(a), key(b)];
    return typeof x === 'number' && typeof y === 'number' ? x - y : collator.compare(`${x}`, `${y}`);
  };
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => sign * compare(a, b) || collator.compare(a.run.name, b.run.name));
}

/** Of several tags a run stands under each. */
const groupNames: Readonly<Record<Exclude<Grouping, 'nothing'>, (run: ShownRun) => readonly string[]>> = {
  folder: ({ name }) => [name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : 'the folder itself'],
  task: ({ task }) => [task ?? 'unknown'],
  method: ({ variant }) => [variant ?? 'unknown'],
  loss: ({ loss, variant }) => [variant === null ? 'unknown' : (loss ?? 'no teacher')],
  seed: ({ seed }) => [seed === null ? 'unknown' : `${seed}`],
  tag: ({ tags }) => (tags.length === 0 ? ['no tag'] : tags),
};

export function selectRuns(rows: readonly ListedRow[], selection: Selection): RunGroup[] {
  const { group, order, descending } = selection;
  const shown = sorted(
    rows.filter((row) => matches(row, selection)),
    order,
    descending,
  );
  if (group === 'nothing') return shown.length === 0 ? [] : [groupOf('', shown)];
  const byName = new Map<string, ListedRow[]>();
  for (const row of shown) {
    for (const name of groupNames[group](row.run)) byName.set(name, [...(byName.get(name) ?? []), row]);
  }
  return [...byName].sort(([a], [b]) => collator.compare(a, b)).map(([name, own]) => groupOf(name, own));
}

function groupOf(name: string, rows: readonly ListedRow[]): RunGroup {
  const accuracies = rows.flatMap(({ run }) => (run.result ? [run.result.accuracy] : []));
  const mean = accuracies.length === 0 ? null : accuracies.reduce((a, b) => a + b, 0) / accuracies.length;
  return { name, rows, mean };
}
