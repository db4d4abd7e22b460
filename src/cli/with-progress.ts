/** Work that shows its progress and can be stopped. */
import type { Progress, RunControl } from '../train/progress.js';
import { interruptible } from './interrupt.js';
import { type ProgressLine, progressLine } from './progress.js';

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

/** The same for work of several runs, whose names stand in front of their lines. */
export async function withProgressOf<T>(
  work: (control: { onProgress: (event: Progress, title: string) => void; signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const lines = new Map<string, ProgressLine>();
  const onProgress = (event: Progress, title: string) => {
    if (!lines.has(title)) lines.set(title, progressLine(title));
    lines.get(title)!.onProgress(event);
  };
  try {
    return await interruptible((signal) => work({ onProgress, signal }));
  } finally {
    for (const { clear } of lines.values()) clear();
  }
}
