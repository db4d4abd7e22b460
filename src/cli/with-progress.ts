/** Work that shows its progress and can be stopped. */
import type { RunControl } from '../train/progress.js';
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
