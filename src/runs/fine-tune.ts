/**
 * Fine-tuning from a configuration to a result, and going on with a run that was stopped.
 */
import { augments, onlyMirrors } from '../data/augment.js';
import { usableCores } from '../files/node/usable-cores.js';
import { tuningHost } from '../measure/node/tuning-host.js';
import { paceNote, watchPace } from '../measure/pace.js';
import { profileSteps } from '../measure/profile.js';
import { type TunedCall, tuneCall } from '../measure/tuning.js';
import type { StepProfile } from '../report/profile-record.js';
import { withRuntime } from '../runtime/node/start.js';
import { versions } from '../runtime/node/versions.js';
import { ALL_BLOCKS } from '../settings/blocks.js';
import { BUNDLED } from '../settings/fields.js';
import { planOf, type RunPlan } from '../settings/plan.js';
import type { EpochMetrics, RunRecord, RunResult } from '../settings/record.js';
import { loadPrograms } from '../train/compiled.js';
import type { OnCalls } from '../train/fit.js';
import { int8Record, withInt8Range } from '../train/int8-range.js';
import { movesRecord, withMoves } from '../train/moves.js';
import type { RunControl } from '../train/progress.js';
import { type RunParts, runProtocol, withSplits } from '../train/protocol.js';
import { splitOf } from '../train/run-split.js';
import { backboneRecord, checkData, fingerprints } from '../train/sources.js';
import { modelSpecs, prefixesOf } from '../train/specs.js';
import { keptParameters } from '../train/state.js';
import { tellOfData } from '../train/tell-of-data.js';
import { fetching, openBackbones } from './backbones.js';
import { cacheOfRun } from './cache-of-run.js';
import { createRunDirectory, lockRun, refuseExisting } from './claim-directory.js';
import { type DataSource, dataOfRun, nameOfData, openData } from './data-source.js';
import { type MovedWeights, type OpenedRun, openRun } from './open-run.js';
import { withPixels } from './pixels.js';
import { prefixFiles } from './prefix-file.js';
import { writeModel } from './pretrained-model.js';
import { type FineTuneRequest, storedSettingsOf } from './request.js';
import { openRunData } from './run-data.js';
import { directoryStore, writeRecord } from './run-directory.js';
import { writeSplit } from './split-file.js';
import { watchWeights } from './weight-files.js';

const PRESET_STUDENT = `student: ${BUNDLED.student}, the small one bundled with idat; a larger backbone sees more`;
const AUGMENTED =
  'training images are changed in more than being mirrored: what the frozen part makes of them is computed anew in every epoch, not kept';

export interface FineTuneControl extends RunControl {
  /** When given, a few steps are run under the profiler before training, on copies, and it gets the outcome. */
  onProfile?: (profile: StepProfile, runDir: string) => Promise<void>;
  /** Told what the run is made of, before it begins. */
  onRecord?: (record: RunRecord) => void;
}

/** How to go on, where not as before: the machine may be another one, or free by now. */
export interface ResumeControl extends RunControl {
  /** The run's images again, where they were in memory or lie elsewhere now. */
  data?: DataSource;
  /** Paths of the weights, where they lie elsewhere now. */
  student?: string;
  teacher?: string;
  /** Folder for decoded images and what frozen prefixes compute; default: the run's own, where it may choose it (cache-of-run.ts). */
  cacheDir?: string;
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
  /** Names of the classes, in the order of `byClass`. */
  classes: readonly string[];
}

/**
 * Fine-tunes a student, taught by a teacher if there is one, and measures it.
 *
 * @throws IdatError for every refusal; `run.interrupted` when the signal stopped it, with all saved, or
 *   `hub.interrupted` while weights were fetched
 */
export async function fineTune(request: FineTuneRequest, control: FineTuneControl = {}): Promise<FineTuneResult> {
  const settings = storedSettingsOf(request);
  const planned = planOf(settings);
  const onNote = (text: string) => control.onProgress?.({ kind: 'note', text });
  const host = tuningHost(onNote);
  if (settings.out !== undefined) await refuseExisting(settings.out);
  const fetch = planned.offline ? undefined : fetching(nameOfData(request.data), control);
  const dataset = await openData(request.data, { seed: planned.splitSeed }, fetch); // before weights are fetched in vain
  if (request.student === undefined)
    control.onProgress?.({ kind: 'note', text: PRESET_STUDENT, code: 'student.preset' });
  const backbones = await openBackbones(planned.models, planned, control).catch(async (error: unknown) => {
    await dataset.close();
    throw error;
  });
  const checkSources = await watchWeights(backbones);
  return withPixels(dataset, planned.protocol.splits, backbones, planned, control, async (pixels) => {
    const note = await tellOfData(dataset, pixels, control);
    return withRuntime(planned.engine, async (started) => {
      const ranged = await withInt8Range(planned, started);
      const specs = modelSpecs(ranged.models, backbones, dataset.classes.length);
      const plan = await withMoves(ranged, started, specs, pixels, control);
      const prefixes = prefixesOf(specs, plan);
      const images = pixels[plan.protocol.train]!.student.count;
      const tuned = await tuneCall(started, plan, specs, prefixes, images, host);
      const { microBatch, threads, replicas, why } = tuned;
      if (why !== null) onNote(why);
      if (!onlyMirrors(plan.augmentation) && !(settings.method === 'full' && settings.blocks === ALL_BLOCKS))
        onNote(AUGMENTED);
      const runtime = started.withThreads(threads, replicas);
      // records of a lasting folder are of so many threads, and not found by others
      const prefixThreads = plan.cache.folder === null ? tuned.freeCores : started.threads;
      const resolved = {
        device: runtime.device,
        threads,
        microBatch,
        replicas,
        prefixThreads,
        ...int8Record(plan),
        ...movesRecord(plan, planned),
      };
      const compiled = await loadPrograms(runtime, plan, specs, prefixes, resolved);
      const record: RunRecord = {
        format: 'idat-run-1',
        versions: versions(),
        settings,
        resolved: { ...resolved, ...(why !== null && { why }) },
        data: { source: dataset.source, kind: dataset.kind, note, fingerprints: fingerprints(pixels) },
        classes: dataset.classes.length,
        student: backboneRecord(backbones.student),
        teacher: backbones.teacher && backboneRecord(backbones.teacher),
      };
      control.onRecord?.(record);
      const { dir, lock } = await createRunDirectory(settings, nameOfData(request.data));
      try {
        await writeSplit(dir, splitOf(pixels));
        await writeRecord(dir, record, dataset.classes);
        const store = directoryStore(dir, record, compiled.models);
        const onCalls = callWatch(tuned, prefixes.student !== null || prefixes.teacher !== null, onNote);
        const parts = partsOf(plan, { compiled, microBatch, pixels, store, control, checkSources, onCalls });
        if (control.onProfile) {
          const profile = await withSplits(parts, async (splits) =>
            profileSteps(runtime, plan, specs, prefixes, microBatch, await splits.training(plan.protocol.train)),
          );
          await control.onProfile(profile, dir);
        }
        return await finish(await openRun(dir), parts);
      } finally {
        await lock.release();
      }
    });
  });
}

/**
 * Goes on with a run that was stopped or killed; ends with the bytes an undisturbed run would have written, unless
 * other threads or a micro-batch are asked for, which add in another order. A finished run only gives its result again;
 * where data are given, they are held against its own before.
 *
 * @throws IdatError `run.changed` when data set or weights are no longer what the run began with; `run.data` when its
 *   images were in memory and are not given; `run.locked` when another process is at work on it
 */
export async function resume(runDir: string, control: ResumeControl = {}): Promise<FineTuneResult> {
  const { data, student, teacher } = control;
  const moved: MovedWeights = { ...(student && { student }), ...(teacher && { teacher }) };
  const { dir, classes, result } = await openRun(runDir, moved);
  if (result && data === undefined) return { runDir: dir, classes, ...result };
  const lock = await lockRun(dir);
  try {
    return await goOn(await openRun(dir, moved), control); // as it is now that nobody else writes to it
  } finally {
    await lock.release();
  }
}

async function goOn(run: OpenedRun, control: ResumeControl): Promise<FineTuneResult> {
  const { dir, classes, result } = run;
  const planned = { ...run.plan, cache: await cacheOfRun(run, control.cacheDir, control) };
  if (result && control.data === undefined) return { runDir: dir, classes, ...result };
  const data = dataOfRun(run, control.data);
  const record = goingOn(run.record, control);
  const { resolved } = record;
  tellOfThreads(run, resolved, control);
  const backbones = {
    student: await run.backbone('student', control),
    teacher: planned.models.teacher && (await run.backbone('teacher', control)),
  };
  const checkSources = await watchWeights(backbones);
  const dataset = await openRunData(run, data, control);
  return withPixels(dataset, planned.protocol.splits, backbones, planned, control, async (pixels) => {
    checkData(dir, record, fingerprints(pixels));
    if (result) return { runDir: dir, classes, ...result };
    return withRuntime(resolved, async (started) => {
      const plan = await withInt8Range(planned, started);
      const runtime = started.withThreads(resolved.threads, control.replicas ?? replicasHere(resolved));
      const specs = modelSpecs(plan.models, backbones, record.classes);
      const compiled = await loadPrograms(runtime, plan, specs, prefixesOf(specs, plan), resolved);
      if (record !== run.record) await writeRecord(dir, record, dataset.classes);
      const store = directoryStore(dir, record, compiled.models);
      const { microBatch } = resolved;
      return finish({ ...run, record }, partsOf(plan, { compiled, microBatch, pixels, store, control, checkSources }));
    });
  });
}

/** Tells when training goes far otherwise than was measured, and has that measured again by the next run. */
function callWatch({ measured }: TunedCall, prefix: boolean, onNote: (text: string) => void): OnCalls | undefined {
  if (measured === null) return undefined;
  const watch = watchPace(measured.msPerCall, (msPerCall) => {
    onNote(paceNote(measured.msPerCall, msPerCall));
    void measured.forget();
  });
  // what frozen prefixes compute meanwhile slows the calls down
  return (spent, firstEpoch) => (prefix && firstEpoch ? undefined : watch(spent));
}

/** What a run is made of on this platform: what does not fit into memory goes to files. */
const partsOf = (plan: RunPlan, parts: Omit<RunParts, 'plan' | 'prefixFiles'>): RunParts => ({
  plan,
  prefixFiles: prefixFiles(plan.cache.folder),
  ...parts,
});

/** Trains to the end; writes the result, and before it the model where there was none to begin with. */
async function finish({ dir, record, classes }: OpenedRun, parts: RunParts): Promise<FineTuneResult> {
  const { result: reached, state } = await runProtocol(parts);
  const leftOut = parts.pixels[parts.plan.protocol.test]!.student.skipped.length;
  const result = { ...reached, ...(leftOut > 0 && { leftOut }) };
  if (parts.plan.models.student.scratch) {
    const facts = { record, classes, result, metrics: state.metrics };
    await writeModel(dir, parts.compiled.models.student, keptParameters(state, 'student')!, facts);
  }
  await parts.store.finish(result);
  tellOfShortTraining(parts, state.metrics);
  return { runDir: dir, classes, ...result };
}

/** Below this share of training images that are right, teachers were seen to cost accuracy (docs/results.md). */
const LEARNT = 0.8;

/** A teacher keeps a model from learning its images by heart: where that is far off, it only gives more to learn. */
function tellOfShortTraining({ plan, control }: RunParts, metrics: readonly EpochMetrics[]): void {
  const right = metrics.at(-1)?.trainAccuracy ?? 1;
  const { teacher, student } = plan.models;
  const harder = augments(plan.augmentation) || plan.tokens.drop > 0;
  if (teacher === null || student.scratch || harder || right >= LEARNT) return;
  const text = `${Math.round(100 * right)} % of the training images were right in the last epoch: a teacher pays where training goes on until nearly all are; train longer`;
  control.onProgress?.({ kind: 'note', text });
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

/** As many copies as the run had, where there are cores for them: each holds the weights, and none changes a number. */
const replicasHere = ({ threads, replicas = 1 }: RunRecord['resolved']): number =>
  Math.max(1, Math.min(replicas, Math.floor(usableCores() / threads)));

/** A run keeps to its threads, so that its bytes stay the same; on a smaller machine that has a price. */
function tellOfThreads(
  { dir }: OpenedRun,
  { threads, device }: RunRecord['resolved'],
  { onProgress }: RunControl,
): void {
  const cores = usableCores();
  if (device !== 'cpu' || threads <= cores) return;
  const what = `${dir}: the run works on ${threads} threads, and there are ${cores} cores, on which they wait for each other`;
  const text = `${what}; fewer would be faster, and its numbers differ in rounding`;
  onProgress?.({ kind: 'note', text, code: 'threads.more' });
}
