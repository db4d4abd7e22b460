/**
 * A run from where it stands to its end, by its protocol (settings/protocols.ts): which splits it trains on, which epoch is
 * kept, what it is measured on.
 */
import { looksOf } from '../data/augment.js';
import { IdatError } from '../errors.js';
import type { RunPlan } from '../settings/plan.js';
import { looksEvery, type SplitName } from '../settings/protocols.js';
import type { RunResult } from '../settings/record.js';
import { familiarity, familiarityQuantiles } from '../statistics/energy.js';
import { TRAINING_ONLY, type TrainableLayout } from '../step/model.js';
import { type Pair, ROLES } from '../step/roles.js';
import type { Compiled } from './compiled.js';
import { estimateRun } from './estimate.js';
import { evaluate, type Score } from './evaluate.js';
import { interrupted, type OnCalls, type Run, scheduledFeeds, trainPhase } from './fit.js';
import { fitHeads } from './head-start.js';
import type { ModelInputs } from './inputs.js';
import { bestEpoch } from './metrics.js';
import type { PrefixFiles } from './prefix-store.js';
import type { RunControl } from './progress.js';
import { totalEpochs } from './schedule.js';
import { layoutsOf, optimizersOf } from './specs.js';
import { openSplits, type Pixels, type Splits } from './splits.js';
import { initialState, keptParameters, type TrainState } from './state.js';
import type { Store } from './store.js';

/** What a run is made of, ready to go. */
export interface RunParts {
  readonly plan: RunPlan;
  readonly compiled: Compiled;
  readonly microBatch: number;
  readonly pixels: Pixels;
  readonly store: Store;
  /** Opens files for what frozen prefixes compute; null: what does not fit into memory is computed in every epoch. */
  readonly prefixFiles: PrefixFiles | null;
  readonly control: RunControl;
  /** Throws when what the run was made of is no longer what it was. Asked before and after each epoch, and before the result. */
  readonly checkSources?: (() => Promise<void>) | undefined;
  /** Told how long the calls of training take. */
  readonly onCalls?: OnCalls | undefined;
}

/** What a run came to: its result, and the state it is of. */
export interface Reached {
  readonly result: RunResult;
  readonly state: TrainState;
}

/**
 * Trains from the saved state, or the beginning, to the end, and measures what is kept. Does not finish the store: what
 * else is to be written comes before the result.
 *
 * @throws IdatError `run.interrupted` when the signal stopped it, with all saved; `run.state` when the state is another
 *   model's
 */
export async function runProtocol(parts: RunParts): Promise<Reached> {
  const { plan, compiled, store, control } = parts;
  const { protocol, schedule, seed } = plan;
  const layouts = layoutsOf(compiled.models);
  const saved = await store.load();
  let state = saved?.state ?? initialState(protocol.select ? 'select' : 'final', seed, layouts);
  checkState(state, layouts, store.place);
  checkLength(state, totalEpochs(schedule), store.place);
  const timings = (saved?.timings ?? []).filter(({ phase, epoch }) =>
    state.metrics.some((line) => line.phase === phase && line.epoch === epoch),
  );
  const run: Run = { ...parts, ...compiled, timings };
  await store.publish(state);
  const begin = async (splits: Splits, split: SplitName) => {
    if (!(await fitHeads(parts, state, splits, split))) throw await interrupted(run, state);
  };
  if (control.onProgress && state.epoch < totalEpochs(schedule)) {
    const estimate = await estimateRun(parts, state, scheduledFeeds(plan.objective, state.epoch));
    control.onProgress({ kind: 'estimate', ...estimate });
  }

  let epochs = totalEpochs(schedule);
  if (protocol.select && state.phase === 'select') {
    const { train, look } = protocol.select;
    await withSplits(parts, async (splits) => {
      await begin(splits, train);
      await trainPhase(run, state, optimizersOf(plan, layouts, state), {
        data: await splits.training(train),
        epochs,
        look: { split: look, data: await splits.evaluation(look, true), every: 1, keepBest: false },
        patience: plan.patience,
      });
    });
    if (state.epoch < epochs) control.onProgress?.({ kind: 'note', text: endedEarly(state, plan.patience) });
    state = initialState('final', seed, layouts, state.metrics);
  }
  if (protocol.select) epochs = bestEpoch(state.metrics, 'select')!.epoch + 1;
  const score = await withSplits(parts, async (splits) => {
    const every = looksEvery(protocol, plan.evalEvery);
    const test = await splits.evaluation(protocol.test, every > 0);
    await begin(splits, protocol.train);
    await trainPhase(run, state, optimizersOf(plan, layouts, state), {
      data: await splits.training(protocol.train),
      epochs,
      look: every > 0 ? { split: protocol.test, data: test, every, keepBest: protocol.keepsBest } : null,
      averageFrom: plan.averageEpochs > 1 ? epochs - plan.averageEpochs : null,
    });
    const report = (done: number, total: number) =>
      control.onProgress?.({ kind: 'evaluate', done, total, split: protocol.test });
    await compiled.steps.close(); // frees the weights it holds before the student is loaded to be measured
    const student = await compiled.student();
    const parameters = keptParameters(state, 'student')!;
    const { signal } = control;
    const measured = await evaluate(student, test, parameters, { of: protocol.test, onProgress: report, signal });
    if (!measured || protocol.select) return measured;
    const values: number[] = [];
    const some = sampleOf(await splits.evaluation(protocol.train, false));
    const onLogits = (logits: Float32Array) => values.push(familiarity(logits));
    if (!(await evaluate(student, some, parameters, { of: protocol.train, onLogits, signal }))) return null;
    return { ...measured, familiarities: { quantiles: familiarityQuantiles(values), trainedOn: true } };
  });
  if (!score) throw await interrupted(run, state);
  await parts.checkSources?.();
  const selectedEpoch = protocol.keepsBest ? bestEpoch(state.metrics, 'final')!.epoch : epochs - 1;
  const quantiles = bestEpoch(state.metrics, 'select')?.valFamiliarities;
  const familiar = quantiles && { familiarities: { quantiles, trainedOn: false } };
  return { state, result: resultOf(plan, layouts, { ...score, ...familiar, selectedEpoch }, timings) };
}

/** So many tell well enough below what a twentieth of all lies. */
const FAMILIAR_IMAGES = 256;

/** Some images of a split, from all over it. */
function sampleOf(all: ModelInputs): ModelInputs {
  const count = Math.min(all.count, FAMILIAR_IMAGES);
  const chosen = Array.from({ length: count }, (_, i) => Math.floor((i * all.count) / count));
  return {
    ...all,
    count,
    labels: Int32Array.from(chosen, (i) => all.labels[i]!),
    read: (indices) => all.read(indices.map((i) => chosen[i]!)),
  };
}

function endedEarly({ metrics, epoch }: TrainState, patience: number): string {
  const { valAccuracy, epoch: best } = bestEpoch(metrics, 'select')!;
  const what = `val was best after epoch ${best + 1} (${(100 * valAccuracy!).toFixed(2)} %)`;
  return `${what} and no better for ${patience} epochs: the search ended after ${epoch}, what is kept trains ${best + 1}`;
}

function resultOf(
  { protocol }: RunPlan,
  layouts: Pair<TrainableLayout>,
  reached: Score & Pick<RunResult, 'selectedEpoch' | 'familiarities'>,
  timings: Run['timings'],
): RunResult {
  return {
    ...reached,
    protocol: protocol.name,
    trainableParameters: {
      student: keptSize(layouts.student),
      teacher: layouts.teacher?.size ?? null,
      head: headSize(layouts.student),
    },
    seconds: timings.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

/** The splits of one phase: what is kept for them in memory is free again for the next. */
export async function withSplits<T>(
  {
    compiled: { models, prefixes },
    pixels,
    plan,
    prefixFiles,
    control,
  }: Pick<RunParts, 'compiled' | 'pixels' | 'prefixFiles' | 'control'> & {
    readonly plan: Pick<RunPlan, 'augmentation' | 'cache'>;
  },
  action: (splits: Splits) => Promise<T>,
): Promise<T> {
  const splits = openSplits(pixels, models, prefixes, {
    looks: { student: looksOf(plan.augmentation, false), teacher: looksOf(plan.augmentation, true) },
    memoryBytes: plan.cache.prefixBytes,
    files: prefixFiles,
    onProblem: (text) => control.onProgress?.({ kind: 'note', text, code: 'prefix.uncached' }),
  });
  try {
    return await action(splits);
  } finally {
    await splits.close();
  }
}

function checkState(state: TrainState, layouts: Pair<TrainableLayout>, place: string): void {
  for (const role of ROLES) {
    const [has, needs] = [state[role]?.parameters.length ?? 0, layouts[role]?.size ?? 0];
    if (has === needs) continue;
    const what = `the saved state has ${has} numbers of the ${role}, the run needs ${needs}`;
    throw new IdatError('run.state', `${place}: ${what}; copy the run again, or start a new one`);
  }
}

function checkLength({ epoch }: TrainState, epochs: number, place: string): void {
  if (epoch <= epochs) return;
  const what = `the saved state has seen ${epoch} epochs, the settings ask for ${epochs}`;
  throw new IdatError('run.state', `${place}: ${what}; put the old config.json back, or start a new run`);
}

/** Trained numbers that the tuned model keeps. */
function keptSize({ slots }: TrainableLayout): number {
  return slots.reduce((sum, { name, size }) => sum + (name.startsWith(TRAINING_ONLY) ? 0 : size), 0);
}

function headSize({ slots }: TrainableLayout): number {
  return slots.filter(({ name }) => name.startsWith('head.')).reduce((sum, { size }) => sum + size, 0);
}
