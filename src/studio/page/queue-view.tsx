/** The queue: what it holds, which workers are there and what each does, and what time is left. */
import { useEffect, useState } from 'preact/hooks';
import type { ShownQueue, ShownWorker } from './api.js';
import { ask, messageOf } from './ask.js';
import { clock } from './format.js';
import { Facts, Meter, Section } from './parts.js';

const AGAIN_MS = 2000;

export function QueueView() {
  const [queue, setQueue] = useState<ShownQueue | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const look = async () => {
      try {
        // a page that is not seen asks for nothing
        if (!document.hidden) {
          setQueue(await ask<ShownQueue>('api/queue', { signal: stop.signal }));
          setProblem(null);
        }
      } catch (error) {
        if (!stop.signal.aborted) setProblem(messageOf(error));
      }
      if (!stop.signal.aborted) timer = window.setTimeout(look, AGAIN_MS);
    };
    void look();
    return () => {
      stop.abort();
      window.clearTimeout(timer);
    };
  }, []);
  const why = problem ?? queue?.problem ?? null;
  return (
    <>
      <h1>Queue</h1>
      {queue && <p class="lede">{queue.address}</p>}
      {why !== null && (
        <p class="note warn" role="alert">
          {why}
        </p>
      )}
      {!queue && why === null && <p class="note">Looking at the queue…</p>}
      {queue?.snapshot && <Snapshot snapshot={queue.snapshot} address={queue.address} />}
    </>
  );
}

function Snapshot({ snapshot, address }: { snapshot: NonNullable<ShownQueue['snapshot']>; address: string }) {
  const { counts, perHour, secondsLeft, slots, workers, workersInAll } = snapshot;
  const left = counts.waiting + counts.running + counts.setAside;
  return (
    <>
      <Facts
        facts={[
          ['running', `${counts.running} of ${slots} at a time`],
          ['waiting', `${counts.waiting}`],
          ...(counts.setAside > 0 ? [['set aside for a while', `${counts.setAside}`] as const] : []),
          ...(counts.parked > 0 ? [['given up', `${counts.parked}`] as const] : []),
          ['runs an hour', perHour === null ? 'not known yet' : perHour.toFixed(perHour < 10 ? 1 : 0)],
          ['time left', left === 0 ? 'none' : secondsLeft === null ? 'not known yet' : `about ${clock(secondsLeft)}`],
        ]}
      />
      <Section id="workers" title={workersInAll === 1 ? 'One worker' : `${workersInAll} workers`}>
        {workers.length === 0 && (
          <p class="note">
            None is there. On any machine that reaches the server: <code>idat worker --queue {address}</code>
          </p>
        )}
        <div class="jobs">
          {workers.map((worker) => (
            <Worker key={worker.name} worker={worker} />
          ))}
        </div>
        {workersInAll > workers.length && <p class="note">And {workersInAll - workers.length} more.</p>}
      </Section>
    </>
  );
}

function Worker({ worker: { name, build, device, cores, slots, done, runs, lacks } }: { worker: ShownWorker }) {
  const cored = `${cores} core${cores === 1 ? '' : 's'}`;
  return (
    <div class="card" data-worker={name}>
      <h3>{name}</h3>
      <p class="small soft">
        {device}, {cored}, {runs.length} of {slots} runs at a time, {done} done · {build}
      </p>
      {runs.length === 0 && lacks.length === 0 && <p class="small">waits for runs</p>}
      <ul class="doing">
        {runs.map((run) => (
          <li key={run.id}>
            <span>{run.name}</span>
            <Meter share={run.fraction} label={run.name} />
            <span class="small">
              {Math.round(100 * run.fraction)} %{run.secondsLeft === null ? '' : `, ${clock(run.secondsLeft)} left`}
            </span>
          </li>
        ))}
      </ul>
      {lacks.map((one) => (
        <p class="small warn" key={one}>
          lacks {one}
        </p>
      ))}
    </div>
  );
}
