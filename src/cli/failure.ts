/** What a person sees when a command ends badly, and the exit code that goes with it. */
import { CommanderError } from 'commander';
import { IdatError } from '../errors.js';
import { messageOf } from './advice.js';
import { stoppedExitCode } from './interrupt.js';
import { tell } from './terminal.js';

/** 0 where only help was asked for, 2 for a command typed wrongly, 130, 143 or 129 when a signal stopped it, 1 for all else. */
function exitCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (!(error instanceof IdatError)) return 1;
  if (error.code.endsWith('.interrupted')) return stoppedExitCode();
  return error.code.startsWith('config.') ? 2 : 1;
}

/** Says what went wrong on stderr and sets the exit code. */
export function fail(error: unknown): void {
  process.exitCode = exitCode(error);
  if (error instanceof CommanderError) return; // commander has spoken already
  if (error instanceof IdatError) {
    tell(`${messageOf(error)}\n`);
    return;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  tell(`${stack}\n\nThis is a bug of idat. Please report it with the lines above.\n`);
}
