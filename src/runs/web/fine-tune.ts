/** Fine-tuning in a browser tab, from settings to a result, and going on with a run that was stopped or closed. */
import type { Backbone } from '../../backbones/backbone.js';
import type { Dataset } from '../../data/dataset.js';
import { openWebDataset, type WebData } from '../../data/web/open.js';
import { loadWebPixels } from '../../data/web/pixels.js';
import { IdatError } from '../../errors.js';
import { bytesOf, type WebFile } from '../../files/web/fetch.js';
import { type ImageSize, sameImageSize } from '../../image-size.js';
import type { Device, Provider, Runtime } from '../../runtime/runtime.js';
import { checkMoves } from '../../runtime/web/check-moves.js';
import type { Connection } from '../../runtime/web/protocol.js';
import { startWebRuntime } from '../../runtime/web/start.js';
import { type FineTuneInput, parseConfig } from '../../settings/config.js';
import { planOf, planOfRun, type RunPlan } from '../../settings/plan.js';
import type { RunRecord, RunResult } from '../../settings/record.js';
import { mapPair, type Pair, ROLES, type Role } from '../../step/roles.js';
import { loadPrograms } from '../../train/compiled.js';
import { int8Record, withInt8Range } from '../../train/int8-range.js';
import { movesRecord, withMoves } from '../../train/moves.js';
import type { RunControl } from '../../train/progress.js';
import { runProtocol } from '../../train/protocol.js';
import { readClasses, readRecord, readResult, storeIn, writeRecord } from '../../train/run-files.js';
import { parseSplit, SPLIT_FILE, splitOf, splitText, withSplitOf } from '../../train/run-split.js';
import { backboneChange, backboneRecord, checkData, fingerprints, taken } from '../../train/sources.js';
import { microBatchOf, modelSpecs, prefixesOf } from '../../train/specs.js';
import type { Pixels } from '../../train/splits.js';
import { tellOfData } from '../../train/tell-of-data.js';
import { dataOf, openBackbone, pathOf } from './sources.js';
import {
  createStored,
  dropStored,
  freeName,
  openStored,
  refuseStored,
  type StoredRun,
  withRunLock,
} from './storage.js';

/** The files of a run, which its settings only name. */
export interface WebSources {
  /** A zip or its files, or the address of a zip. */
  readonly data: WebData | string;
  /** The weights of the models that the settings name. */
  readonly weights: { readonly student: WebFile; readonly teacher?: WebFile | undefined };
  /** Address of the folder `dist` of onnxruntime-web on the page's own origin: what device webgpu is loaded from. */
  readonly onnxruntime?: string;
}

/** What to train: settings as `idat train` has them, less what names folders, and the files. */
export interface WebRequest
  extends WebSources,
    Omit<FineTuneInput, 'data' | 'out' | 'cacheDir' | 'scratch' | 'offline'> {
  /** What the data set is called: in messages, and in settings where Node takes the run up. Default: the file's name, or `data`. */
  readonly dataName?: string;
  /** Name of the run in this browser; default: one is made. */
  readonly run?: string;
}

export interface WebResult extends RunResult {
  /** The run's name in this browser. */
  readonly run: string;
  readonly classes: readonly string[];
}

/** What a tab brings along. */
export interface WebHost {
  /** Starts one more engine. */
  readonly connect: () => Connection;
  /** Processors that the tab may use. */
  readonly cores: number;
  /** Of idat. */
  readonly version: string;
}

/** Copies of a program beside each other, at most: each holds the weights once more. */
const MAX_REPLICAS = 4;
const WEIGHTS_OF_ALL_REPLICAS = 2 ** 29;

/**
 * Fine-tunes a student, taught by a teacher if there is one, and keeps the run in the browser's storage.
 *
 * @throws IdatError for every refusal; `run.interrupted` when the signal stopped it, with all saved
 */
export async function fineTune(request: WebRequest, control: RunControl, host: WebHost): Promise<WebResult> {
  const { data, weights, onnxruntime, dataName, run: wanted, ...rest } = request;
  const source = dataName ?? (data instanceof File ? data.name : typeof data === 'string' ? data : 'data');
  const settings = parseConfig({ ...rest, data: source });
  const planned = planOf(settings);
  const name = wanted ?? (await freeName(`${source.replace(/^.*\//, '').replace(/\.zip$/i, '')}-${planned.variant}`));
  await refuseStored(name);
  const files = new Map<string, Uint8Array>();
  return withRuntimeBeside(start(planned.engine.device, files, onnxruntime, host), async (started) => {
    const [backbones, given] = await Promise.all([
      openBackbones(planned, weights, files, control, null),
      dataOf(data, source, control),
    ]);
    const dataset = await openWebDataset(given, source, { seed: planned.splitSeed });
    const pixels = await openPixels(dataset, planned, backbones, control);
    const note = await tellOfData(dataset, pixels, control);
    const runtime = await started;
    const ranged = await withInt8Range(planned, runtime);
    const specs = modelSpecs(ranged.models, backbones, dataset.classes.length);
    const plan = await withMoves(ranged, runtime, specs, pixels, control);
    const prefixes = prefixesOf(specs, plan);
    const microBatch = microBatchOf(plan.batch, specs, prefixes, pixels[plan.protocol.train]!.student.count);
    const replicas = plan.engine.replicas ?? replicasHere(runtime.device, files, host);
    const resolved = {
      device: runtime.device,
      threads: 1,
      microBatch,
      replicas,
      ...int8Record(plan),
      ...movesRecord(plan, planned),
    };
    const record: RunRecord = {
      format: 'idat-run-1',
      versions: { idat: host.version, onnxruntime: runtime.engine.onnxruntime, node: 'browser' },
      settings,
      resolved,
      data: { source: dataset.source, kind: dataset.kind, note, fingerprints: fingerprints(pixels) },
      classes: dataset.classes.length,
      student: backboneRecord(backbones.student),
      teacher: backbones.teacher && backboneRecord(backbones.teacher),
    };
    const compiled = await loadPrograms(runtime.withThreads(1, replicas), plan, specs, prefixes, resolved);
    return await withRunLock(name, async () => {
      const stored = await createStored(name);
      try {
        await stored.write(SPLIT_FILE, splitText(splitOf(pixels)));
        await writeRecord(stored, record, dataset.classes);
      } catch (error) {
        await dropStored(name).catch(() => {});
        throw error;
      }
      return train(stored, record, dataset.classes, { plan, compiled, microBatch, pixels, control });
    });
  });
}

/**
 * Goes on with a run of this browser's storage, wherever it was begun; ends with the bytes an undisturbed run would have
 * written from there on. A finished run only gives its result again.
 *
 * @throws IdatError `run.changed` when data or weights are no longer what the run began with; `run.locked` when another
 *   tab is at work on it; `run.missing`
 */
export function resume(name: string, sources: WebSources, control: RunControl, host: WebHost): Promise<WebResult> {
  return withRunLock(name, async () => {
    const stored = await openStored(name);
    const record = await readRecord(stored);
    const classes = await readClasses(stored, record.classes);
    const ended = await readResult(stored, record);
    if (ended) return { run: name, classes, ...ended };
    const settings = planOfRun(record);
    const planned: RunPlan = { ...settings, cache: { ...settings.cache, folder: null } };
    if (planned.models.student.scratch) {
      throw new IdatError('run.scratch', `${name}: began with random weights; go on with it in a terminal`);
    }
    const { source } = record.data;
    const files = new Map<string, Uint8Array>();
    // a GPU of another kind than WebGPU's is none of a tab's
    const device = record.resolved.device === 'webgpu' ? 'webgpu' : 'cpu';
    return withRuntimeBeside(start(device, files, sources.onnxruntime, host), async (started) => {
      const [backbones, given] = await Promise.all([
        openBackbones(planned, sources.weights, files, control, record),
        dataOf(sources.data, source, control),
      ]);
      for (const [role, model] of Object.entries(backbones) as [Role, Backbone | null][]) {
        const change = model && backboneChange(record[role]!, model);
        if (!change) continue;
        const what = `the ${role}'s weights are not those the run began with (${change})`;
        throw new IdatError('run.changed', `${name}: ${what}; give the old file, or start a new run`);
      }
      const opened = await openWebDataset(given, source, {
        seed: planned.splitSeed,
      });
      const split = await stored.text(SPLIT_FILE);
      const dataset =
        split === null ? opened : withSplitOf(name, opened, parseSplit(split, stored.pathOf(SPLIT_FILE))).dataset;
      const pixels = await openPixels(dataset, planned, backbones, control);
      checkData(name, record, fingerprints(pixels));
      const runtime = await started;
      const plan = await withInt8Range(planned, runtime);
      const specs = modelSpecs(plan.models, backbones, record.classes);
      const { microBatch } = record.resolved;
      const replicas = Math.min(record.resolved.replicas ?? MAX_REPLICAS, replicasHere(device, files, host));
      const resolved = { microBatch };
      const compiled = await loadPrograms(
        runtime.withThreads(1, replicas),
        plan,
        specs,
        prefixesOf(specs, plan),
        resolved,
      );
      return await train(stored, record, classes, { plan, compiled, microBatch, pixels, control });
    });
  });
}

type Parts = Omit<Parameters<typeof runProtocol>[0], 'store' | 'prefixFiles'>;

/** Trains to the end; writes the result. */
async function train(
  stored: StoredRun,
  record: RunRecord,
  classes: readonly string[],
  parts: Parts,
): Promise<WebResult> {
  const store = storeIn(stored, record, parts.compiled.models);
  const { result: reached } = await runProtocol({ ...parts, store, prefixFiles: null });
  const leftOut = parts.pixels[parts.plan.protocol.test]!.student.skipped.length;
  const result = { ...reached, ...(leftOut > 0 && { leftOut }) };
  await store.finish(result);
  return { run: stored.name, classes, ...result };
}

/** @param files gets their bytes, by the path that programs call them by */
async function openBackbones(
  { models }: RunPlan,
  weights: WebSources['weights'],
  files: Map<string, Uint8Array>,
  control: RunControl,
  record: RunRecord | null,
): Promise<Pair<Backbone>> {
  const own = ROLES.filter((role) => models[role] && models[role].firstBlocks === null);
  for (const role of own) {
    if (weights[role] !== undefined) continue;
    const what = `weights.${role}: the file of ${models[role]!.name} is missing`;
    throw new IdatError('backbone.absent', `${what}; give its bytes or its address`);
  }
  const fetching = new Map<string, Promise<Uint8Array>>(); // both may be of the same file
  for (const role of own) {
    const path = pathOf(models[role]!.name);
    if (!fetching.has(path)) fetching.set(path, bytesOf(weights[role]!, path, control));
  }
  await Promise.all([...fetching].map(async ([path, bytes]) => files.set(path, await bytes)));
  const open = async (role: Role) => {
    const model = models[role]!;
    return taken(await openBackbone(files.get(pathOf(model.name))!, model, record?.[role] ?? null), model);
  };
  const student = await open('student');
  if (!models.teacher) return { student, teacher: null };
  const shares = models.teacher.firstBlocks !== null;
  return { student, teacher: shares ? taken(student, models.teacher) : await open('teacher') };
}

async function openPixels(
  dataset: Dataset,
  plan: RunPlan,
  models: Pair<Backbone>,
  { onProgress, signal }: RunControl,
): Promise<Pixels> {
  const sizes = mapPair(models, ({ config }) => config.imageSize) as Pair<ImageSize>;
  const load = (split: keyof Pixels, size: ImageSize) =>
    loadWebPixels(dataset[split], {
      size,
      ...plan.images,
      signal,
      onProgress: (done, total) => onProgress?.({ kind: 'decode', done, total }),
    });
  const pixels: Pixels = {};
  try {
    for (const split of plan.protocol.splits) {
      const student = await load(split, sizes.student);
      const { teacher: size } = sizes;
      const same = size === null || sameImageSize(size, sizes.student);
      const teacher = same ? student : await load(split, size);
      pixels[split] = { student, teacher: size === null ? null : teacher };
      const [first] = student.skipped;
      if (!first) continue;
      const what = `${split}: left out ${student.skipped.length} unreadable image(s), such as ${first.name}`;
      onProgress?.({ kind: 'note', text: `${what} (${first.reason})` });
    }
    return pixels;
  } catch (error) {
    if (!signal?.aborted || error instanceof IdatError) throw error;
    throw new IdatError('run.interrupted', 'stopped while reading the images; no training was lost', { cause: error });
  }
}

/**
 * Starts the runtime while files are fetched and pictures are decoded, none of which waits for it, and closes it in the end.
 * @param action is given the runtime to come
 */
async function withRuntimeBeside<T>(
  starting: Promise<Runtime>,
  action: (started: Promise<Runtime>) => Promise<T>,
): Promise<T> {
  starting.catch(() => {}); // told where it is waited for
  try {
    return await action(starting);
  } finally {
    void starting.then((runtime) => runtime.close()).catch(() => {});
  }
}

const start = (
  device: Device,
  files: ReadonlyMap<string, Uint8Array>,
  onnxruntime: string | undefined,
  { connect }: WebHost,
): Promise<Runtime> => startWebRuntime({ connect, files, device, onnxruntime, check: checkMoves });

/** As many copies as there are processors for and as small weights allow; they change no number. */
function replicasHere(device: Provider, files: ReadonlyMap<string, Uint8Array>, { cores }: WebHost): number {
  if (device === 'webgpu') return 1; // all would wait for the same adapter
  const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  return Math.max(1, Math.min(cores, MAX_REPLICAS, Math.floor(WEIGHTS_OF_ALL_REPLICAS / bytes)));
}
