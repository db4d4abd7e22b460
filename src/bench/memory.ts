/** The largest resident memory of a process that trains. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BackboneConfig } from '../backbones/backbone.js';
import { packageFile } from '../files/node/package-root.js';
import type { RunPlan } from '../settings/plan.js';

/** What the process is to run. */
export interface MemoryTask {
  readonly plan: Pick<RunPlan, 'models' | 'objective' | 'compile' | 'engine'>;
  readonly classes: number;
  readonly microBatch: number;
  readonly threads: number;
  readonly replicas: number;
  /** The student's weights and, when there is one, the teacher's. */
  readonly files: readonly { readonly path: string; readonly name: string; readonly config: BackboneConfig }[];
}

/** Bytes. The images of a data set come on top. */
export async function peakMemoryBytes(task: MemoryTask): Promise<number> {
  const program = fileURLToPath(packageFile('dist/bench/memory-process.js'));
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(task)]);
  return Number(stdout);
}
