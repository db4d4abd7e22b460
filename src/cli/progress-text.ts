/** Lines of progress: what is left of the time first, then as much as there is room for. */

import type { Losses, Phase } from '../settings/record.js';
import { wilson } from '../statistics/index.js';
import type { Progress } from '../train/progress.js';
import { clock, oneLine, percent } from './format.js';

export type LiveEvent = Exclude<Progress, { kind: 'note' | 'estimate' | 'epoch' }>;
type EpochEvent = Extract<Progress, { kind: 'epoch' }>;

/** A part of a line. Where there is no room for all, those of the highest rank are left out first. */
type Piece = readonly [text: string, rank: number];

/** Before so much time has gone, a pace tells nothing. */
const SETTLED_MS = 1000;

/** Seconds until what is under way is done, from its pace; null while nobody knows. Asked with each event, in order. */
export function timeLeft(): (event: LiveEvent, now: number) => number | null {
  let began: { kind: string; done: number; at: number } | null = null;
  let before = 0;
  return (event, now) => {
    if (event.kind === 'step') {
      began = null;
      return event.secondsLeft;
    }
    const { kind, done, total } = event;
    if (began?.kind !== kind || done < before) began = { kind, done, at: now };
    before = done;
    if (event.kind === 'fetch' && event.bytesPerSecond > 0 && total !== null)
      return (total - done) / event.bytesPerSecond;
    if (total === null || done === began.done || now - began.at < SETTLED_MS) return null;
    return (((now - began.at) / 1000) * (total - done)) / (done - began.done);
  };
}

/** @param withBar draw how much is done */
export function liveLine(event: LiveEvent, secondsLeft: number | null, width: number, withBar: boolean): string {
  const { fraction, pieces } = describe(event);
  const bar: Piece[] = withBar && fraction !== null ? [[drawBar(fraction, width), 4]] : [];
  const left: Piece[] = secondsLeft === null ? [] : [[`${clock(secondsLeft)} left`, 0]];
  return asFits([...left, ...bar, ...pieces], width);
}

/** What an epoch came to. */
export function epochLine(event: EpochEvent, width: number): string {
  const { phase, epoch, epochs, loss, trainAccuracy, look, seconds } = event;
  return asFits(
    [
      [positionText(phase, epoch, epochs), 0],
      [`loss ${loss.student.toFixed(3)}`, 1],
      [`train ${percent(trainAccuracy)}`, 3],
      ...(look ? ([[lookText(look), 2]] as const) : []),
      [clock(seconds), 5],
      ...taughtPieces(loss),
    ],
    width,
  );
}

function describe(event: LiveEvent): { fraction: number | null; pieces: Piece[] } {
  switch (event.kind) {
    case 'fetch': {
      const { name, done, total, bytesPerSecond } = event;
      const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
      const sizes = total === null ? megabytes(done) : `${megabytes(done)}/${megabytes(total)}`;
      const rate: Piece[] = total === null ? [] : [[`${(bytesPerSecond / 1e6).toFixed(1)} MB/s`, 5]];
      return { fraction: total && done / total, pieces: [[`${sizes} MB`, 1], ...rate, [oneLine(name), 2]] };
    }
    case 'decode':
      return { fraction: event.done / event.total, pieces: [[`reading images ${event.done}/${event.total}`, 1]] };
    case 'evaluate':
      return {
        fraction: event.done / event.total,
        pieces: [
          [
            `${/^train/.test(event.split) ? 'looking at' : 'testing on'} ${event.split} ${event.done}/${event.total}`,
            1,
          ],
        ],
      };
    case 'step': {
      const { phase, epoch, epochs, step, steps, losses, trainAccuracy, imagesPerSecond: rate } = event;
      return {
        fraction: (epoch + step / steps) / epochs,
        pieces: [
          [positionText(phase, epoch, epochs), 1],
          [`loss ${losses.student.toFixed(3)}`, 2],
          [`train ${percent(trainAccuracy)}`, 3],
          [`${rate < 10 ? rate.toFixed(1) : rate.toFixed(0)} images/s`, 5],
          ...taughtPieces(losses),
        ],
      };
    }
  }
}

const positionText = (phase: Phase, epoch: number, epochs: number): string =>
  `${phase === 'select' ? 'selecting' : 'epoch'} ${epoch + 1}/${epochs}`;

/** The teacher's own loss, and the distance between the two. */
const taughtPieces = ({ student, teacher, distill, total }: Losses): Piece[] =>
  total === student
    ? []
    : [
        [`teacher ${teacher.toFixed(3)}`, 6],
        [`distil ${distill.toFixed(3)}`, 7],
      ];

/** `val 71.2 % (69–73)` */
function lookText({ split, correct, total }: NonNullable<EpochEvent['look']>): string {
  const { low, high } = wilson(correct, total);
  return `${split} ${percent(correct / total)} (${(100 * low).toFixed(0)}–${(100 * high).toFixed(0)})`;
}

function asFits(pieces: readonly Piece[], width: number): string {
  const text = pieces.map(([part]) => part).join('  ');
  if (text.length <= width || pieces.length === 1) return text.slice(0, width);
  const highest = Math.max(...pieces.map(([, rank]) => rank));
  return asFits(
    pieces.filter(([, rank]) => rank !== highest),
    width,
  );
}

function drawBar(fraction: number, width: number): string {
  const cells = width < 70 ? 6 : 12;
  const filled = Math.round(cells * Math.min(1, Math.max(0, fraction)));
  return `${'█'.repeat(filled)}${'░'.repeat(cells - filled)}`;
}
