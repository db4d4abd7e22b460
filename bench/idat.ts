/** The driver's side of idat-peer.ts. */
import { fileURLToPath } from 'node:url';
import type { Checked } from './agreement.js';
import { type Contestant, startContestant } from './contestant.js';
import { TIME_RUNS } from './fresh-process.js';
import { type AdapterName, BATCH_SIZE } from './problem.js';
import type { Part } from './pytorch.js';
import type { Row } from './readings.js';
import type { VariantName } from './variants.js';

export interface Versions {
  versions: Record<string, string>;
}

export class Idat {
  private constructor(private readonly contestant: Contestant<Versions>) {}

  static async start(folder: string): Promise<Idat> {
    const script = fileURLToPath(new URL('./idat-peer.js', import.meta.url));
    return new Idat(await startContestant<Versions>('idat', process.execPath, [...TIME_RUNS, script, folder]));
  }

  get versions(): Record<string, string> {
    return this.contestant.greeting.versions;
  }

  check(variant: VariantName, adapter: AdapterName, batch: number): Promise<Checked> {
    return this.contestant.ask({ task: 'check', variant, adapter, batch });
  }

  async logits(variant: VariantName): Promise<number[]> {
    return (await this.contestant.ask<{ logits: number[] }>({ task: 'logits', variant, adapter: 'parallel' })).logits;
  }

  async flopsPerImage(variant: VariantName, adapter: AdapterName): Promise<number> {
    return (await this.contestant.ask<{ flopsPerImage: number }>({ task: 'flops', variant, adapter })).flopsPerImage;
  }

  async row(table: string, part: Part, adapter: AdapterName, variant: VariantName): Promise<Row> {
    const setting = { task: 'setting', part, variant, adapter };
    const { batch, threads } = await this.contestant.ask<{ batch: number; threads: number }>(setting);
    const measure = async (count: number) => {
      const request = { task: 'seconds', part, variant, adapter, count };
      const { seconds, runSeconds } = await this.contestant.ask<{ seconds: number; runSeconds: number }>(request);
      return { value: (1000 * seconds) / count, outsideShare: 1 - runSeconds / seconds };
    };
    return {
      table,
      name: `idat ${variant}`,
      setting: `batch ${BATCH_SIZE} in calls of ${batch}, ${threads} threads`,
      warmUp: () => measure(batch),
      read: () => measure(BATCH_SIZE),
    };
  }

  productRow(table: string): Row {
    const read = async () => ({
      value: (await this.contestant.ask<{ gigaflopsPerSecond: number }>({ task: 'product' })).gigaflopsPerSecond,
    });
    return { table, name: 'ONNX Runtime', setting: 'constant weight', read, warmUp: read };
  }

  close(): Promise<void> {
    return this.contestant.close();
  }
}
