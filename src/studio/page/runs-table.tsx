/** The table of runs: a row each, which a phone shows as a card. */
import { ago, nameParts, percent } from './format.js';
import { Accuracy, Meter, State, Tags } from './parts.js';
import type { Grouping, ListedRow, Order, RunGroup, Selection } from './select-runs.js';

interface TableProps {
  readonly groups: readonly RunGroup[];
  readonly selection: Selection;
  readonly picked: ReadonlySet<string>;
  readonly pick: (name: string) => void;
  readonly pickAll: (names: readonly string[]) => void;
  readonly change: (part: Partial<Selection>) => void;
  readonly most: number;
}

const HEADS: readonly (readonly [order: Order, title: string])[] = [
  ['name', 'run'],
  ['state', 'state'],
  ['accuracy', 'accuracy'],
  ['method', 'method'],
  ['task', 'task'],
  ['seed', 'seed'],
  ['changed', 'changed'],
];

/** The runs that fit, under their groups. */
export function RunsTable({ groups, selection, picked, pick, pickAll, change, most }: TableProps) {
  const all = groups.flatMap(({ rows: own }) => own.map(({ run }) => run.name));
  const { order, descending } = selection;
  const sortBy = (by: Order) =>
    change({ order: by, descending: by === order ? !descending : by === 'changed' || by === 'accuracy' });
  let left = most;
  return (
    <div class="card list">
      <table>
        <caption>Runs</caption>
        <thead>
          <tr>
            <th scope="col">
              <input
                type="checkbox"
                aria-label="Choose all that are shown"
                checked={all.length > 0 && all.every((name) => picked.has(name))}
                onChange={(event) => pickAll(event.currentTarget.checked ? all : [])}
              />
            </th>
            {HEADS.map(([by, title]) => (
              <th scope="col" key={by} aria-sort={order === by ? (descending ? 'descending' : 'ascending') : 'none'}>
                <button
                  type="button"
                  {...(order === by && { 'aria-sort': 'other' as const })}
                  onClick={() => sortBy(by)}
                >
                  {title}
                  {order === by ? (descending ? ' ↓' : ' ↑') : ''}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => {
            const own = group.rows.slice(0, Math.max(0, left));
            left -= own.length;
            return (
              <Group key={group.name} group={group} titled={selection.group} rows={own} picked={picked} pick={pick} />
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

interface GroupProps extends Pick<TableProps, 'picked' | 'pick'> {
  readonly group: RunGroup;
  readonly titled: Grouping;
  readonly rows: readonly ListedRow[];
}

function Group({ group, titled, rows: own, picked, pick }: GroupProps) {
  const { name, rows: all, mean } = group;
  return (
    <>
      {titled !== 'nothing' && (
        <tr class="group">
          <th colSpan={8} scope="rowgroup">
            <b>{titled === 'seed' ? `seed ${name}` : name}</b>
            {all.length === 1 ? '1 run' : `${all.length} runs`}
            {mean !== null && `, mean ${percent(mean)}`}
            {titled === 'folder' && !name.startsWith('the folder') && (
              <>
                {' · '}
                <a href={`#/sweep/${encodeURIComponent(name)}`}>compare</a>
              </>
            )}
          </th>
        </tr>
      )}
      {own.map((row) => (
        <Row key={row.run.name} row={row} picked={picked.has(row.run.name)} pick={pick} />
      ))}
    </>
  );
}

function Row({ row, picked, pick }: { row: ListedRow; picked: boolean; pick: (name: string) => void }) {
  const { run, state } = row;
  const { last, before } = nameParts(run.name);
  const href = `#/run/${encodeURIComponent(run.name)}`;
  const open = (event: MouseEvent) => {
    if (!(event.target as HTMLElement).closest('a,input,button')) location.hash = href;
  };
  return (
    // the link within is what the keyboard has
    <tr aria-selected={picked} data-run={run.name} onClick={open}>
      <td class="pick">
        <input type="checkbox" checked={picked} aria-label={`Choose ${run.name}`} onChange={() => pick(run.name)} />
      </td>
      <th scope="row" class="name">
        <a href={href}>{last}</a>
        {before !== '' && <small>{before}</small>}
        <div class="brief only-phone">
          {[run.variant, run.task, run.seed === null ? null : `seed ${run.seed}`]
            .filter((part) => part !== null)
            .join(' · ')}
        </div>
        {run.tags.length > 0 && (
          <div>
            <Tags tags={run.tags} />
          </div>
        )}
      </th>
      <td class="state-cell">
        <State state={state} />
      </td>
      <td class="acc">
        <Outcome row={row} />
      </td>
      <td class="meta hide">{run.variant ?? ''}</td>
      <td class="meta hide">{run.task ?? ''}</td>
      <td class="meta hide">{run.seed ?? ''}</td>
      <td class="when hide soft">{ago(run.changed)}</td>
    </tr>
  );
}

function Outcome({ row: { run, state } }: { row: ListedRow }) {
  if (run.result) return <Accuracy result={run.result} />;
  const { progress } = run;
  if (state === 'damaged') return <span class="small soft">{run.problem}</span>;
  if (!progress) return <span class="soft">–</span>;
  const says = `${progress.epochs} of ${progress.of} epochs${progress.phase === 'select' ? ', choosing' : ''}`;
  return (
    <>
      <span class="small soft">{says}</span>
      <Meter share={progress.epochs / Math.max(1, progress.of)} label={says} />
    </>
  );
}
