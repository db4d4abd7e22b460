/** Below the columns: which of the pictures set aside the model gets wrong, and where it looked. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { Attended } from './attended.js';
import { colourOf } from './colours.js';
import { folderOf, type Picture } from './project.js';
import type { Seen } from './run-protocol.js';
import type { State } from './state.js';
import { thumbnail } from './thumbnails.js';

interface Answered {
  readonly picture: Picture;
  readonly seen: Seen;
  /** Positions in the run's classes. */
  readonly truth: number;
  readonly answer: number;
}

const SHOWN = 12;

export function Results({ state }: { readonly state: State }): JSX.Element | null {
  const [rights, setRights] = useState(false);
  const [all, setAll] = useState(false);
  const { run } = state.project;
  if (!run?.result || state.training || state.seen.size === 0) return null;
  const answers = answersOf(state);
  const wrong = answers.filter(({ truth, answer }) => truth !== answer);
  const surest = (a: Answered, b: Answered) => b.seen.probabilities[b.answer]! - a.seen.probabilities[a.answer]!;
  const listed = (rights ? answers.filter(({ truth, answer }) => truth === answer) : wrong).sort(surest);
  const shown = all ? listed : listed.slice(0, SHOWN);
  return (
    <section class="results" aria-labelledby="results">
      <h2 id="results">What it gets wrong</h2>
      <p class="says">
        {wrong.length === 0
          ? `None of the ${answers.length} pictures that were set aside.`
          : `${wrong.length} of the ${answers.length} pictures that were set aside, the surest mistakes first.`}{' '}
        Beside each, where the model looked: bright is where it looked most.
      </p>
      <ByClass classes={run.classes} answers={answers} state={state} />
      <div class="row">
        <button type="button" aria-pressed={!rights} onClick={() => setRights(false)}>
          Wrong ({wrong.length})
        </button>
        <button type="button" aria-pressed={rights} onClick={() => setRights(true)}>
          Right ({answers.length - wrong.length})
        </button>
      </div>
      <ul class="answers">
        {shown.map(({ picture, seen, truth, answer }) => (
          <li key={picture.id} class="card">
            <div class="pair">
              <img src={thumbnail(picture.blob)} alt={`${picture.name}, ${run.classes[truth]}`} />
              <Attended picture={picture.blob} seen={seen} label={`Where the model looked on ${picture.name}`} />
            </div>
            <p>
              {truth === answer ? (
                <b>{run.classes[answer]}</b>
              ) : (
                <>
                  <b>{run.classes[answer]}</b>, is {run.classes[truth]}
                </>
              )}
              <small>{Math.round(100 * seen.probabilities[answer]!)} % sure</small>
            </p>
          </li>
        ))}
      </ul>
      {listed.length > SHOWN && (
        <button type="button" class="plain" onClick={() => setAll(!all)}>
          {all ? 'Show fewer' : `Show all ${listed.length}`}
        </button>
      )}
    </section>
  );
}

function ByClass({
  classes,
  answers,
  state,
}: {
  readonly classes: readonly string[];
  readonly answers: readonly Answered[];
  readonly state: State;
}): JSX.Element {
  return (
    <ul class="byclass" aria-label="Right of each class">
      {classes.map((name, i) => {
        const of = answers.filter(({ truth }) => truth === i);
        const right = of.filter(({ answer }) => answer === i).length;
        const at = state.project.classes.findIndex((one) => folderOf(one.name) === name);
        return (
          <li key={name}>
            <i class="dot" style={{ background: colourOf(at < 0 ? i : at) }} />
            <span>{name}</span>
            <b>
              {right} of {of.length}
            </b>
          </li>
        );
      })}
    </ul>
  );
}

/** What the model says of each picture that was set aside when it began. */
function answersOf({ project, pictures, seen }: State): Answered[] {
  const { paths, classes } = project.run!;
  const byId = new Map(pictures.map((picture) => [picture.id, picture]));
  return paths.flatMap(({ id, path, held }) => {
    const picture = byId.get(id);
    const one = seen.get(id);
    const truth = classes.indexOf(path.split('/')[1]!);
    if (!held || !picture || !one || truth < 0) return [];
    const answer = one.probabilities.indexOf(Math.max(...one.probabilities));
    return [{ picture, seen: one, truth, answer }];
  });
}
