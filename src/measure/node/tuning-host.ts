/** What Node knows of the machine, for those who look for the fastest way to use it. */
import { thisMachine } from '../../runtime/node/machine.js';
import type { TuningHost } from '../tuning.js';
import { recallTuning, rememberTuning } from './tuning-cache.js';

/** @param onNote told when what was measured cannot be remembered */
export const tuningHost = (onNote?: (text: string) => void): TuningHost => ({
  machine: thisMachine(),
  availableBytes: () => process.availableMemory(),
  recall: recallTuning,
  remember: (key, entry) =>
    rememberTuning(key, entry).catch((error: Error) => onNote?.(`cannot remember the choice: ${error.message}`)),
});
