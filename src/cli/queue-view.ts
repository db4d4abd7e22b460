/** A sweep that a queue's workers make: its runs as in `sweep`, and below them the queue and what each worker does. */
import type { WriteStream } from 'node:tty';
import { visible } from '../errors.js';
import type { QueueSnapshot } from '../queue/snapshot.js';
import { clock, oneLine } from './format.js';
import { cut, liveTable, plainLines, type SweepView } from './sweep-view.js';

/** On a terminal so many workers have a line. */
const SHOWN = 12;
/** Elsewhere, the queue is told of so often. */
const PLAIN_MS = 60_000;

export interface QueueSweepView extends SweepView {
  onSnapshot(snapshot: QueueSnapshot): void;
  onNote(text: string): void;
}

export function queueView(stream: WriteStream = process.stderr): QueueSweepView {
  let snapshot: QueueSnapshot | null = null;
  let note = '';
  let told = Number.NEGATIVE_INFINITY;
  const more = (width: number) => [
    ...(snapshot ? queueLines(snapshot, width) : []),
    ...(note === '' ? [] : [cut(note, width)]),
  ];
  // the time left is the queue's to tell, which knows its workers
  const view = stream.isTTY ? liveTable(0, stream, more) : plainLines(0, stream);
  return {
    ...view,
    onSnapshot: (now) => {
      snapshot = now;
      if (stream.isTTY || performance.now() - told < PLAIN_MS) return;
      told = performance.now();
      for (const line of queueLines(now, 200)) stream.write(`${visible(line)}\n`);
    },
    onNote: (text) => {
      note = oneLine(text);
      if (!stream.isTTY) stream.write(`${visible(note)}\n`);
    },
  };
}

/** The queue in a line, and each worker in one, no wider than `width`. */
export function queueLines({ counts, workers, perHour, secondsLeft }: QueueSnapshot, width: number): string[] {
  const { waiting, running, setAside, parked } = counts;
  const parts = [
    `queue: ${running} running, ${waiting} waiting`,
    ...(setAside > 0 ? [`${setAside} set aside`] : []),
    ...(parked > 0 ? [`${parked} given up`] : []),
    ...(perHour === null ? [] : [`${perHour >= 10 ? Math.round(perHour) : perHour.toPrecision(2)} an hour`]),
    ...(secondsLeft ? [`about ${clock(secondsLeft)} left`] : []),
  ];
  const busy = [...workers].sort((a, b) => b.runs.length - a.runs.length);
  const lines = [
    parts.join(', '),
    ...busy.slice(0, SHOWN).map((worker) => `  ${workerLine(worker)}`),
    ...(busy.length > SHOWN ? [`  and ${busy.length - SHOWN} more workers`] : []),
    ...(busy.length === 0 ? ['  no worker is there: idat worker --queue … on any machine'] : []),
  ];
  return lines.map((line) => cut(oneLine(line), width));
}

function workerLine({ name, device, slots, done, runs, lacks }: QueueSnapshot['workers'][number]): string {
  const doing = runs.map((run) => `${run.name} ${Math.round(100 * run.fraction)}%`).join(', ');
  const idle = lacks.length > 0 ? `lacks ${lacks[0]}` : 'waits for runs';
  return `${name} (${device}, ${runs.length}/${slots}, ${done} done)  ${doing === '' ? idle : doing}`;
}
