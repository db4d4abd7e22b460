/**
 * Fine-tuning from a configuration to a result, and going on with a run that was stopped.
 */
import { resolve } from 'node:path';
import { openDataset } from '../data/index.js';
import { IdatError } from '../errors.js';
import { augments } from './augment.js';
import { type FineTuneInput, parseConfig } from './config.js';
import { evaluate, type Score } from './evaluate.js';
import { interrupted, type Run, trainPhase } from './fit.js';
import { bestEpoch } from './metrics.js';
import { TRAINING_ONLY, type TrainableLayout } from './model.js';
import { fingerprints, type Pixels } from './pixels.js';
import { writeModel } from './pretrained-model.js';
import { profileSteps } from './profile.js';
import type { RunControl } from './progress.js';
import {
  backboneChange,
  createRunDirectory,
  keptParameters,
  openState,
  type RunRecord,
  type RunResult,
  readClasses,
  readRecord,
  readResult,
  readTimings,
  refuseExisting,
  type TunedModels,
  writeDerived,
  writeRecord,
  writeResult,
} from './run-directory.js';
import { totalEpochs } from './schedule.js';
import {
  type Backbones,
  backboneRecord,
  type Compiled,
  compile,
  modelSpecs,
  openBackbones,
  optimizersOf,
  prefixesOf,
  versions,
  withAbsolutePaths,
  withPixels,
  withRuntime,
} from './setup.js';
import { openSplits, type Splits } from './splits.js';
import { initialState, type TrainState } from './state.js';
import { tuneCall } from './tuning.js';

const AUGMENTED =
  'training images are augmented: what the frozen part makes of them is computed anew in every epoch, not kept';

/** How to go on, where not as before: the machine may be another one, or free by now. */
export interface ResumeControl extends RunControl {
  /** For one operation of the step. */
  threads?: number;
  /** Images in one call. */
  microBatch?: number;
  /** Calls at a time. */
  replicas?: number;
}

export interface FineTuneResult extends RunResult {
  /** The run directory. */
  runDir: string;
}

/**
 * Fine-tunes a student, taught by a teacher if there is one, and measures it.
 *
 * @throws IdatError for every refusal; `run.interrupted` when the signal stopped it, with all saved, or
 *   `hub.interrupted` while weights were fetched
 */
export async function fineTune(input: FineTuneInput, control: RunControl = {}): Promise<FineTuneResult> {
  const settings = withAbsolutePaths(parseConfig(input));
  if (settings.out !== undefined) await refuseExisting(settings.out);
  const dataset = await openDataset(settings.data, { seed: settings.seed }); // before weights are fetched in vain
  const backbones = await openBackbones(settings, control).catch(async (error: unknown) => {
    await dataset.close();
    throw error;
  });
  return withPixels(dataset, settings, backbones, control, async (pixels) => {
    control.onProgress?.({ kind: 'note', text: dataset.note });
    return withRuntime(settings, async (started) => {
      const specs = modelSpecs(settings, backbones, dataset.classes.length);
      const prefixes = prefixesOf(specs, settings);
      const onNote = (text: string) => control.onProgress?.({ kind: 'note', text });
      const images = pixels.trainval!.student.count;
      const tuned = await tuneCall(started, settings, specs, prefixes, { images, thorough: false, onNote });
      const { microBatch, threads, replicas, why } = tuned;
      if (why !== null) onNote(why);
      if (augments(settings) && settings.method !== 'full') onNote(AUGMENTED);
      const runtime = started.withThreads(threads, replicas);
      const resolved = { device: runtime.device, threads, microBatch, replicas, prefixThreads: started.threads };
      const compiled = await compile(runtime, settings, specs, prefixes, resolved);
      const record: RunRecord = {
        format: 'idat-run-1',
        versions: await versions(),
        settings,
        resolved: { ...resolved, ...(why !== null && { why }) },
        data: {
          source: settings.data,
          kind: dataset.kind,
          note: dataset.note,
          fingerprints: fingerprints(pixels),
        },
        classes: dataset.classes.length,
        student: backboneRecord(backbones.student),
        teacher: backbones.teacher && backboneRecord(backbones.teacher),
      };
      const dir = await createRunDirectory(settings);
      await writeRecord(dir, record, dataset.classes);
      if (control.onProfile) {
        const profile = await withSplits({ ...compiled, settings, control }, pixels, async (splits) =>
          profileSteps(runtime, settings, specs, prefixes, microBatch, await splits.training('trainval')),
        );
        await control.onProfile(profile, dir);
      }
      return train(dir, record, compiled, pixels, control);
    });
  });
}

/**
 * Goes on with a run that was stopped or killed; ends with the bytes an undisturbed run would have written, unless
 * other threads or a micro-batch are asked for, which add in another order. A finished run only gives its result again.
 *
 * @throws IdatError `run.changed` when data set or weights are no longer what the run began with
 */
export async function resume(runDir: string, control: ResumeControl = {}): Promise<FineTuneResult> {
  const dir = resolve(runDir);
  const before = await readRecord(dir);
  const record = goingOn(before, control);
  const finished = await readResult(dir);
  if (finished) return { runDir: dir, ...finished };
  const { settings } = record;
  const backbones = await openBackbones(settings, control);
  checkBackbones(dir, record, backbones);
  const dataset = await openDataset(settings.data, { seed: settings.seed });
  return withPixels(dataset, settings, backbones, control, async (pixels) => {
    checkData(dir, record, fingerprints(pixels));
    return withRuntime(record.resolved, async (started) => {
      const { threads, replicas } = record.resolved;
      const runtime = started.withThreads(threads, replicas);
      const specs = modelSpecs(settings, backbones, record.classes);
      const compiled = await compile(runtime, settings, specs, prefixesOf(specs, settings), record.resolved);
      if (record !== before) await writeRecord(dir, record, dataset.classes);
      return train(dir, record, compiled, pixels, control);
    });
  });
}

/** The record of a run that goes on as asked for; what it did before is remembered. */
function goingOn(record: RunRecord, { threads, microBatch, replicas }: ResumeControl): RunRecord {
  const { resolved, settings } = record;
  const { earlier = [], prefixThreads = resolved.threads } = resolved;
  const now = {
    threads: threads ?? resolved.threads,
    microBatch: Math.min(microBatch ?? resolved.microBatch, settings.batchSize),
  };
  const same = now.threads === resolved.threads && now.microBatch === resolved.microBatch;
  if (same && replicas === undefined) return record;
  const before = same ? earlier : [...earlier, { threads: resolved.threads, microBatch: resolved.microBatch }];
  const changed = { ...now, replicas: replicas ?? resolved.replicas ?? 1, earlier: before, prefixThreads };
  return { ...record, resolved: { ...resolved, ...changed } };
}

/** From the saved state, or the beginning, to the result. */
async function train(
  dir: string,
  record: RunRecord,
  compiled: Compiled,
  pixels: Pixels,
  control: RunControl,
): Promise<FineTuneResult> {
  const { settings, resolved } = record;
  const layouts = layoutsOf(compiled.models);
  let state =
    (await openState(dir)) ?? initialState(settings.protocol === 'val' ? 'select' : 'final', settings.seed, layouts);
  const run: Run & Compiled = {
    dir,
    settings,
    microBatch: resolved.microBatch,
    ...compiled,
    timings: (await readTimings(dir)).filter(({ phase, epoch }) =>
      state.metrics.some((line) => line.phase === phase && line.epoch === epoch),
    ),
    control,
  };
  await writeDerived(dir, state, compiled.models);

  let epochs = totalEpochs(settings);
  if (state.phase === 'select') {
    await withSplits(run, pixels, async (splits) =>
      trainPhase(run, state, optimizersOf(settings, layouts, state), {
        data: await splits.training('train'),
        epochs,
        look: { split: 'val', data: await splits.evaluation('val', true), every: 1, keepBest: false },
      }),
    );
    state = initialState('final', settings.seed, layouts, state.metrics);
  }
  if (settings.protocol === 'val') epochs = bestEpoch(state.metrics, 'select')!.epoch + 1;
  const score = await withSplits(run, pixels, async (splits) => {
    const best = settings.protocol === 'paper';
    const every = best ? 1 : settings.evalEvery;
    const test = await splits.evaluation('test', every > 0);
    await trainPhase(run, state, optimizersOf(settings, layouts, state), {
      data: await splits.training('trainval'),
      epochs,
      look: every > 0 ? { split: 'test', data: test, every, keepBest: best } : null,
    });
    const report = (done: number, total: number) =>
      control.onProgress?.({ kind: 'evaluate', done, total, split: 'test' });
    await run.steps.close(); // frees the weights it holds before the classifier brings its own
    return evaluate(await run.classifier(), test, keptParameters(state, 'student')!, report, control.signal);
  });
  if (!score) throw await interrupted(run, state);
  const selectedEpoch = settings.protocol === 'paper' ? bestEpoch(state.metrics, 'final')!.epoch : epochs - 1;
  return finish(record, run, state, { ...score, selectedEpoch });
}

/** Writes the result, and before it the model where there was none to begin with. */
async function finish(
  record: RunRecord,
  { dir, models, timings }: Run,
  { student, metrics }: TrainState,
  reached: Score & Pick<RunResult, 'selectedEpoch'>,
): Promise<FineTuneResult> {
  const layouts = layoutsOf(models);
  const { protocol, scratch } = record.settings;
  const result: RunResult = {
    ...reached,
    protocol,
    trainableParameters: {
      student: keptSize(layouts.student),
      teacher: layouts.teacher?.size ?? null,
      head: headSize(layouts.student),
    },
    seconds: timings.reduce((sum, { seconds }) => sum + seconds, 0),
  };
  if (scratch) {
    const facts = { record, classes: await readClasses(dir), result, metrics };
    await writeModel(dir, models.student, student.parameters, facts);
  }
  await writeResult(dir, result);
  return { runDir: dir, ...result };
}

/** Trained numbers that the tuned model keeps. */
function keptSize({ slots }: TrainableLayout): number {
  return slots.reduce((sum, { name, size }) => sum + (name.startsWith(TRAINING_ONLY) ? 0 : size), 0);
}

/** The splits of one phase: what is kept for them in memory is free again for the next. */
async function withSplits<T>(
  { models, prefixes, settings, control }: Pick<Run & Compiled, 'models' | 'prefixes' | 'settings' | 'control'>,
  pixels: Pixels,
  action: (splits: Splits) => Promise<T>,
): Promise<T> {
  const splits = openSplits(pixels, models, prefixes, {
    memoryBytes: settings.prefixMemory * 2 ** 20,
    cacheDir: settings.cacheDir ?? null,
    onProblem: (text) => control.onProgress?.({ kind: 'note', text }),
  });
  try {
    return await action(splits);
  } finally {
    await splits.close();
  }
}

function headSize({ slots }: TrainableLayout): number {
  return slots.filter(({ name }) => name.startsWith('head.')).reduce((sum, { size }) => sum + size, 0);
}

function checkBackbones(dir: string, record: RunRecord, backbones: Backbones): void {
  for (const role of ['student', 'teacher'] as const) {
    const then = record[role];
    const now = backbones[role];
    const change = then && now ? backboneChange(then, now) : null;
    if (change === null) continue;
    const what = `the ${role}'s weights in ${now?.path} are not those the run began with (${change})`;
    throw new IdatError('run.changed', `${dir}: ${what}; put the old file back or start a new run`);
  }
}

function checkData(dir: string, { data }: RunRecord, now: Record<string, string>): void {
  const changed = Object.keys(data.fingerprints).filter((split) => data.fingerprints[split] !== now[split]);
  if (changed.length === 0) return;
  const what = `the data set ${data.source} has changed since the run began (${changed.join(', ')})`;
  throw new IdatError('run.changed', `${dir}: ${what}; put the old images back or start a new run`);
}

function layoutsOf({ student, teacher }: TunedModels) {
  return { student: student.layout, teacher: teacher?.layout ?? null };
}
