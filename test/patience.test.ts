/** Early stopping: the search for the best epoch on val ends when it has not got better for some epochs. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunControl } from '../src/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { parseConfig } from '../src/settings/config.js';
import type { EpochMetrics } from '../src/settings/record.js';
import { bestEpoch, patienceIsOver } from '../src/train/metrics.js';
import { memoryStore } from '../src/train/store.js';
import { expectExactResume, trainInMemory } from './memory-run.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

const lines = (accuracies: readonly number[], phase: 'select' | 'final' = 'select') =>
  accuracies.map((valAccuracy, epoch) => ({ phase, epoch, valAccuracy, testAccuracy: null }) as EpochMetrics);

describe('patience', () => {
  it.each<[number[], number, number, boolean]>([
    [[], 1, 0, false],
    [[0.5], 1, 0, false],
    [[0.5, 0.4], 1, 0, true],
    [[0.5, 0.4], 2, 0, false],
    [[0.5, 0.4, 0.6, 0.5], 2, 0, false],
    [[0.5, 0.4, 0.6, 0.5, 0.6], 2, 0, true], // an equal one is no better
    [[0.5, 0.4, 0.3], 0, 0, false], // 0: never
    [[0.5, 0.4, 0.3], 2, 2, false], // two of the three are of the warm-up
    [[0.5, 0.4, 0.3, 0.2], 2, 2, true],
  ])('after %o of %i epochs, %i of them warm-up: %o', (accuracies, epochs, warmupEpochs, over) => {
    const options = { patience: epochs, warmupEpochs };
    expect(patienceIsOver(lines(accuracies), 'select', options)).toBe(over);
    expect(patienceIsOver([...lines([0.9, 0.1, 0.1], 'final'), ...lines(accuracies)], 'select', options)).toBe(over);
  });

  it('is refused where nobody looks at val, in one sentence', () => {
    for (const protocol of ['last', 'paper'] as const) {
      expect(() => parseConfig({ data: 'none', protocol, patience: 3 })).toThrow(
        `patience: waits for val to get better, at which protocol ${protocol} does not look; choose protocol val`,
      );
    }
    expect(parseConfig({ data: 'none', protocol: 'val', patience: 3 }).patience).toBe(3);
  });
});

describe('a run with patience', () => {
  const settings = { protocol: 'val', patience: 2, epochs: 12, warmupEpochs: 1, cooldownEpochs: 0, lr: 0.03 } as const;

  it('trains for some epochs past the best, and then anew to the best; the same however it was stopped', async () => {
    const notes: string[] = [];
    const onProgress: RunControl['onProgress'] = (event) => event.kind === 'note' && notes.push(event.text);
    await trainInMemory(runtime, settings, memoryStore(), { control: { onProgress } });
    // 2 steps in an epoch of train, 3 in one of trainval: within the search, at its end, just after it, and near the end
    const { state, result } = await expectExactResume(runtime, settings, (steps) => {
      const searched = notes.join().match(/ended after (\d+),/)![1];
      return [3, 2 * Number(searched), 2 * Number(searched) + 1, steps - 1];
    });
    const select = state.metrics.filter(({ phase }) => phase === 'select');
    const best = bestEpoch(select, 'select')!;
    expect(select.length).toBeLessThan(settings.epochs);
    const first = select.findIndex(({ valAccuracy }) => valAccuracy === best.valAccuracy);
    expect(select.length).toBe(Math.max(first + 1, 1) + 2);
    expect(result.selectedEpoch).toBe(best.epoch);
    const final = state.metrics.filter(({ phase }) => phase === 'final');
    expect(final).toHaveLength(best.epoch + 1);
    // the schedule is that of all epochs, cut off
    final.forEach(({ lr }, epoch) => {
      expect(lr).toBe(select[epoch]!.lr);
    });
    expect(notes.filter((note) => note.includes('no better for 2 epochs'))).toHaveLength(1);
  });

  it('makes no difference where it does not run out', async () => {
    const short = { ...settings, epochs: 3 };
    const [patient, plain] = [
      await trainInMemory(runtime, { ...short, patience: 3 }),
      await trainInMemory(runtime, { ...short, patience: 0 }),
    ];
    expect(patient.state).toEqual(plain.state);
  });
});
