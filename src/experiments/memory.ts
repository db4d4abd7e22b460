/** Whether another run fits into memory beside those that are going on. */
import { stat } from 'node:fs/promises';
import { findWeights, isModelPath, namedWeights } from '../backbones/node/registry.js';
import { canonical, type FineTuneSettings } from '../settings/config.js';

/** Of a process before it has a model, and of what a model takes beside its weights; both generous. */
const BARE_BYTES = 400e6;
const PER_WEIGHT_BYTE = 2;
/** Kept free for everybody else. */
const SPARE = 0.1;

/** Learns from runs that have been what others like them will take. */
export class MemoryGauge {
  private readonly peaks = new Map<string, number>();
  private readonly running = new Map<object, { key: string; bytes: number }>();

  /** @param available bytes that the system could give; a test has its own */
  constructor(private readonly available: () => number = () => process.availableMemory()) {}

  begin(run: object, settings: FineTuneSettings): void {
    this.running.set(run, { key: keyOf(settings), bytes: 0 });
  }

  told(run: object, peakBytes: number, bytes: number): void {
    const one = this.running.get(run);
    if (!one) return;
    one.bytes = bytes;
    this.peaks.set(one.key, Math.max(peakBytes, this.peaks.get(one.key) ?? 0));
  }

  end(run: object): void {
    this.running.delete(run);
  }

  /** True where nothing runs: one run at a time is what there is, whether it fits or not. */
  async fits(settings: FineTuneSettings): Promise<boolean> {
    if (this.running.size === 0) return true;
    const needed = await this.peakOf(keyOf(settings), settings);
    let promised = 0; // what those that run have not taken yet
    for (const { key, bytes } of this.running.values()) {
      promised += Math.max(0, (this.peaks.get(key) ?? needed) - bytes);
    }
    return this.available() - promised >= needed * (1 + SPARE);
  }

  private async peakOf(key: string, settings: FineTuneSettings): Promise<number> {
    const known = this.peaks.get(key);
    if (known !== undefined) return known;
    let bytes = BARE_BYTES;
    for (const name of [settings.student, settings.teacher]) {
      if (name !== null) bytes += PER_WEIGHT_BYTE * (await weightBytes(name));
    }
    return bytes;
  }
}

/** Runs of one shape take the same memory, whatever their rates, seeds and losses. */
const keyOf = ({ student, teacher, imageSize, method, batchSize, microBatch }: FineTuneSettings): string =>
  canonical([student, teacher, imageSize, method, batchSize, microBatch]);

async function weightBytes(name: string): Promise<number> {
  const weights = isModelPath(name) ? null : namedWeights(name);
  const path = weights ? await findWeights(weights).catch(() => null) : name;
  return path === null
    ? 0
    : stat(path).then(
        ({ size }) => size,
        () => 0,
      );
}
