/** Runs side by side: in what they differ, how far apart they come out, and their curves over each other. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { curvePanels } from '../../report/curve-panels.js';
import type { ComparedRow } from '../../report/run-comparison.js';
import { COLOURS, darkOf } from '../../report/theme.js';
import type { Compared, ShownJob } from './api.js';
import { ask, messageOf } from './ask.js';
import { Chart } from './chart.js';
import { percent, points } from './format.js';
import { Job, Section } from './parts.js';
import { Refresher } from './refresher.js';
import { store, useStore } from './store.js';

/** Asked anew so often at most while runs go on. */
const AGAIN_MS = 1500;

export function SweepView({ folder }: { folder: string }) {
  const { runs, jobs, known } = useStore();
  const names = [...runs.keys()].filter((name) => name.startsWith(`${folder}/`));
  const job = [...jobs.values()].find(
    ({ kind, about, state }) => kind === 'sweep' && about === folder && state !== 'done',
  );
  const goOn = () =>
    ask<{ job: ShownJob }>('api/sweep/resume', { method: 'POST', query: { run: folder }, body: {} }).then(
      (answer) => store.put(answer),
      (error: unknown) => store.say(messageOf(error), { bad: true }),
    );
  const [planned, setPlanned] = useState(false);
  useEffect(() => {
    const stop = new AbortController();
    ask<{ planned: boolean }>('api/sweep', { query: { run: folder }, signal: stop.signal }).then(
      (answer) => setPlanned(answer.planned),
      () => {},
    );
    return () => stop.abort();
  }, [folder]);
  const active = job && (job.state === 'running' || job.state === 'waiting');
  if (!known) return <p class="note">Looking at the folder…</p>;
  return (
    <>
      <p>
        <a class="back" href="#/">
          ← Runs
        </a>
      </p>
      <div class="title-row">
        <h1>{folder}</h1>
        {planned && !active && (job || names.some((name) => runs.get(name)!.state !== 'finished')) && (
          <div class="actions">
            <button type="button" class="primary" onClick={() => void goOn()}>
              Go on with the sweep
            </button>
          </div>
        )}
      </div>
      {job && (
        <div class="jobs">
          <Job job={job} name={false} />
        </div>
      )}
      {names.length === 0 ? <p class="note">There is no run in this folder yet.</p> : <Comparison names={names} />}
    </>
  );
}

export function CompareView({ names }: { names: readonly string[] }) {
  const { runs, known } = useStore();
  const there = names.filter((name) => runs.has(name));
  if (!known) return <p class="note">Looking at the folder…</p>;
  return (
    <>
      <p>
        <a class="back" href="#/">
          ← Runs
        </a>
      </p>
      <h1>{there.length === 1 ? 'One run' : `${there.length} runs side by side`}</h1>
      {there.length === 0 ? (
        <p class="note">Choose runs in the list by their boxes, and compare them here.</p>
      ) : (
        <Comparison names={there} />
      )}
    </>
  );
}

function Comparison({ names }: { names: readonly string[] }) {
  const { runs } = useStore();
  const [compared, setCompared] = useState<Compared | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [against, setAgainst] = useState<string | null>(null);
  // damaged ones cannot be opened; 200 are more than can be told apart
  const able = names.filter((name) => runs.get(name)?.state !== 'damaged').slice(0, 200);
  const key = able.map((name) => `${name} ${runs.get(name)?.changed}`).join('|');
  const asked = useRef(able);
  asked.current = able;
  const refresher = useRef<Refresher<Compared> | null>(null);
  useEffect(() => {
    const compare = (signal: AbortSignal) =>
      ask<Compared>('api/compare', {
        method: 'POST',
        body: { names: asked.current, ...(against !== null && { against }) },
        signal,
      });
    refresher.current = new Refresher(AGAIN_MS, compare, {
      found: (answer) => {
        setCompared(answer);
        setProblem(null);
      },
      failed: (error) => setProblem(messageOf(error)),
    });
    return () => refresher.current?.close();
  }, [against]);
  useEffect(() => {
    if (able.length > 0) refresher.current?.change();
  }, [key, against]);
  if (problem !== null) return <p class="note warn">{problem}</p>;
  if (!compared) return <p class="note">Reading the runs…</p>;
  const { comparison } = compared;
  return (
    <>
      {comparison.notes.map((note) => (
        <p class="note" key={note}>
          {note}
        </p>
      ))}
      <Rows compared={compared} onAgainst={setAgainst} />
      <CurvesOver compared={compared} />
      <Settings compared={compared} />
    </>
  );
}

function Rows({ compared, onAgainst }: { compared: Compared; onAgainst: (label: string) => void }) {
  const { rows, against } = compared.comparison;
  const differences = rows.flatMap(({ difference }) => (difference ? [difference] : []));
  const ends = differences.flatMap(({ mean, interval, values }) => [
    mean,
    interval?.low ?? mean,
    interval?.high ?? mean,
    ...values.map(({ value }) => value),
  ]);
  const reach = Math.max(0.01, ...ends.map(Math.abs)) * 1.08;
  return (
    <Section id="results" title="What they came to">
      <div class="card">
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls, which keys have to reach */}
        <div class="scroll" role="region" aria-label="Results" tabIndex={0}>
          <table>
            <caption>Accuracy by setting</caption>
            <thead>
              <tr>
                <th scope="col">setting</th>
                <th scope="col" class="number">
                  runs
                </th>
                <th scope="col" class="number">
                  accuracy
                </th>
                <th scope="col" class="wide">
                  difference to {against ?? 'the first'}, with its 95 % interval
                </th>
                <th scope="col" class="number">
                  p (Holm)
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <Row
                  key={row.label}
                  row={row}
                  base={row.label === against}
                  reach={reach}
                  onAgainst={onAgainst}
                  many={rows.length > 1}
                />
              ))}
            </tbody>
          </table>
        </div>
        {differences.length > 0 && (
          <p class="note small">
            Differences are of pairs of the same task and seed, each a dot; the band is the BCa bootstrap interval of
            their mean, p is of the sign-flip test.
          </p>
        )}
      </div>
    </Section>
  );
}

interface RowProps {
  readonly row: ComparedRow;
  readonly base: boolean;
  readonly reach: number;
  readonly many: boolean;
  readonly onAgainst: (label: string) => void;
}

function Row({ row, base, reach, many, onAgainst }: RowProps) {
  const { label, runs, mean, std, difference } = row;
  return (
    <tr>
      <th scope="row">
        {label}
        <div>
          {base
            ? many && <small class="soft">others are held against it</small>
            : many && (
                <button type="button" class="quiet small" onClick={() => onAgainst(label)}>
                  hold against this
                </button>
              )}
        </div>
      </th>
      <td class="number">{runs.length}</td>
      <td class="number">
        {mean === null ? '–' : percent(mean)}
        {std === null ? '' : ` ± ${(100 * std).toFixed(1)}`}
      </td>
      <td class="wide">{difference && <Difference difference={difference} reach={reach} />}</td>
      <td class="number">{difference ? `${difference.p.toFixed(3)} (${difference.holmP.toFixed(3)})` : ''}</td>
    </tr>
  );
}

function Difference({ difference, reach }: { difference: NonNullable<ComparedRow['difference']>; reach: number }) {
  const { mean, interval, values } = difference;
  const at = (value: number) => `${(50 + (50 * value) / reach).toFixed(2)}%`;
  const range = interval === null ? ', one pair' : ` (${points(interval.low)} to ${points(interval.high)})`;
  const says = `${points(mean)} points${range}`;
  return (
    <>
      <svg class="strip" role="img" aria-label={says}>
        <title>{says}</title>
        <line class="zero" x1="0" x2="100%" y1="50%" y2="50%" opacity=".35" />
        <line class="zero" x1="50%" x2="50%" y1="0" y2="100%" />
        {interval && (
          <rect
            class="band"
            x={at(interval.low)}
            width={`${((50 * (interval.high - interval.low)) / reach).toFixed(2)}%`}
            y="15%"
            height="70%"
            rx="3"
          />
        )}
        {values.map(({ task, seed, value }) => (
          <circle key={`${task} ${seed}`} class="pair" cx={at(value)} cy="50%" r="4">
            <title>{`${task}${seed === null ? '' : `, seed ${seed}`}: ${points(value)}`}</title>
          </circle>
        ))}
        <line class="mean" x1={at(mean)} x2={at(mean)} y1="8%" y2="92%" />
      </svg>
      <span class="small">{says}</span>
    </>
  );
}

/** Panels of all runs, by title, one curve a run; runs of one row share its colour. */
function CurvesOver({ compared }: { compared: Compared }) {
  const [shown, setShown] = useState<string | null>(null);
  const panels = useMemo(() => panelsOf(compared), [compared]);
  const rows = compared.comparison.rows;
  const title = panels.has(shown ?? '') ? shown! : [...panels.keys()][0];
  const panel = title === undefined ? undefined : panels.get(title);
  if (!panel) return null;
  return (
    <Section id="curves" title="Curves over each other">
      <div class="chips" role="group" aria-label="What is drawn">
        {[...panels.keys()].map((one) => (
          <button key={one} type="button" aria-pressed={one === title} onClick={() => setShown(one)}>
            {one}
          </button>
        ))}
      </div>
      {rows.length > 1 && (
        <ul class="legend">
          {rows.slice(0, COLOURS.length).map(({ label }, i) => (
            <li key={label}>
              <i class="swatch" style={`--l:${COLOURS[i]};--d:${darkOf(COLOURS[i]!)}`} />
              {label}
            </li>
          ))}
        </ul>
      )}
      <Chart title={title!} format={panel.format} curves={panel.curves} legend={false} tall />
    </Section>
  );
}

function panelsOf({ curves, comparison }: Compared) {
  const rowOf = new Map(comparison.rows.flatMap(({ runs }, i) => runs.map((name) => [name, i] as const)));
  const all = new Map<
    string,
    {
      format: ReturnType<typeof curvePanels>[number]['format'];
      curves: ReturnType<typeof curvePanels>[number]['curves'][number][];
    }
  >();
  const thin = curves.length > 4;
  for (const { name, epochs } of curves) {
    const phase = epochs.some((line) => line.phase === 'final') ? 'final' : 'select';
    for (const panel of curvePanels(epochs.filter((line) => line.phase === phase))) {
      for (const curve of panel.curves) {
        const title =
          panel.curves.length > 1 || curve.name !== panel.title.toLowerCase()
            ? `${panel.title}: ${curve.name}`
            : panel.title;
        const found = all.get(title) ?? { format: panel.format, curves: [] };
        const colour = COLOURS[(rowOf.get(name) ?? 0) % COLOURS.length]!;
        found.curves.push({ ...curve, name, colour, thin, dashed: false });
        all.set(title, found);
      }
    }
  }
  return all;
}

function Settings({ compared }: { compared: Compared }) {
  const { runs, comparison } = compared;
  const { differing } = comparison;
  if (runs.length < 2) return null;
  return (
    <Section id="settings" title="In what they differ">
      {differing.length === 0 ? (
        <p class="note">
          In no setting that changes results: where they come out differently, images or weights are others.
        </p>
      ) : (
        <div class="card">
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls, which keys have to reach */}
          <div class="scroll" role="region" aria-label="Settings that differ" tabIndex={0}>
            <table class="wide-table">
              <caption>Settings that differ</caption>
              <thead>
                <tr>
                  <th scope="col">run</th>
                  <th scope="col" class="number">
                    accuracy
                  </th>
                  {differing.map(({ name }) => (
                    <th scope="col" key={name}>
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {runs.map((run, i) => (
                  <tr key={run.name}>
                    <th scope="row">
                      <a href={`#/run/${encodeURIComponent(run.name)}`}>{run.name}</a>
                    </th>
                    <td class="number">{run.result ? percent(run.result.accuracy) : run.state}</td>
                    {differing.map(({ name, values }) => (
                      <td key={name}>{values[i] ?? '–'}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </div>
      )}
    </Section>
  );
}
