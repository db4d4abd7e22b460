/** A sweep as it goes: one table that is drawn again on a terminal, a line for each change elsewhere. */
import type { WriteStream } from 'node:tty';
import { visible } from '../errors.js';
import type { RunStatus } from '../experiments/schedule.js';
import type { Progress } from '../train/progress.js';
import { noteText } from './advice.js';
import { clock, oneLine, percent } from './format.js';

const REDRAW_MS = 250;
/** Elsewhere, runs that go on are told of so often. */
const PLAIN_MS = 60_000;
const BAR_WIDTH = 12;
/** Of each kind, the table shows so many. */
const SHOWN = { running: 8, failed: 6, done: 5 } as const;

export interface SweepView {
  onStatus(status: RunStatus, all: readonly RunStatus[]): void;
  onProgress(event: Progress, run: { readonly name: string }): void;
  /** Wipes the table; to be called before anything else is written. */
  clear(): void;
}

/** @param limit runs at a time, by which the time left is told */
export function sweepView(limit: number, stream: WriteStream = process.stderr): SweepView {
  return stream.isTTY ? liveTable(limit, stream) : plainLines(limit, stream);
}

/** @param more lines that stand below the table, each no wider than told */
export function liveTable(
  limit: number,
  stream: WriteStream,
  more: (width: number) => readonly string[] = () => [],
): SweepView {
  const started = performance.now();
  const finished: RunStatus[] = [];
  let drawn = 0;
  let due: NodeJS.Timeout | undefined;
  const wipe = () => {
    if (drawn > 0) stream.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  const draw = (all: readonly RunStatus[]) => {
    due = undefined;
    const width = Math.max(40, stream.columns ?? 80) - 1;
    const room = Math.max(3, (stream.rows ?? 24) - 1);
    const seconds = (performance.now() - started) / 1000;
    const lines = [...tableLines(all, finished, limit, seconds, width), ...more(width)].slice(0, room);
    wipe();
    stream.write(lines.map((line) => `${visible(line)}\n`).join(''));
    drawn = lines.length;
  };
  return {
    onStatus: (status, all) => {
      if (status.state === 'done' && !status.found && !finished.includes(status)) finished.push(status);
      due ??= setTimeout(() => draw(all), REDRAW_MS).unref(); // many changes at once are one
    },
    onProgress: () => {},
    clear: () => {
      clearTimeout(due);
      wipe();
    },
  };
}

export function plainLines(limit: number, stream: WriteStream): SweepView {
  const started = performance.now();
  const told = new Map<RunStatus, string>();
  let last = started;
  let greeted = false;
  const write = (line: string) => stream.write(`${visible(oneLine(line))}\n`);
  return {
    onStatus: (status, all) => {
      const now = performance.now();
      if (!greeted) {
        greeted = true;
        write(countsLine(all, limit));
        for (const one of all) told.set(one, one.state);
      }
      const before = told.get(status);
      if (before !== status.state) {
        told.set(status, status.state);
        write(`${status.state.padEnd(9)} ${status.run.name}${ending(status)}`);
      }
      if (now - last < PLAIN_MS) return;
      last = now;
      write(countsLine(all, limit));
      for (const one of all) if (one.state === 'running') write(runningLine(one, 200));
    },
    onProgress: (event, { name }) => {
      if (event.kind === 'note' && event.code?.startsWith('data.')) write(`${name}: ${noteText(event)}`);
    },
    clear: () => {},
  };
}

const ending = ({ state, result, error }: RunStatus): string => {
  if (state === 'done') return `  ${percent(result!.accuracy)}  ${clock(result!.seconds)}`;
  return state === 'failed' ? `: ${error!.message}` : '';
};

/** The table, each line no wider than `width`. @param finished in the order in which they ended */
export function tableLines(
  all: readonly RunStatus[],
  finished: readonly RunStatus[],
  limit: number,
  seconds: number,
  width: number,
): string[] {
  const of = (state: RunStatus['state']) => all.filter((status) => status.state === state);
  const failed = of('failed');
  const lines = [
    countsLine(all, limit),
    ...of('running')
      .slice(0, SHOWN.running)
      .map((status) => runningLine(status, width)),
    ...of('elsewhere')
      .slice(0, SHOWN.running)
      .map(({ run }) => `  ${run.name}  another process is at work on it`),
    ...failed.slice(-SHOWN.failed).map(({ run, error }) => `✗ ${run.name}: ${oneLine(error!.message)}`),
    ...(failed.length > SHOWN.failed ? [`  and ${failed.length - SHOWN.failed} more failed`] : []),
    ...finished
      .slice(-SHOWN.done)
      .reverse()
      .map((status) => fitted('✓ ', status.run.name, ending(status), width)),
    `  ${clock(seconds)} so far`,
  ];
  return lines.map((line) => cut(line, width));
}

export const cut = (line: string, width: number): string =>
  line.length > width ? `${line.slice(0, width - 1)}…` : line;

/** Front and end stay, the name between them gives way. */
function fitted(front: string, name: string, end: string, width: number): string {
  const room = Math.max(12, width - front.length - end.length);
  const short = name.length > room ? `${name.slice(0, 4)}…${name.slice(5 - room)}` : name;
  return `${front}${short}${end}`;
}

/** `12 of 60 done (4 before), 2 running, 45 waiting, 1 failed; about 1:23:00 left`, which is left out where the limit is 0. */
function countsLine(all: readonly RunStatus[], limit: number): string {
  const count = (state: RunStatus['state']) => all.filter((status) => status.state === state).length;
  const found = all.filter((status) => status.found).length;
  const parts = [
    `${count('done')} of ${all.length} done${found > 0 ? ` (${found} before)` : ''}`,
    `${count('running')} running`,
    ...(count('elsewhere') > 0 ? [`${count('elsewhere')} elsewhere`] : []),
    `${count('waiting')} waiting`,
    `${count('failed')} failed`,
  ];
  const left = limit === 0 ? null : secondsLeft(all, limit);
  return `${parts.join(', ')}${left === null ? '' : `; about ${clock(left)} left`}`;
}

/** By the mean of what the runs of this sweep took and take; null before anything is known. */
export function secondsLeft(all: readonly RunStatus[], limit: number): number | null {
  const running = all.filter(({ state, secondsLeft: left }) => state === 'running' && left !== null);
  const done = all.filter(({ state }) => state === 'done');
  const lengths = [
    ...done.map(({ result }) => result!.seconds),
    ...running
      .filter(({ fraction }) => fraction > 0.05 && fraction < 1)
      .map((one) => one.secondsLeft! / (1 - one.fraction)),
  ];
  const waiting = all.filter(({ state }) => state === 'waiting').length;
  if (lengths.length === 0) return null;
  const mean = lengths.reduce((a, b) => a + b, 0) / lengths.length;
  const begun = running.map((one) => one.secondsLeft!);
  const work = begun.reduce((a, b) => a + b, 0) + waiting * mean;
  return work === 0 ? null : Math.max(...begun, 0, work / Math.max(1, Math.min(limit, waiting + running.length)));
}

function runningLine(status: RunStatus, width: number): string {
  const { fraction, secondsLeft: left } = status;
  const filled = Math.round(BAR_WIDTH * Math.min(1, fraction));
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
  return fitted(`${bar} `, status.run.name, left === null ? '  starting' : `  ${clock(left)} left`, width);
}
