/** Progress on stderr: one rewritten line on a terminal, a plain line now and then elsewhere. */
import type { WriteStream } from 'node:tty';
import { visible } from '../errors.js';
import type { Losses } from '../settings/record.js';
import type { Progress } from '../train/progress.js';
import { noteText } from './advice.js';
import { clock, percent } from './format.js';

/** How often the line is rewritten on a terminal, and how often a line is written elsewhere. */
const REDRAW_MS = 100;
const PLAIN_MS = 10_000;
const BAR_WIDTH = 20;

export interface ProgressLine {
  onProgress: (event: Progress) => void;
  /** Wipes the line; to be called before anything else is written. */
  clear(): void;
}

/** @param title stands in front of each line, such as the name of the run */
export function progressLine(title = '', stream: WriteStream = process.stderr): ProgressLine {
  let last = stream.isTTY ? 0 : performance.now();
  const clear = () => {
    if (stream.isTTY) stream.write('\r\x1b[2K');
  };
  const prefix = title && `${title}  `;
  const onProgress = (event: Progress) => {
    if (event.kind === 'note') {
      clear();
      stream.write(`${visible(noteText(event))}\n`);
      return;
    }
    const now = performance.now();
    const complete = event.kind === 'epoch' || ('done' in event && event.done === event.total);
    if (stream.isTTY) {
      if (event.kind === 'epoch' || (now - last < REDRAW_MS && !complete)) return;
      const line = visible(`${prefix}${describe(event, true)}`);
      stream.write(`\r\x1b[2K${line.slice(0, Math.max(20, stream.columns - 1))}`);
    } else {
      if (now - last < PLAIN_MS && !(event.kind === 'epoch' && event.epoch + 1 === event.epochs)) return;
      stream.write(`${visible(`${prefix}${describe(event, false)}`)}\n`);
    }
    last = now;
  };
  return { onProgress, clear };
}

function describe(event: Exclude<Progress, { kind: 'note' }>, withBar: boolean): string {
  const bar = (fraction: number) => (withBar ? `${drawBar(fraction)} ` : '');
  switch (event.kind) {
    case 'fetch': {
      const { name, done, total, bytesPerSecond } = event;
      const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
      if (total === null) return `${name} ${megabytes(done)} MB`;
      return [
        `${bar(done / total)}${name} ${megabytes(done)}/${megabytes(total)} MB`,
        `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`,
        ...(bytesPerSecond > 0 ? [`${clock((total - done) / bytesPerSecond)} left`] : []),
      ].join('  ');
    }
    case 'decode':
      return `${bar(event.done / event.total)}reading images ${event.done}/${event.total}`;
    case 'evaluate':
      return `${bar(event.done / event.total)}testing on ${event.split} ${event.done}/${event.total}`;
    case 'step': {
      const { epoch, epochs, step, steps, losses, trainAccuracy, imagesPerSecond, secondsLeft } = event;
      const rate = imagesPerSecond < 10 ? imagesPerSecond.toFixed(1) : imagesPerSecond.toFixed(0);
      return [
        `${bar((epoch + step / steps) / epochs)}${event.phase === 'select' ? 'selecting, ' : ''}epoch ${epoch + 1}/${epochs}`,
        `loss ${lossText(losses)}`,
        `train ${percent(trainAccuracy)}`,
        `${rate} images/s`,
        `${clock(secondsLeft)} left`,
      ].join('  ');
    }
    case 'epoch':
      return [
        `epoch ${event.epoch + 1}/${event.epochs}`,
        `loss ${lossText(event.loss)}`,
        `train ${percent(event.trainAccuracy)}`,
        ...(event.valAccuracy === null ? [] : [`val ${percent(event.valAccuracy)}`]),
        ...(event.testAccuracy === null ? [] : [`test ${percent(event.testAccuracy)}`]),
        `${event.seconds.toFixed(1)} s`,
      ].join('  ');
  }
}

/** The student's own loss, and beside it the teacher's and the distance between them where there is a teacher. */
function lossText({ student, teacher, distill, total }: Losses): string {
  const own = student.toFixed(3);
  return total === student ? own : `${own} (teacher ${teacher.toFixed(3)}, distil ${distill.toFixed(3)})`;
}

function drawBar(fraction: number): string {
  const filled = Math.round(BAR_WIDTH * Math.min(1, Math.max(0, fraction)));
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`;
}
