/** The machine as far as it decides how fast a program runs. */
import { cpus, totalmem } from 'node:os';
import { usableCores } from '../../files/node/usable-cores.js';
import type { Machine } from '../machine.js';

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: usableCores(),
    memoryBytes: totalmem(),
    platform: `${process.platform}-${process.arch}`,
  };
}
