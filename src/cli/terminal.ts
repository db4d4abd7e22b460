/**
 * All that commands write, for a person or a program that reads it: names of files and classes may come from a stranger, and a
 * terminal obeys what stands in them. Only the progress line writes sequences of its own.
 */
import { visible } from '../errors.js';

/** Writes a result to stdout. JSON stays JSON. */
export function print(text: string): void {
  process.stdout.write(visible(text));
}

/** Says something to the person on stderr. */
export function tell(text: string): void {
  process.stderr.write(visible(text));
}

/** Bears a reader that has gone. */
export function bearClosedPipes(): void {
  // `idat verify … | head` closes the pipe; that is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  // Nobody sees progress any more, such as after the terminal was closed; the work goes on.
  process.stderr.on('error', () => {});
}
