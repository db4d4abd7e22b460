/** Runs of one build for one device wait together: who would give other bytes does not meet them. */
import type { FineTuneSettings } from '../settings/config.js';

/** Where a run computes in a queue; what leaves that open means the processor, which every worker has. */
export const deviceOf = ({ device }: Pick<FineTuneSettings, 'device'>): 'cpu' | 'cuda' | 'webgpu' =>
  device === 'auto' ? 'cpu' : device;

/** The name of the jobs' queue. */
export const laneOf = (queue: string, build: string, device: string): string => `${queue}-${build}-${device}`;
