/** All runs: looked for, sorted, grouped, taken together. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ShownState } from './api.js';
import { ago } from './format.js';
import { Job, removeRuns, restoreRun } from './parts.js';
import { go } from './route.js';
import { RunsTable } from './runs-table.js';
import {
  FIRST_SELECTION,
  GROUPINGS,
  type Grouping,
  type ListedRow,
  matches,
  ORDERS,
  type Order,
  type Selection,
  selectRuns,
} from './select-runs.js';
import { rows, useStore } from './store.js';

const KEY = 'idat-studio-list';

/** As it was left. */
function keptSelection(): Selection {
  try {
    return { ...FIRST_SELECTION, ...(JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as Partial<Selection>) };
  } catch {
    return FIRST_SELECTION;
  }
}

const STATES: readonly ShownState[] = ['running', 'waiting', 'finished', 'stopped', 'failed', 'damaged'];
/** More rows are drawn when asked for. */
const PAGE_ROWS = 200;

export function RunsView() {
  const { runs, jobs, removed, known } = useStore();
  const [selection, setSelection] = useState(keptSelection);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [most, setMost] = useState(PAGE_ROWS);
  const [, tick] = useState(0);
  // how long ago something was goes on by itself
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 30_000);
    return () => clearInterval(timer);
  }, []);
  const change = (part: Partial<Selection>) => setSelection((before) => ({ ...before, ...part }));
  useEffect(() => sessionStorage.setItem(KEY, JSON.stringify(selection)), [selection]);
  const all = rows();
  const groups = selectRuns(all, selection);
  const there = [...picked].filter((name) => runs.has(name));
  const shown = [...jobs.values()].filter(
    ({ kind, state }) => state === 'running' || state === 'waiting' || (state === 'failed' && kind !== 'analyse'),
  );
  const pick = (name: string) =>
    setPicked((before) => {
      const after = new Set(before);
      if (!after.delete(name)) after.add(name);
      return after;
    });
  useListKeys(pick, () => there.length > 0 && go('compare', there));
  if (!known) return <p class="note">Looking at the folder…</p>;
  return (
    <>
      <div class="title-row">
        <h1>Runs</h1>
        <a class="button primary" href="#/new">
          New run
        </a>
      </div>
      {shown.length > 0 && (
        <div class="jobs" aria-label="At work" role="region">
          {shown.map((job) => (
            <Job key={job.id} job={job} />
          ))}
        </div>
      )}
      {all.length === 0 ? (
        <NoRuns busy={shown.length > 0} />
      ) : (
        <>
          <Tools selection={selection} all={all} change={change} />
          {groups.length === 0 ? (
            <div class="card empty">
              <h2>Nothing fits</h2>
              <p>No run has all of these words and this state.</p>
              <button type="button" onClick={() => change({ text: '', state: 'all' })}>
                Show all {all.length}
              </button>
            </div>
          ) : (
            <RunsTable
              {...{ groups, selection, picked, pick, change, most }}
              pickAll={(names) => setPicked(new Set(names))}
            />
          )}
          {all.length > most && groups.length > 0 && (
            <p class="note">
              <button type="button" onClick={() => setMost(most + PAGE_ROWS)}>
                Show {Math.min(PAGE_ROWS, all.length - most)} more
              </button>
            </p>
          )}
        </>
      )}
      {removed.length > 0 && (
        <details class="removed">
          <summary>
            {removed.length === 1 ? '1 removed run' : `${removed.length} removed runs`}, kept for a week
          </summary>
          <ul class="card notes-list">
            {removed.map(({ id, name, removed: when }) => (
              <li key={id}>
                {name}, removed {ago(when)}{' '}
                <button type="button" class="quiet" onClick={() => void restoreRun(id)}>
                  Put back
                </button>
              </li>
            ))}
          </ul>
        </details>
      )}
      {there.length > 0 && (
        <div class="selected" role="region" aria-label="Chosen runs">
          <span>{there.length} chosen</span>
          <button type="button" class="primary" onClick={() => go('compare', there)}>
            Compare
          </button>
          <button
            type="button"
            class="danger"
            onClick={async () => {
              if (await removeRuns(there)) setPicked(new Set());
            }}
          >
            Remove
          </button>
          <button type="button" class="quiet" onClick={() => setPicked(new Set())}>
            None
          </button>
        </div>
      )}
    </>
  );
}

const NoRuns = ({ busy }: { busy: boolean }) => (
  <div class="card empty">
    <h2>{busy ? 'The first run is on its way' : 'No runs yet'}</h2>
    <p>
      A run teaches a small model to tell your pictures apart. Take a folder with one folder for each class, or try it
      with the hundred satellite pictures that come with idat: that takes seconds.
    </p>
    <div class="actions">
      <a class="button primary" href="#/new">
        Train on your pictures
      </a>
      <a class="button" href="#/new/try">
        Try it with the bundled ones
      </a>
    </div>
  </div>
);

interface ToolsProps {
  readonly selection: Selection;
  readonly all: readonly ListedRow[];
  readonly change: (part: Partial<Selection>) => void;
}

function Tools({ selection, all, change }: ToolsProps) {
  const { text, state, group, order, descending } = selection;
  const found = all.filter((row) => matches(row, { text, state: 'all' }));
  const counts = STATES.map((one) => [one, found.filter((row) => row.state === one).length] as const);
  return (
    <div class="tools">
      <input
        class="search"
        type="search"
        id="search"
        placeholder="Find: a name, method, task, tag"
        aria-label="Find runs"
        value={text}
        onInput={(event) => change({ text: event.currentTarget.value })}
      />
      <div class="chips" role="group" aria-label="State">
        <button type="button" aria-pressed={state === 'all'} onClick={() => change({ state: 'all' })}>
          all {found.length}
        </button>
        {counts
          .filter(([one, count]) => count > 0 || one === state)
          .map(([one, count]) => (
            <button key={one} type="button" aria-pressed={state === one} onClick={() => change({ state: one })}>
              {one} {count}
            </button>
          ))}
      </div>
      <label class="push">
        Group by
        <select value={group} onChange={(event) => change({ group: event.currentTarget.value as Grouping })}>
          {GROUPINGS.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <label class="only-phone">
        Sort by
        <select
          value={order}
          onChange={(event) => {
            const by = event.currentTarget.value as Order;
            change({ order: by, descending: by === 'changed' || by === 'accuracy' });
          }}
        >
          {ORDERS.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <button
        type="button"
        class="only-phone"
        aria-label={descending ? 'Largest first' : 'Smallest first'}
        onClick={() => change({ descending: !descending })}
      >
        {descending ? '↓' : '↑'}
      </button>
    </div>
  );
}

/** `j` and `k` go down and up, `x` chooses, `c` compares. */
function useListKeys(pick: (name: string) => void, compare: () => void): void {
  const latest = useRef({ pick, compare });
  latest.current = { pick, compare };
  const onKey = useMemo(
    () => (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        target.closest('input:not([type=checkbox]),select,textarea,dialog')
      )
        return;
      const links = [...document.querySelectorAll<HTMLAnchorElement>('.list .name a')];
      const at = links.indexOf(document.activeElement as HTMLAnchorElement);
      if (event.key === 'j' || event.key === 'ArrowDown') links[Math.min(at + 1, links.length - 1)]?.focus();
      else if (event.key === 'k' || event.key === 'ArrowUp') links[Math.max(at - 1, 0)]?.focus();
      else if (event.key === 'x' && at >= 0) latest.current.pick(links[at]!.closest('tr')!.dataset.run!);
      else if (event.key === 'c') latest.current.compare();
      else return;
      event.preventDefault();
    },
    [],
  );
  useEffect(() => {
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [onKey]);
}
