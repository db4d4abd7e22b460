/** The driver's side of pytorch_peer.py: its modes, and the batch size and threads at which each is fastest. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { IdatError } from '../src/errors.js';
import type { Checked } from './agreement.js';
import { type Contestant, startContestant } from './contestant.js';
import { type AdapterName, BATCH_SIZE } from './problem.js';
import type { Row } from './readings.js';

export const MODES = ['eager float32', 'eager bfloat16', 'compile float32', 'compile bfloat16'] as const;
export type Mode = (typeof MODES)[number];
export type Part = 'step' | 'forward';

export interface Greeting {
  versions: Record<string, string>;
  /** Whether the processor computes in bfloat16 itself. */
  bfloat16: boolean;
}

/** Where and how a mode runs. */
export interface Setting {
  batch: number;
  threads: number;
}

export interface Tried extends Setting {
  mode: Mode;
  part: Part;
  msPerImage: number;
}

/** Images a reading covers at least: a step of 4 alone is over too soon. */
const IMAGES_PER_READING = 16;
const BATCH_SIZES = [4, 8, BATCH_SIZE];

const script = fileURLToPath(new URL('../../pytorch_peer.py', import.meta.url));

/** @throws IdatError `bench.python` when there is no such interpreter */
export function checkPython(python: string): void {
  if (existsSync(python)) return;
  throw new IdatError(
    'bench.python',
    `${python}: no such file; make the virtual environment as bench/README.md says, or give another with --python`,
  );
}

export async function makeWeights(python: string, folder: string): Promise<void> {
  execFileSync(python, [script, 'make-weights', folder], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** One mode in a process of its own. */
export class PyTorch {
  private constructor(
    readonly mode: Mode,
    private readonly contestant: Contestant<Greeting>,
    private readonly limitSeconds: number,
  ) {}

  /** @param limitSeconds how long one request may take, compilation included */
  static async start(mode: Mode, python: string, folder: string, limitSeconds: number): Promise<PyTorch> {
    const contestant = await startContestant<Greeting>(`PyTorch ${mode}`, python, [script, 'serve', folder]);
    return new PyTorch(mode, contestant, limitSeconds);
  }

  get greeting(): Greeting {
    return this.contestant.greeting;
  }

  check(adapter: AdapterName, batch: number): Promise<Checked> {
    return this.contestant.ask({ task: 'check', mode: this.mode, adapter, batch }, this.limitSeconds);
  }

  /** Milliseconds an image. */
  async measure(part: Part, adapter: AdapterName, { batch, threads }: Setting, repeat: number): Promise<number> {
    const request = { task: 'seconds', mode: this.mode, part, adapter, batch, threads, repeat };
    const { seconds } = await this.contestant.ask<{ seconds: number }>(request, this.limitSeconds);
    return (1000 * seconds) / (repeat * batch);
  }

  /** Bytes of memory the process has had resident at most. */
  async peakBytes(): Promise<number> {
    return (await this.contestant.ask<{ peakBytes: number }>({ task: 'peak' })).peakBytes;
  }

  row(table: string, part: Part, adapter: AdapterName, setting: Setting): Row {
    const repeat = Math.ceil(IMAGES_PER_READING / setting.batch);
    return {
      table,
      name: `PyTorch ${this.mode}`,
      setting: `batch ${setting.batch}, ${setting.threads} ${setting.threads === 1 ? 'thread' : 'threads'}`,
      warmUp: () => this.measure(part, adapter, setting, 1),
      read: async () => ({ value: await this.measure(part, adapter, setting, repeat) }),
    };
  }

  /**
   * Tries each batch size with all cores, then the fastest with one. A compiled program is compiled for a number of
   * threads, so that one is tried with all cores only.
   */
  async search(part: Part, adapter: AdapterName): Promise<Tried[]> {
    const tried: Tried[] = [];
    const attempt = async (setting: Setting) => {
      const first = await this.measure(part, adapter, setting, 1); // warms up or compiles, but a disturbed second
      const second = await this.measure(part, adapter, setting, 1); // reading alone would decide wrongly
      tried.push({ mode: this.mode, part, ...setting, msPerImage: Math.min(first, second) });
    };
    const threads = availableParallelism();
    for (const batch of BATCH_SIZES) await attempt({ batch, threads });
    if (threads > 1 && !this.mode.startsWith('compile')) await attempt({ batch: fastest(tried).batch, threads: 1 });
    return tried;
  }

  close(): Promise<void> {
    return this.contestant.close();
  }
}

export const fastest = (tried: readonly Tried[]): Tried =>
  tried.reduce((best, next) => (next.msPerImage < best.msPerImage ? next : best));

/** Peak memory of a mode at the full batch, in a process that does nothing else. */
export async function measurePeakBytes(mode: Mode, python: string, folder: string, limitSeconds: number) {
  const pytorch = await PyTorch.start(mode, python, folder, limitSeconds);
  try {
    await pytorch.measure('step', 'parallel', { batch: BATCH_SIZE, threads: availableParallelism() }, 1);
    return await pytorch.peakBytes();
  } finally {
    await pytorch.close();
  }
}
