/** One run: how it goes or what it came to, its curves, and what can be done with it. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { curvePanels } from '../../report/curve-panels.js';
import type { EpochMetrics } from '../../settings/record.js';
import type { LiveStep, RunDetail, ShownJob, ShownRun } from './api.js';
import { ask, messageOf } from './ask.js';
import { Chart } from './chart.js';
import { ago, clock, nameParts, percent } from './format.js';
import { Command, Facts, Job, Meter, removeRuns, Section, ShareStrip, State, stopJob } from './parts.js';
import { go } from './route.js';
import { RunExport } from './run-export.js';
import { RunNotes } from './run-notes.js';
import { RunPictures } from './run-pictures.js';
import { RunTry } from './run-try.js';
import { jobOn, stateOf, store, useStore } from './store.js';

export function RunView({ name }: { name: string }) {
  const { runs, watched, known, jobs } = useStore();
  const run = runs.get(name);
  const [detail, setDetail] = useState<RunDetail | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const key = run ? `${run.state} ${run.result?.accuracy}` : null;
  // what was made of it, such as a report, shows when its task has ended
  const ended = [...jobs.values()].filter(({ about, state }) => about === name && state === 'done').length;
  useEffect(() => {
    if (key === null) return;
    const stop = new AbortController();
    ask<RunDetail>('api/run', { query: { run: name }, signal: stop.signal }).then(
      (found) => {
        setDetail(found);
        setProblem(null);
      },
      (error: unknown) => !stop.signal.aborted && setProblem(messageOf(error)),
    );
    return () => stop.abort();
  }, [name, key, ended]);
  if (!known) return <p class="note">Looking at the folder…</p>;
  const job = jobOn(name);
  if (!run) return <NotYet name={name} job={job} />;
  const own = watched?.name === name ? watched : null;
  return (
    <>
      <Head run={run} detail={detail} />
      <Hero run={run} detail={detail} job={job} step={own?.step ?? null} left={own?.secondsLeft ?? null} />
      {detail && <Jumps run={run} detail={detail} />}
      {problem !== null && run.state !== 'damaged' && <p class="note warn">{problem}</p>}
      <RunNotes key={name} run={run} />
      <Curves epochs={own?.epochs ?? []} step={own?.step ?? null} />
      {detail && <Below run={run} detail={detail} />}
    </>
  );
}

/** To the parts of a long page. */
function Jumps({ run, detail }: { run: ShownRun; detail: RunDetail }) {
  const parts: (readonly [id: string, title: string] | false)[] = [
    (run.progress?.epochs ?? 0) > 0 && ['curves', 'Curves'],
    ['repeat', 'Command'],
    (run.progress?.epochs ?? 0) > 0 && ['pictures', 'Pictures'],
    run.result !== null && ['try', 'Try it'],
    detail.byClass.length > 0 && ['classes', 'Classes'],
    run.result !== null && ['export', 'Export'],
    ['card', 'Model card'],
  ];
  return (
    <nav class="jumps" aria-label="Parts of this page">
      {parts
        .filter((part) => part !== false)
        .map(([id, title]) => (
          <button key={id} type="button" class="quiet" onClick={() => document.getElementById(id)?.scrollIntoView()}>
            {title}
          </button>
        ))}
    </nav>
  );
}

/** One that was begun and has no files yet, or is gone. */
function NotYet({ name, job }: { name: string; job: ShownJob | undefined }) {
  return (
    <>
      <p>
        <a class="back" href="#/">
          ← Runs
        </a>
      </p>
      <h1>{name}</h1>
      {job ? (
        <>
          <Job job={job} name={false} />
          {job.state === 'failed' && job.kind === 'train' && (
            <p class="note">
              <a class="button" href="#/new/again">
                Change it and try again
              </a>
            </p>
          )}
          {job.state === 'running' && (
            <p class="note">Images and weights are read, and a few calls are timed, before it begins.</p>
          )}
          {job.notes.length > 0 && (
            <ul class="notes-list">
              {job.notes.map((note) => (
                <li key={note}>{note}</li>
              ))}
            </ul>
          )}
          <h3 class="note">The same on the command line</h3>
          <Command text={job.command} />
        </>
      ) : (
        <p class="note">There is no such run in this folder; it may have been moved or removed.</p>
      )}
    </>
  );
}

function Head({ run, detail }: { run: ShownRun; detail: RunDetail | null }) {
  const { last, before } = nameParts(run.name);
  const job = jobOn(run.name);
  const active = job && (job.state === 'running' || job.state === 'waiting');
  const resume = () =>
    ask<{ job: ShownJob }>('api/run/resume', { method: 'POST', query: { run: run.name }, body: {} }).then(
      (answer) => store.put(answer),
      (error: unknown) => store.say(messageOf(error), { bad: true }),
    );
  return (
    <>
      <p>
        <a class="back" href="#/">
          ← Runs
        </a>
        {before !== '' && (
          <>
            {' '}
            <a class="back" href={`#/sweep/${encodeURIComponent(before)}`}>
              {before}
            </a>
          </>
        )}
      </p>
      <div class="title-row">
        <h1>{last}</h1>
        <div class="actions">
          {active && (
            <button type="button" onClick={() => void stopJob(job.id)}>
              Stop
            </button>
          )}
          {run.state === 'stopped' && !active && (
            <button type="button" class="primary" onClick={() => void resume()}>
              Go on
            </button>
          )}
          {detail && (
            <a class="button" href={`#/new/from/${encodeURIComponent(run.name)}`}>
              Another like it
            </a>
          )}
          <button
            type="button"
            class="danger"
            disabled={run.state === 'running' || active === true}
            onClick={async () => {
              if (await removeRuns([run.name])) go('runs');
            }}
          >
            Remove
          </button>
        </div>
      </div>
      <p class="lede">
        <b>{run.student ?? 'A model'}</b> tuned by <b>{run.method ?? 'an unknown method'}</b>
        {run.teacher !== null && (
          <>
            , taught by <b>{run.teacher}</b> ({run.loss})
          </>
        )}
        {run.task !== null && (
          <>
            , on <b>{run.task}</b>
          </>
        )}
        {run.seed !== null && `, seed ${run.seed}`}.
      </p>
    </>
  );
}

interface HeroProps {
  readonly run: ShownRun;
  readonly detail: RunDetail | null;
  readonly job: ShownJob | undefined;
  readonly step: LiveStep | null;
  readonly left: number | null;
}

function Hero({ run, detail, job, step, left }: HeroProps) {
  const state = stateOf(run);
  const failure = state === 'failed' ? job?.error : state === 'damaged' ? run.problem : null;
  return (
    <div class="hero" aria-live="polite">
      <State state={state} />
      {run.result ? (
        <>
          <p class="big small-big">
            {(100 * run.result.accuracy).toFixed(1)}
            <small>%</small>
          </p>
          <p class="of">{detail?.accuracy ?? `${run.result.correct} of ${run.result.total} test images named right`}</p>
          {detail?.interval && (
            <ShareStrip value={run.result.accuracy} {...detail.interval} label={detail.accuracy ?? ''} />
          )}
          <p class="note">
            {clock(run.result.seconds)} of training, ended {ago(run.changed)}.
            {detail?.worst ? ` Hardest: ${detail.worst}.` : ''}
          </p>
        </>
      ) : (
        <Progress run={run} job={job} step={step} left={left} />
      )}
      {failure && <p class="note warn">{failure}</p>}
    </div>
  );
}

function Progress({ run, job, step, left }: Omit<HeroProps, 'detail'>) {
  const { progress } = run;
  const active = run.state === 'running';
  const within = active && step ? step.step / step.steps : 0;
  const epochs = step && active ? step.epoch : (progress?.epochs ?? 0);
  const of = step && active ? step.epochs : (progress?.of ?? 0);
  const share = of > 0 ? Math.min(1, (epochs + within) / of) : 0;
  const seconds = step?.secondsLeft ?? job?.secondsLeft ?? left;
  const says = `epoch ${Math.min(epochs + (active ? 1 : 0), of)} of ${of}`;
  const choosing = (step?.phase ?? progress?.phase) === 'select';
  const facts = active
    ? [
        seconds === null ? null : `${clock(seconds)} left`,
        step &&
          `${step.imagesPerSecond < 10 ? step.imagesPerSecond.toFixed(1) : step.imagesPerSecond.toFixed(0)} images a second`,
        step && `loss ${step.losses.student.toFixed(3)}`,
        step && `${percent(step.trainAccuracy)} of training images right`,
        job ? (/epoch/.test(job.says) ? null : job.says) : step ? null : 'made by another process',
      ]
    : [`${epochs} of ${of} epochs are behind it`];
  return (
    <>
      <p class="big small-big">
        {Math.floor(100 * share)}
        <small>%</small>
      </p>
      {active && (
        <p class="of">
          {says}
          {choosing ? ', choosing how many epochs to train' : ''}
        </p>
      )}
      <Meter share={share} label={says} big />
      <p class="note">{facts.filter((fact) => fact !== null && fact !== '').join(' · ')}</p>
    </>
  );
}

/** Epochs, and where the running one is, as a point that is no epoch yet. */
function Curves({ epochs, step }: { epochs: readonly EpochMetrics[]; step: LiveStep | null }) {
  const panels = useMemo(() => {
    const phases = (['select', 'final'] as const).filter((phase) => epochs.some((line) => line.phase === phase));
    const shown = phases.length > 0 ? phases : step ? [step.phase] : [];
    return shown.map((phase) => ({ phase, panels: curvePanels(withStep(epochs, step, phase)) }));
  }, [epochs, step]);
  if (panels.length === 0) return null;
  return (
    <Section id="curves" title="How it learns">
      {panels.map(({ phase, panels: own }) => (
        <div key={phase}>
          {panels.length > 1 && (
            <p class="note">
              {phase === 'select' ? 'Choosing the number of epochs, trained on train alone' : 'Training what is kept'}
            </p>
          )}
          <div class="grid">
            {own.map(({ title, says, format, curves }) => (
              <Chart key={title} {...{ title, says, format, curves }} />
            ))}
          </div>
        </div>
      ))}
    </Section>
  );
}

function withStep(
  epochs: readonly EpochMetrics[],
  step: LiveStep | null,
  phase: EpochMetrics['phase'],
): EpochMetrics[] {
  const own = epochs.filter((line) => line.phase === phase);
  if (!step || step.phase !== phase || own.some(({ epoch }) => epoch >= step.epoch)) return own;
  const share = step.step / step.steps;
  if (share < 0.05) return own;
  const point = {
    ...{ phase, epoch: step.epoch + share - 1, lr: step.lr, loss: step.losses, trainAccuracy: step.trainAccuracy },
    ...{ teacherTrainAccuracy: null, agreement: null, valAccuracy: null, testAccuracy: null },
  };
  // of a run without a teacher its loss is no curve
  return [...own, point];
}

function Below({ run, detail }: { run: ShownRun; detail: RunDetail }) {
  const { command, resumeCommand, stopCommand, byClass, card, facts } = detail;
  const job = jobOn(run.name);
  const elsewhere = run.state === 'running' && job?.state !== 'running';
  return (
    <>
      <Section id="repeat" title="How to do it again">
        <div class="card">
          {command === null ? (
            <p class="note">It began from random weights: idat pretrain makes such runs.</p>
          ) : (
            <Command text={command} label="Command that repeats the run" />
          )}
          {run.state === 'stopped' && (
            <>
              <p class="note">Or go on where it stands:</p>
              <Command text={resumeCommand} label="Command that goes on with the run" />
            </>
          )}
          {elsewhere && (
            <p class="note">
              {stopCommand === null
                ? 'Another machine is at work on it: stop it where it was started.'
                : 'Another process of this machine is at work on it, which saves when it is asked to stop:'}
            </p>
          )}
          {elsewhere && stopCommand !== null && <Command text={stopCommand} label="Command that stops the run" />}
          <Facts facts={facts} />
        </div>
      </Section>
      {(run.result || (run.progress?.epochs ?? 0) > 0) && <RunPictures key={run.name} run={run} detail={detail} />}
      {run.result && <RunTry key={`try ${run.name}`} run={run} />}
      {byClass.length > 0 && <Classes byClass={byClass} />}
      {run.result && <RunExport key={`export ${run.name}`} run={run} hasReport={detail.hasReport} />}
      <Section id="card" title="Model card">
        <div class="stack">
          {card.map(({ title, facts: own }) => (
            <div class="card" key={title}>
              <h3>{title}</h3>
              <Facts facts={own} />
            </div>
          ))}
        </div>
      </Section>
    </>
  );
}

/** More are folded away. */
const SHOWN_CLASSES = 30;

function Classes({ byClass }: { byClass: RunDetail['byClass'] }) {
  const [all, setAll] = useState(false);
  const shown = all ? byClass : byClass.slice(0, SHOWN_CLASSES);
  return (
    <Section id="classes" title="Classes">
      <p class="note">Test images named right, the worst classes first, with what their number leaves open.</p>
      <div class="card">
        <ul class="bars">
          {shown.map(({ name, correct, total, low, high }) => (
            <li key={name}>
              <span>{name}</span>
              <ShareStrip {...{ value: correct / total, low, high, label: `${name}: ${correct} of ${total}` }} />
              <b>
                {correct}/{total}
              </b>
            </li>
          ))}
        </ul>
        {!all && byClass.length > SHOWN_CLASSES && (
          <button type="button" class="quiet" onClick={() => setAll(true)}>
            {byClass.length - SHOWN_CLASSES} more, that are named better
          </button>
        )}
      </div>
    </Section>
  );
}
