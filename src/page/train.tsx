/** The second column: how long to train, how it goes, and what came out. */
import type { JSX } from 'preact';
import { wilson } from '../statistics/wilson.js';
import type { App } from './app.js';
import { Chart } from './chart.js';
import { FileButton } from './classes.js';
import { clock, inWords, secondsOf, settingsOf } from './lengths.js';
import { type Choices, GOOD_PICTURES, heldOut, obstacle } from './project.js';
import type { State } from './state.js';

/** What the settings mean, from their records; put in by the build. */
declare const IDAT_SAYS: Readonly<Record<'teacher' | 'epochs' | 'lr' | 'imageSize' | 'seed' | 'flip', string>>;

interface Props {
  readonly app: App;
  readonly state: State;
}

const LENGTHS = {
  quick: ['Quick', 'a new head on the model as it is'],
  normal: ['Normal', 'adapters in all of its blocks'],
  long: ['Long', 'the same, three times as long'],
} as const;

export function Train({ app, state }: Props): JSX.Element {
  const { project, pictures, training, unfinished, points } = state;
  const { run } = project;
  const why = obstacle(project.classes, pictures);
  const disabled = training !== null || why !== null || state.reading !== null || state.taking || !state.ready;
  return (
    <section class="column" aria-labelledby="train">
      <h2 id="train">
        <i>2</i> Train
      </h2>
      <p class="says">A small vision transformer learns your classes, in this tab.</p>
      <div class="card">
        {training ? <Progress app={app} state={state} /> : <Choice app={app} state={state} />}
        {!training && unfinished && run && (
          <div class="unfinished" role="status">
            <p>A training was stopped{points.length > 0 ? ` after pass ${points.at(-1)!.epoch}` : ''}, and is saved.</p>
            <div class="row">
              <button type="button" class="strong" onClick={() => void app.goOn()}>
                Go on
              </button>
              <button type="button" onClick={() => void app.discard()}>
                {run.before ? 'Back to the model before' : 'Discard it'}
              </button>
            </div>
          </div>
        )}
        {!training && (
          <>
            <button
              type="button"
              class={unfinished ? 'wide' : 'strong wide'}
              disabled={disabled}
              aria-describedby="why"
              onClick={() => void app.train()}
            >
              {unfinished || run ? 'Train anew' : 'Train'}
            </button>
            <p id="why" class="says">
              {why ?? fewSays(state)}
            </p>
          </>
        )}
        {points.length > 0 && <Curves state={state} />}
        {!training && run?.result && <Outcome state={state} />}
      </div>
    </section>
  );
}

/** What few pictures mean for what is measured. */
function fewSays({ project, pictures }: State): string {
  const held = heldOut(pictures).size;
  const counts = project.classes.map(({ id }) => pictures.filter(({ classId }) => classId === id).length);
  const least = Math.min(...counts.filter((count) => count > 0));
  const aside = `${held} of ${pictures.length} pictures are set aside to test on.`;
  return least >= GOOD_PICTURES ? aside : `${aside} ${GOOD_PICTURES} or more a class give better results.`;
}

function Choice({ app, state }: Props): JSX.Element {
  const { project, pictures, pace } = state;
  const { choices } = project;
  const learnt = pictures.length - heldOut(pictures).size;
  return (
    <fieldset class="lengths">
      <legend>How long</legend>
      {(Object.keys(LENGTHS) as Choices['length'][]).map((length) => {
        const [name, says] = LENGTHS[length];
        const estimate = learnt > 0 ? inWords(secondsOf({ ...choices, length }, learnt, pace)) : '';
        return (
          <label key={length} class={choices.length === length ? 'length chosen' : 'length'}>
            <input
              type="radio"
              name="length"
              checked={choices.length === length}
              onChange={() => app.choose({ length, epochs: null, lr: null })}
            />
            <b>{name}</b> <span class="estimate">{estimate}</span>
            <small>{says}</small>
          </label>
        );
      })}
      <Advanced app={app} choices={choices} />
    </fieldset>
  );
}

function Advanced({ app, choices }: { readonly app: App; readonly choices: Choices }): JSX.Element {
  const usual = settingsOf({ ...choices, epochs: null, lr: null, imageSize: null, seed: null });
  const number = (
    name: 'epochs' | 'lr' | 'seed',
    title: string,
    range: { min: number; max: number; step?: number },
  ) => (
    <label class="field">
      <span>{title}</span>
      <input
        type="number"
        min={range.min}
        max={range.max}
        step={range.step ?? 1}
        placeholder={`${usual[name] ?? 42}`}
        value={choices[name] ?? ''}
        onChange={({ currentTarget: { value, valueAsNumber } }) => {
          const fits = value !== '' && valueAsNumber >= range.min && valueAsNumber <= range.max;
          app.choose({ [name]: fits ? valueAsNumber : null });
        }}
      />
      <small>{IDAT_SAYS[name]}</small>
    </label>
  );
  return (
    <details>
      <summary>Advanced</summary>
      <label class="field">
        <span>Models</span>
        <select
          value={choices.models}
          onChange={(event) => app.choose({ models: event.currentTarget.value as Choices['models'] })}
        >
          <option value="pair">Micro, taught by Nano</option>
          <option value="alone">Micro, alone</option>
          {choices.own && (
            <option value="own">
              {choices.own.student}
              {choices.own.teacher ? `, taught by ${choices.own.teacher}` : ', alone'}
            </option>
          )}
        </select>
        <small>{IDAT_SAYS.teacher}. “Quick” trains without one.</small>
      </label>
      <div class="row">
        <FileButton label="A model of your own" accept=".safetensors" onFiles={(files) => void app.takeModels(files)} />
        <small class="quiet">one .safetensors file, such as a ViT-Ti/16 of timm, or two: the smaller one teaches</small>
      </div>
      <label class="field">
        <span>Picture size</span>
        <select
          value={choices.imageSize ?? usual.imageSize?.toString() ?? ''}
          onChange={(event) => app.choose({ imageSize: Number(event.currentTarget.value) || null })}
        >
          {choices.models === 'own' && <option value="">as the model was made for</option>}
          {[32, 48, 64, ...(choices.models === 'own' ? [96, 128, 160, 224] : [])].map((side) => (
            <option key={side} value={side}>
              {side} × {side}
            </option>
          ))}
        </select>
        <small>{IDAT_SAYS.imageSize}</small>
      </label>
      {number('epochs', 'Passes', { min: 1, max: 1000 })}
      {number('lr', 'Learning rate', { min: 0.00001, max: 1, step: 0.00001 })}
      {number('seed', 'Seed', { min: 0, max: 1_000_000 })}
      <label class="field check">
        <input
          type="checkbox"
          checked={choices.flip}
          onChange={(event) => app.choose({ flip: event.currentTarget.checked })}
        />
        <span>Mirror pictures</span>
        <small>{IDAT_SAYS.flip}</small>
      </label>
      <label class="field check">
        <input
          type="checkbox"
          checked={choices.moves ?? true}
          onChange={(event) => app.choose({ moves: event.currentTarget.checked })}
        />
        <span>Move pictures</span>
        <small>
          each pass sees them moved a little, at random, unless classes seem to differ in where something is. “Quick”
          moves none.
        </small>
      </label>
    </details>
  );
}

function Progress({ app, state }: Props): JSX.Element {
  const { doing, epoch, epochs, share, secondsLeft, stopping } = state.training!;
  const done = epochs === 0 ? 0 : (epoch + share) / epochs;
  return (
    <div class="progress">
      <p class="doing" role="status">
        {stopping ? 'Finishing this step, then saving …' : doing}
      </p>
      <progress max="1" value={done} aria-label="Training" />
      <p class="left">
        <span>{epochs > 0 ? `Pass ${Math.min(epoch + 1, epochs)} of ${epochs}` : ' '}</span>
        <span>{secondsLeft === null ? ' ' : `${clock(secondsLeft)} left`}</span>
      </p>
      <button type="button" class="wide" disabled={stopping} onClick={() => app.stop()}>
        Stop and save
      </button>
      <p class="says">Keep this tab open. Closed, it can go on later from the last pass.</p>
    </div>
  );
}

function Curves({ state: { points, training, project } }: { readonly state: State }): JSX.Element {
  const last = training?.epochs || points.at(-1)!.epoch;
  const held = points.filter((point) => point.held !== null);
  return (
    <div class="curves">
      <Chart
        title="Loss"
        last={last}
        curves={[{ name: '', colour: 'var(--accent)', points: points.map(({ epoch, loss }) => [epoch, loss]) }]}
      />
      <Chart
        title="Accuracy"
        share
        last={last}
        curves={[
          { name: 'learning', colour: 'var(--accent)', points: points.map(({ epoch, learnt }) => [epoch, learnt]) },
          ...(held.length > 0 || project.choices.length !== 'quick'
            ? [
                {
                  name: 'set aside',
                  colour: 'var(--second)',
                  points: held.map(({ epoch, held: h }) => [epoch, h!] as const),
                },
              ]
            : []),
        ]}
      />
    </div>
  );
}

function Outcome({ state }: { readonly state: State }): JSX.Element {
  const { correct, total, seconds } = state.project.run!.result!;
  const { low, high } = wilson(correct, total);
  const percent = (share: number) => `${Math.round(100 * share)}`;
  return (
    <div class="outcome" role="status">
      <p class="big">
        {percent(correct / total)}
        <small>%</small>
      </p>
      <p>
        right of {total} pictures it had never seen ({correct} of {total}). With so few, the true share lies between{' '}
        <b>
          {percent(low)} and {percent(high)} %
        </b>
        . Trained in {seconds < 60 ? `${Math.max(1, Math.round(seconds))}\u00a0s` : `${clock(seconds)} minutes`}.
      </p>
      {state.seen.size > 0 && <a href="#results">What it gets wrong</a>}
    </div>
  );
}
