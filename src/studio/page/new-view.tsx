/** The form of a new run or sweep: few fields first, all others behind a fold, what is wrong at its field. */
import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { FormAnswer, FormFacts, FormField, RunDetail, ShownIssue, Started, SweepForm, TrainForm } from './api.js';
import { ask, messageOf, Refusal } from './ask.js';
import { Drop } from './drop.js';
import { Field } from './field.js';
import { seedsOf, textOf, typedValue, valuesOf } from './field-values.js';
import { Command } from './parts.js';
import { type FormStart, go } from './route.js';
import { store } from './store.js';
import { NO_SWEEP, Sweep, type SweepDraft } from './sweep-fields.js';

/** A pause in typing after which the server is asked what it makes of it. */
const PAUSE_MS = 250;

interface Draft {
  readonly data: string;
  readonly preset: string;
  readonly recipe: string;
  /** As typed, by field. */
  readonly texts: Readonly<Record<string, string>>;
  readonly sweep: SweepDraft;
}

const EMPTY: Draft = { data: '', preset: '', recipe: '', texts: {}, sweep: NO_SWEEP };
/** What shows in seconds that it works: one epoch more than a glance. */
const TRY = { epochs: '20', teacher: 'vit_nano_patch4_32.cifar10' };

/** What was last begun: where it failed, it can be mended. */
let last: Draft | null = null;

export function NewView({ from, as }: { from: string | null; as: FormStart }) {
  const [facts, setFacts] = useState<FormFacts | null>(null);
  const [draft, setDraft] = useState<Draft>(EMPTY);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const open = async () => {
      const found = await ask<FormFacts>('api/form', { signal: stop.signal });
      const detail =
        from === null ? null : await ask<RunDetail>('api/run', { query: { run: from }, signal: stop.signal });
      setFacts(found);
      if (detail) setDraft(draftOf(detail));
      else if (as === 'again' && last) setDraft(last);
      else if (as === 'try') setDraft({ ...EMPTY, data: found.data[0]?.path ?? '', texts: TRY });
    };
    open().catch((error: unknown) => !stop.signal.aborted && setProblem(messageOf(error)));
    return () => stop.abort();
  }, [from, as]);
  if (problem !== null) return <p class="note warn">{problem}</p>;
  if (!facts) return <p class="note">Reading the settings…</p>;
  return (
    <Form facts={facts} draft={draft} change={(part) => setDraft((before) => ({ ...before, ...part }))} from={from} />
  );
}

function draftOf({ settings }: RunDetail): Draft {
  const { data, ...others } = settings;
  const texts = Object.fromEntries(Object.entries(others).map(([name, value]) => [name, textOf(value)]));
  // a run's settings are whole: no recipe comes between
  return { ...EMPTY, data: String(data), recipe: 'none', texts };
}

/** What the draft asks for. @returns issues where what was typed cannot even be sent */
function formOf({ data, preset, recipe, texts, sweep }: Draft, facts: FormFacts): TrainForm | ShownIssue[] {
  const byName = new Map(facts.fields.map((field) => [field.name, field]));
  const settings = Object.fromEntries(
    Object.entries(texts).flatMap(([name, text]) => {
      const field = byName.get(name);
      const value = field && typedValue(field, text);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
  const form = { data, settings, ...(preset !== '' && { preset }), ...(recipe !== '' && { recipe }) };
  if (!sweep.on) return form;
  const seeds = seedsOf(sweep.seeds);
  if (seeds === null) return [{ field: 'sweep.seeds', message: 'expected whole numbers, such as 1, 2, 3 or 1-5' }];
  const { seed: _, ...base } = settings;
  const varied = sweep.vary.flatMap(({ name, values }): [string, unknown[]][] => {
    const found = valuesOf(byName.get(name)!, values);
    return found.length === 0 ? [] : [[name, found]];
  });
  const asked: SweepForm = { name: sweep.name.trim(), seeds, alone: sweep.alone, vary: Object.fromEntries(varied) };
  const kept = Object.fromEntries(Object.entries(base).filter(([name]) => !(name in asked.vary)));
  return { ...form, settings: kept, sweep: asked };
}

interface FormProps {
  readonly facts: FormFacts;
  readonly draft: Draft;
  readonly change: (part: Partial<Draft>) => void;
  readonly from: string | null;
}

const NOTHING: FormAnswer = { issues: [], command: '', notes: [], runs: 0, plan: null };

function Form({ facts, draft, change, from }: FormProps) {
  const [answer, setAnswer] = useState<FormAnswer>(NOTHING);
  const [refused, setRefused] = useState<readonly ShownIssue[]>([]);
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [says, setSays] = useState('');
  useEffect(() => {
    setRefused([]);
    const form = formOf(draft, facts);
    if (Array.isArray(form)) {
      setAnswer({ ...NOTHING, issues: form });
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      ask<FormAnswer>('api/form/check', { method: 'POST', body: form, signal: stop.signal }).then(
        setAnswer,
        (error: unknown) => !stop.signal.aborted && setAnswer({ ...NOTHING, issues: issuesOf(error) }),
      );
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [draft, facts]);
  const missingData = draft.data === '';
  // who has chosen nothing yet has done nothing wrong
  const issues = [...answer.issues, ...refused].filter(({ field }) => asked || field !== 'data' || !missingData);
  const wrongOf = (name: string) => issues.filter(({ field }) => field === name).map(({ message }) => message);
  const known = new Set(['data', 'preset', 'recipe', ...facts.fields.map(({ name }) => name)]);
  const others = issues.filter(({ field }) => field === null || (!known.has(field) && !field.startsWith('sweep')));
  const start = async (event: Event) => {
    event.preventDefault();
    setAsked(true);
    const form = formOf(draft, facts);
    if (Array.isArray(form)) return;
    setBusy(true);
    try {
      const { job } = await ask<Started>('api/form/start', { method: 'POST', body: form });
      store.put({ job });
      last = draft;
      if (job.kind === 'sweep') go('runs');
      else go('run', [job.about]);
    } catch (error) {
      setRefused(issuesOf(error));
      requestAnimationFrame(() => document.querySelector<HTMLElement>('.field.bad input,.field.bad select')?.focus());
    } finally {
      setBusy(false);
    }
  };
  const field = (one: FormField) => (
    <Field
      key={one.name}
      field={one}
      text={draft.texts[one.name] ?? ''}
      wrong={wrongOf(one.name)}
      disabled={draft.sweep.on && (one.name === 'seed' || draft.sweep.vary.some(({ name }) => name === one.name))}
      onText={(text) => change({ texts: { ...draft.texts, [one.name]: text } })}
    />
  );
  const taught = (draft.texts.teacher ?? '') !== '' && draft.texts.teacher !== 'none';
  const first = facts.fields.filter(
    ({ common, name }) => common && (name !== 'distill' || taught || draft.preset !== ''),
  );
  return (
    <>
      <p>
        <a class="back" href="#/">
          ← Runs
        </a>
      </p>
      <h1>{from === null ? 'New run' : 'Another run'}</h1>
      {from !== null && <p class="lede">Filled in as {from} was made.</p>}
      <form class="form" onSubmit={start} noValidate>
        <div class="stack">
          <DataField
            facts={facts}
            draft={draft}
            change={change}
            wrong={wrongOf('data')}
            says={says}
            setSays={setSays}
          />
          <div class="card">
            <div class="fields">
              <Preset facts={facts} draft={draft} change={change} wrong={wrongOf('preset')} />
              {first.map(field)}
            </div>
          </div>
          <Sweep
            facts={facts}
            draft={draft.sweep}
            taught={taught}
            issues={issues}
            change={(sweep) => change({ sweep })}
          />
          <AllFields
            facts={facts}
            shown={new Set(first.map(({ name }) => name))}
            field={field}
            issues={issues}
            draft={draft}
            change={change}
            wrong={wrongOf('recipe')}
          />
        </div>
        <aside>
          <div class="card">
            {others.length > 0 && (
              <ul class="wrongs" role="alert">
                {others.map(({ field: name, message }) => (
                  <li key={`${name} ${message}`}>{name === null ? message : `${name}: ${message}`}</li>
                ))}
              </ul>
            )}
            <button type="submit" class="primary" disabled={busy}>
              {busy ? 'Beginning…' : startLabel(answer, draft)}
            </button>
            {issues.length > 0 && others.length === 0 && (
              <p class="wrongs note">
                {issues.length === 1
                  ? 'A field is not as it should be.'
                  : `${issues.length} fields are not as they should be.`}
              </p>
            )}
            <Notes notes={answer.notes} />
          </div>
          {answer.command !== '' && (
            <div class="card">
              <h3 class="aside-title">The same on the command line</h3>
              <Command text={answer.command} />
              {answer.plan !== null && (
                <details>
                  <summary>The plan that it reads</summary>
                  <Command text={answer.plan} label="Plan" />
                </details>
              )}
            </div>
          )}
        </aside>
      </form>
    </>
  );
}

const startLabel = ({ runs }: FormAnswer, { sweep }: Draft): string =>
  sweep.on ? (runs > 0 ? `Start ${runs} runs` : 'Start the runs') : 'Start training';

const Notes = ({ notes }: { notes: readonly string[] }) =>
  notes.length === 0 ? null : (
    <ul class="notes-list">
      {notes.map((note) => (
        <li key={note}>{note}</li>
      ))}
    </ul>
  );

function issuesOf(error: unknown): readonly ShownIssue[] {
  if (error instanceof Refusal && error.issues.length > 0) return error.issues;
  return [{ field: null, message: messageOf(error) }];
}

interface PartProps {
  readonly facts: FormFacts;
  readonly draft: Draft;
  readonly change: (part: Partial<Draft>) => void;
  readonly wrong: readonly string[];
}

function DataField({
  facts,
  draft,
  change,
  wrong,
  says,
  setSays,
}: PartProps & { says: string; setSays: (text: string) => void }) {
  const [typing, setTyping] = useState(false);
  const known = facts.data.some(({ path }) => path === draft.data);
  const own = typing || (draft.data !== '' && !known);
  return (
    <div class="card">
      <div class={`field${wrong.length > 0 ? ' bad' : ''}`} data-field="data">
        <label for="field-data">Pictures to learn from</label>
        <select
          id="field-data"
          value={own ? '…' : draft.data}
          onChange={(event) => {
            const { value } = event.currentTarget;
            setTyping(value === '…');
            setSays('');
            change({ data: value === '…' ? '' : value });
          }}
        >
          <option value="">Choose, or drop them below</option>
          {facts.data.map(({ path, label }) => (
            <option key={path} value={path}>
              {label}
            </option>
          ))}
          <option value="…">A folder or zip by its path</option>
        </select>
        {own && (
          <input
            aria-label="Path of the pictures"
            placeholder="photos/flowers"
            value={draft.data}
            onInput={(event) => change({ data: event.currentTarget.value })}
          />
        )}
        {says !== '' && <p class="says">{says}</p>}
        {wrong.length > 0 && (
          <p class="wrong" role="alert">
            {wrong.join('; ')}
          </p>
        )}
      </div>
      <Drop
        onData={(path, what) => {
          setTyping(false);
          setSays(`${path}: ${what}.`);
          change({ data: path });
        }}
      />
    </div>
  );
}

const Preset = ({ facts, draft, change, wrong }: PartProps) => (
  <div class={`field wide${wrong.length > 0 ? ' bad' : ''}`} data-field="preset">
    <label for="field-preset">Preset</label>
    <select id="field-preset" value={draft.preset} onChange={(event) => change({ preset: event.currentTarget.value })}>
      <option value="">none: the settings below</option>
      {facts.presets.map(({ name, says }) => (
        <option key={name} value={name}>
          {name}: {says}
        </option>
      ))}
    </select>
    {wrong.length > 0 && <p class="wrong">{wrong.join('; ')}</p>}
  </div>
);

interface AllProps extends PartProps {
  readonly shown: ReadonlySet<string>;
  readonly field: (one: FormField) => JSX.Element;
  readonly issues: readonly ShownIssue[];
}

function AllFields({ facts, shown, field, issues, draft, change, wrong }: AllProps) {
  const rest = useMemo(() => facts.fields.filter(({ name }) => !shown.has(name)), [facts, shown]);
  const within = issues.some(({ field: name }) => rest.some((one) => one.name === name));
  const given = rest.filter(({ name }) => (draft.texts[name] ?? '') !== '').length;
  return (
    <details class="fold" open={within || undefined}>
      <summary>
        All {rest.length} other settings{given > 0 ? `, ${given} of them given` : ''}
      </summary>
      <div class="card">
        {facts.groups.map((group) => {
          const own = rest.filter((one) => one.group === group);
          if (own.length === 0) return null;
          return (
            <div key={group}>
              <h3>{group}</h3>
              <div class="fields">{own.map(field)}</div>
            </div>
          );
        })}
        <h3>recipe</h3>
        <div class={`field${wrong.length > 0 ? ' bad' : ''}`} data-field="recipe">
          <label for="field-recipe">recipe</label>
          <select
            id="field-recipe"
            value={draft.recipe}
            onChange={(event) => change({ recipe: event.currentTarget.value })}
          >
            <option value="">that of a data set that is recognised</option>
            <option value="none">none</option>
            {facts.recipes.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
          <p class="says">settings of the paper or idat for a data set; fields above win</p>
        </div>
      </div>
    </details>
  );
}
