/** Work that shows its progress and can be stopped. */
import type { Progress, RunControl } from '../train/progress.js';
import { interruptible } from './interrupt.js';
import { progressLine } from './progress.js';

/** Runs `work` with a progress line on stderr, until it is done or stopped by Ctrl-C, which `notice` answers. */
export async function withProgress<T>(
  work: (control: RunControl) => Promise<T>,
  title?: string,
  notice?: string,
): Promise<T> {
  const { onProgress, clear } = progressLine(title);
  try {
    return await interruptible((signal) => work({ onProgress, signal }), notice);
  } finally {
    clear();
  }
}

/** The same for work of several runs, whose names stand above their lines. */
export async function withProgressOf<T>(
  work: (control: { onProgress: (event: Progress, title: string) => void; signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const line = progressLine();
  let shown = '';
  const onProgress = (event: Progress, title: string) => {
    if (title !== shown) line.head(title);
    shown = title;
    line.onProgress(event);
  };
  try {
    return await interruptible((signal) => work({ onProgress, signal }));
  } finally {
    line.clear();
  }
}
