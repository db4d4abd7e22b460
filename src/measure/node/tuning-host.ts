/** What Node knows of the machine, for those who look for the fastest way to use it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { thisMachine } from '../../runtime/node/machine.js';
import type { TuningHost } from '../tuning.js';
import { readLoad, theseCores } from './machine-load.js';
import { forgetTuning, recallTuning, rememberTuning } from './tuning-cache.js';

/**
 * To be made early: what other programs do is judged from then on.
 * @param onNote told when what was measured cannot be remembered
 */
export const tuningHost = (onNote?: (text: string) => void): TuningHost => ({
  machine: thisMachine(),
  cores: theseCores(),
  began: readLoad(),
  load: readLoad,
  now: () => performance.now(),
  wait: (ms) => sleep(ms),
  availableBytes: () => process.availableMemory(),
  recall: recallTuning,
  remember: (key, entry) =>
    rememberTuning(key, entry).catch((error: Error) => onNote?.(`cannot remember the choice: ${error.message}`)),
  forget: (key) => forgetTuning(key).catch(() => {}),
});
