/** The driver's side of tfjs-peer.ts. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { IdatError } from '../src/errors.js';
import type { Checked } from './agreement.js';
import { type Contestant, startContestant } from './contestant.js';
import type { Versions } from './idat.js';
import type { Part } from './pytorch.js';
import type { Row } from './readings.js';

export class Tfjs {
  private constructor(private readonly contestant: Contestant<Versions>) {}

  /** @throws IdatError `bench.tfjs` when its packages have not been installed */
  static async start(folder: string): Promise<Tfjs> {
    const script = fileURLToPath(new URL('./tfjs-peer.js', import.meta.url));
    if (!existsSync(new URL('../../node_modules/@tensorflow/tfjs', import.meta.url))) {
      throw new IdatError('bench.tfjs', 'TensorFlow.js is not installed; run npm ci --prefix bench');
    }
    return new Tfjs(await startContestant<Versions>('TensorFlow.js', process.execPath, [script, folder]));
  }

  get versions(): Record<string, string> {
    return this.contestant.greeting.versions;
  }

  check(batch: number): Promise<Checked> {
    return this.contestant.ask({ task: 'check', batch });
  }

  async logits(): Promise<number[]> {
    return (await this.contestant.ask<{ logits: number[] }>({ task: 'logits' })).logits;
  }

  row(table: string, part: Part): Row {
    const read = async () => {
      const { seconds } = await this.contestant.ask<{ seconds: number }>({ task: 'seconds', part, count: 1 });
      return { value: 1000 * seconds };
    };
    return { table, name: 'TensorFlow.js wasm', setting: 'batch 1, 1 thread', read, warmUp: read };
  }

  productRow(table: string): Row {
    const read = async () => ({
      value: (await this.contestant.ask<{ gigaflopsPerSecond: number }>({ task: 'product' })).gigaflopsPerSecond,
    });
    return { table, name: 'TensorFlow.js wasm', setting: '1 thread', read, warmUp: read };
  }

  close(): Promise<void> {
    return this.contestant.close();
  }
}
