/** Whether training goes as fast as was measured before it began. */
import type { Spent } from '../runtime/runtime.js';

/** A pace is judged over so long, and it has to be far off so often one after the other. */
const WINDOW_MS = 10_000;
const FAR_WINDOWS = 3;
const FAR = 2;

/**
 * Watches calls against what one was measured to take. What takes twice as long, or half, for half a minute is told once: the
 * measurement is not this machine's truth, or the machine is another one now.
 *
 * @param promisedMs of one call
 * @param onFar told the mean of a call in that half minute
 * @returns to be told of calls as they are made
 */
export function watchPace(promisedMs: number, onFar: (msPerCall: number) => void): (spent: Spent) => void {
  const none = { calls: 0, ms: 0 };
  let window = none;
  let far = none;
  /** Windows that were far off in the same direction, up to now; negative where they were faster. */
  let inARow = 0;
  let told = false;
  return ({ calls, ms }) => {
    if (told) return;
    window = added(window, { calls, ms });
    if (window.ms < WINDOW_MS) return;
    const ratio = window.ms / window.calls / promisedMs;
    const direction = ratio > FAR ? 1 : ratio < 1 / FAR ? -1 : 0;
    const goesOn = direction !== 0 && Math.sign(inARow) === direction;
    far = goesOn ? added(far, window) : window;
    inARow = goesOn ? inARow + direction : direction;
    window = none;
    if (Math.abs(inARow) < FAR_WINDOWS) return;
    told = true;
    onFar(far.ms / far.calls);
  };
}

const added = (a: Spent, b: Spent): Spent => ({ calls: a.calls + b.calls, ms: a.ms + b.ms });

/** What to say of it, in a sentence. */
export function paceNote(promisedMs: number, msPerCall: number): string {
  const ms = (value: number) => `${value < 100 ? value.toPrecision(3) : value.toFixed(0)} ms`;
  const slower = msPerCall > promisedMs;
  const times = (slower ? msPerCall / promisedMs : promisedMs / msPerCall).toFixed(1);
  const what = `a call takes ${ms(msPerCall)}, ${times} times ${slower ? 'more' : 'less'} than the ${ms(promisedMs)} measured for it`;
  return `${what}; this run keeps to its choice, so that its numbers stay the same, and the next start measures again`;
}
