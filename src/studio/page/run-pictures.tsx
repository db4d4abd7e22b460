/** Pictures of what a run has learned: made when they are asked for, and kept. */
import { useEffect, useState } from 'preact/hooks';
import type { RunDetail, ShownAnalysis, ShownJob, ShownPictures, ShownRun } from './api.js';
import { ask, messageOf } from './ask.js';
import { Job, Section } from './parts.js';
import { store, useStore } from './store.js';

/** What each shows, before it is made. */
const SAYS: Readonly<Record<string, string>> = {
  confusion: 'which classes are taken for which',
  hardest: 'the test images it finds hardest',
  attention: 'where in a picture the models look',
  classes: 'precision and recall of each class',
  calibration: 'whether it is as sure as it is right',
  agreement: 'where student and teacher say the same',
  tsne: 'test images, like ones near each other',
  umap: 'the same map, drawn another way',
  weights: 'histograms of what was trained, layer by layer',
};

export function RunPictures({ run, detail }: { run: ShownRun; detail: RunDetail }) {
  const { jobs } = useStore();
  const mine = [...jobs.values()].filter(({ kind, about }) => kind === 'analyse' && about === run.name);
  const busy = (name: string) => mine.find((job) => job.command.endsWith(`--only ${name}`) && isActive(job));
  const failed = mine.filter(({ state }) => state === 'failed');
  const make = (name: string) =>
    ask<{ job: ShownJob }>('api/run/analysis', { method: 'POST', query: { run: run.name, of: name }, body: {} }).then(
      (answer) => store.put(answer),
      (error: unknown) => store.say(messageOf(error), { bad: true }),
    );
  const { analyses } = detail;
  const open = analyses.filter(({ made }) => !made);
  return (
    <Section id="pictures" title="What it has learned">
      {open.length > 0 && (
        <>
          <p class="note">Each takes seconds to minutes, is made once, and kept in the run’s folder.</p>
          <div class="made">
            {open.map(({ name, title }) => (
              <button
                key={name}
                type="button"
                title={SAYS[name]}
                disabled={busy(name) !== undefined}
                onClick={() => void make(name)}
              >
                {busy(name) ? 'making: ' : ''}
                {title}
              </button>
            ))}
          </div>
        </>
      )}
      {mine.filter(isActive).map((job) => (
        <Job key={job.id} job={job} name={false} />
      ))}
      {failed.map((job) => (
        <Job key={job.id} job={job} name={false} />
      ))}
      <div class="stack">
        {analyses
          .filter(({ made }) => made)
          .map((analysis) => (
            <Made key={`${analysis.name} ${run.changed}`} run={run} analysis={analysis} />
          ))}
      </div>
    </Section>
  );
}

const isActive = ({ state }: ShownJob): boolean => state === 'running' || state === 'waiting';

function Made({ run, analysis }: { run: ShownRun; analysis: ShownAnalysis }) {
  const [found, setFound] = useState<ShownPictures | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    ask<ShownPictures | null>('api/run/analysis', {
      query: { run: run.name, of: analysis.name },
      signal: stop.signal,
    }).then(setFound, (error: unknown) => !stop.signal.aborted && setProblem(messageOf(error)));
    return () => stop.abort();
  }, [run.name, analysis.name]);
  if (problem !== null) return <p class="note warn">{problem}</p>;
  if (!found) return null;
  const style = `.p-${analysis.name}{${found.light}}@media (prefers-color-scheme:dark){.p-${analysis.name}{${found.dark}}}`;
  return (
    <div class={`stack p-${analysis.name}`} data-picture={analysis.name}>
      <style>{style}</style>
      {found.pictures.map(({ title, says, drawing, raster, least }) => (
        <figure class="card" key={title}>
          <figcaption>
            <h3>{title}</h3>
            <p>{says}</p>
          </figcaption>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls, which keys have to reach */}
          <div class="scroll" role="region" aria-label={title} tabIndex={0}>
            {drawing === null ? (
              <img alt={`${title}. ${says}`} src={raster ?? ''} style={{ minWidth: least }} />
            ) : (
              // the server hands out plain drawings alone (report/drawing.ts)
              <div style={{ minWidth: least }} dangerouslySetInnerHTML={{ __html: drawing }} />
            )}
          </div>
        </figure>
      ))}
    </div>
  );
}
