/** The machine as far as it decides how fast a program runs. */
import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Machine } from '../machine.js';

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform}-${process.arch}`,
  };
}
