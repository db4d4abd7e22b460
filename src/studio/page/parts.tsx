/** Small parts of which the views are made. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { wilson } from '../../statistics/wilson.js';
import type { Fact, ShownJob, ShownRun, ShownState } from './api.js';
import { ask, messageOf } from './ask.js';
import { clock, percent } from './format.js';
import { store } from './store.js';

export const State = ({ state }: { state: ShownState }) => (
  <span class={`state ${state}`}>
    <i aria-hidden="true" />
    {state}
  </span>
);

/** @param share of it that is done, from 0 to 1 */
export const Meter = ({ share, label, big }: { share: number; label: string; big?: boolean }) => {
  const whole = Math.round(100 * Math.min(1, Math.max(0, share)));
  return (
    <div
      class={`meter${big ? ' big-meter' : ''}`}
      role="progressbar"
      aria-label={label}
      aria-valuenow={whole}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <i style={{ width: `${whole}%` }} />
    </div>
  );
};

/** An accuracy with what its number of images leaves open. */
export function Accuracy({ result }: { result: NonNullable<ShownRun['result']> }) {
  const { low, high } = wilson(result.correct, result.total);
  const says = `${percent(result.accuracy)}, 95 % interval ${percent(low)} to ${percent(high)}`;
  return (
    <>
      <b>{percent(result.accuracy)}</b>
      <ShareStrip value={result.accuracy} low={low} high={high} label={says} />
    </>
  );
}

/** A share as a bar with its interval. */
export function ShareStrip({ value, low, high, label }: { value: number; low: number; high: number; label: string }) {
  const at = (share: number) => `${(100 * share).toFixed(2)}%`;
  return (
    <svg class="strip" role="img" aria-label={label}>
      <title>{label}</title>
      <rect class="track" x="0" y="20%" width="100%" height="60%" rx="2" />
      <rect class="bar" x="0" y="20%" width={at(value)} height="60%" rx="2" />
      <line class="range" x1={at(low)} x2={at(high)} y1="50%" y2="50%" />
      <line class="range" x1={at(low)} x2={at(low)} y1="15%" y2="85%" />
      <line class="range" x1={at(high)} x2={at(high)} y1="15%" y2="85%" />
    </svg>
  );
}

export const Tags = ({ tags }: { tags: readonly string[] }) => (
  <>
    {tags.map((tag) => (
      <span class="tag" key={tag}>
        {tag}
      </span>
    ))}
  </>
);

/** A command line, to be copied. */
export function Command({ text, label = 'Command line' }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  const code = useRef<HTMLPreElement>(null);
  const copy = async () => {
    await navigator.clipboard.writeText(text).then(
      () => setCopied(true),
      () => {
        // where the browser does not let it be written: marked, so that it is one key away
        const range = document.createRange();
        range.selectNodeContents(code.current!);
        getSelection()?.removeAllRanges();
        getSelection()?.addRange(range);
      },
    );
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div class="command">
      <pre ref={code}>
        {/* a flag stays with its value, and is not broken at its hyphens */}
        {text.split(/(?<= )(?=--)/).map((part, i) => (
          <span key={i}>{part}</span>
        ))}
      </pre>
      <button type="button" onClick={copy} aria-label={`Copy: ${label}`}>
        {copied ? 'Copied' : 'Copy'}
      </button>
    </div>
  );
}

export const Facts = ({ facts }: { facts: readonly Fact[] }) => (
  <dl class="facts">
    {facts.map(([name, value]) => (
      <div key={name}>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);

export const Section = ({ id, title, children }: { id: string; title: string; children: ComponentChildren }) => (
  <section aria-labelledby={id}>
    <h2 id={id}>{title}</h2>
    {children}
  </section>
);

const KINDS: Readonly<Record<ShownJob['kind'], string>> = {
  train: 'Training',
  resume: 'Going on with',
  sweep: 'Sweep',
  analyse: 'Picture of',
  export: 'Export of',
  report: 'Report of',
};

export const stopJob = (id: string): Promise<void> =>
  ask<{ job: ShownJob }>('api/job/stop', { method: 'POST', query: { id }, body: {} }).then(
    (answer) => store.put(answer),
    (error: unknown) => store.say(messageOf(error), { bad: true }),
  );

/** What was begun here, while it is at work or when it failed. */
export function Job({ job, name = true }: { job: ShownJob; name?: boolean }) {
  const { state, fraction, secondsLeft, error, notes } = job;
  const ended = state === 'failed' || state === 'done' || state === 'stopped';
  const href =
    job.kind === 'sweep' ? `#/sweep/${encodeURIComponent(job.about)}` : `#/run/${encodeURIComponent(job.about)}`;
  const left = secondsLeft === null ? '' : `, ${clock(secondsLeft)} left`;
  return (
    <div class="card job" data-job={job.kind}>
      <div>
        <strong>{KINDS[job.kind]}</strong> {name && (state === 'failed' ? job.about : <a href={href}>{job.about}</a>)}
        <p>{state === 'failed' ? 'failed' : `${job.says}${left}`}</p>
      </div>
      {ended ? (
        <button type="button" class="quiet" onClick={() => store.forgetJob(job.id)}>
          Dismiss
        </button>
      ) : (
        <button type="button" onClick={() => void stopJob(job.id)}>
          Stop
        </button>
      )}
      {state === 'running' && <Meter share={fraction ?? 0} label={`${KINDS[job.kind]} ${job.about}`} />}
      {error !== null && <p class="why">{error}</p>}
      {(state === 'failed' || job.kind === 'sweep') && notes.length > 0 && (
        <details>
          <summary>What it said</summary>
          <ul class="notes-list">
            {notes.map((note, i) => (
              <li key={i}>{note}</li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

/** A dialog that is open as long as it is drawn. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-label={title}>
      <h2>{title}</h2>
      {children}
      <div class="actions" style={{ marginTop: '1.2rem' }}>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}

/** Puts runs aside, with a way back. */
export async function removeRuns(names: readonly string[]): Promise<boolean> {
  try {
    await ask('api/runs/remove', { method: 'POST', body: { names } });
  } catch (error) {
    store.say(messageOf(error), { bad: true });
    return false;
  }
  const what = names.length === 1 ? names[0]! : `${names.length} runs`;
  store.say(`Removed ${what}`, { action: { label: 'Undo', run: () => void restoreRuns(names) } });
  return true;
}

/** Puts back the last removed of each name. */
export async function restoreRuns(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const found = store.removed.find((one) => one.name === name);
    if (found) await restoreRun(found.id);
  }
}

export const restoreRun = (id: string): Promise<unknown> =>
  ask('api/runs/restore', { method: 'POST', query: { id }, body: {} }).catch((error: unknown) =>
    store.say(messageOf(error), { bad: true }),
  );
