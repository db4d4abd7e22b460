/** The largest resident memory of a process that trains. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BackboneConfig } from '../backbones/backbone.js';
import type { FineTuneSettings } from '../train/config.js';

/** What the process is to run. */
export interface MemoryTask {
  readonly run: FineTuneSettings;
  readonly classes: number;
  readonly microBatch: number;
  readonly threads: number;
  readonly replicas: number;
  /** The student's weights and, when there is one, the teacher's. */
  readonly files: readonly { readonly path: string; readonly name: string; readonly config: BackboneConfig }[];
}

/** Bytes. The images of a data set come on top. */
export async function peakMemoryBytes(task: MemoryTask): Promise<number> {
  // From TypeScript sources (tests), the compiled program of the last build is used.
  const place = import.meta.url.endsWith('.ts') ? '../../dist/bench/memory-process.js' : './memory-process.js';
  const program = fileURLToPath(new URL(place, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(task)]);
  return Number(stdout);
}
