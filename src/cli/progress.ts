/**
 * Progress on stderr. On a terminal a line for each finished epoch stays, of long runs for every so many, and below it one
 * line is rewritten; elsewhere a plain line is written now and then.
 */
import type { WriteStream } from 'node:tty';
import { visible } from '../errors.js';
import type { Progress } from '../train/progress.js';
import { noteText } from './advice.js';
import { estimateText } from './estimate-text.js';
import { epochLine, liveLine, timeLeft } from './progress-text.js';

/** How often the line is rewritten on a terminal, and how often a line is written elsewhere. */
const REDRAW_MS = 100;
const PLAIN_MS = 10_000;
/** Of a terminal that does not say. */
const USUAL_COLUMNS = 80;
/** Lines that the epochs of a run leave, at most and besides the first. */
const HISTORY_LINES = 20;

export interface ProgressLine {
  onProgress: (event: Progress) => void;
  /** Says what the lines to come are of, such as a run. */
  head(title: string): void;
  /** Wipes the line; to be called before anything else is written. */
  clear(): void;
}

/** @param title stands above the lines */
export function progressLine(title = '', stream: WriteStream = process.stderr): ProgressLine {
  const terminal = stream.isTTY === true;
  const left = timeLeft();
  let last = terminal ? 0 : performance.now();
  let heading = title;
  const clear = () => {
    if (terminal) stream.write('\r\x1b[2K');
  };
  /** Writes what stays, under its heading. */
  const write = (text: string) => {
    clear();
    stream.write(visible(heading === '' ? text : `${heading}\n${text}`));
    heading = '';
  };
  const onProgress = (event: Progress) => {
    if (event.kind === 'note') return write(`${noteText(event)}\n`);
    if (event.kind === 'estimate') return write(`${estimateText(event)}\n`);
    const width = Math.max(20, (stream.columns || USUAL_COLUMNS) - 1);
    const now = performance.now();
    const due = now - last >= (terminal ? REDRAW_MS : PLAIN_MS);
    if (event.kind === 'epoch') {
      const { epoch, epochs } = event;
      if (epoch + 1 < epochs && !(terminal ? staysInHistory(epoch, epochs) : due)) return;
      write(`${epochLine(event, width)}\n`);
    } else {
      const secondsLeft = left(event, now);
      const complete = terminal && 'done' in event && event.done === event.total;
      if (!due && !complete) return;
      write(`${liveLine(event, secondsLeft, width, terminal)}${terminal ? '' : '\n'}`);
    }
    last = now;
  };
  const head = (text: string) => {
    heading = text;
  };
  return { onProgress, head, clear };
}

/** The first epoch, as it shows how long one takes, and then every so many. */
function staysInHistory(epoch: number, epochs: number): boolean {
  return epoch === 0 || (epoch + 1) % Math.ceil(epochs / HISTORY_LINES) === 0;
}
