/**
 * A run is a directory: what it was asked to do, how far it is, and what came out.
 *
 * `state.safetensors` is the truth; metrics and tensors are derived from it and written again after every resume.
 */
import { mkdir, readdir, readFile, unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Backbone } from '../backbones/backbone.js';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-write.js';
import { encodeSafetensors } from '../files/safetensors.js';
import type { Provider } from '../runtime/worker.js';
import { type FineTuneSettings, type Protocol, parseConfig, variantName } from './config.js';
import { type ModelSpec, TRAINING_ONLY, type TrainableLayout } from './model.js';
import type { EpochMetrics, Phase } from './progress.js';
import { encodeState, type Role, readState, type TrainState } from './state.js';

/** config.json: all that is needed to repeat the run. */
export interface RunRecord {
  format: 'idat-run-1';
  versions: { idat: string; onnxruntime: string; node: string };
  settings: FineTuneSettings;
  /** What `auto` and the defaults came to; a resumed run keeps to it. */
  resolved: {
    device: Provider;
    /** For the step and what belongs to it. */
    threads: number;
    microBatch: number;
    /** Calls at a time, which change no number. Missing in runs of versions that had one. */
    replicas?: number;
    /** Of the sittings before, where a run went on otherwise: its numbers are no longer an undisturbed run's. */
    earlier?: { threads: number; microBatch: number }[];
    /** For frozen prefixes: the step behind them may be so small that one thread is best, which they are not. */
    /** Missing in runs of versions without frozen prefixes. */
    prefixThreads?: number;
    why?: string;
  };
  data: { source: string; kind: string; note: string; fingerprints: Record<string, string> };
  classes: number;
  student: BackboneRecord;
  teacher: BackboneRecord | null;
}

export interface BackboneRecord {
  name: string;
  path: string;
  sha256: string;
  config: Record<string, unknown>;
  mean: readonly number[];
  std: readonly number[];
}

/** In what a backbone differs from the one a run began with; null where in nothing. */
export function backboneChange(then: BackboneRecord, now: Backbone): string | null {
  if (then.sha256 !== now.sha256) return `sha256 ${then.sha256.slice(0, 12)}…, now ${now.sha256.slice(0, 12)}…`;
  // beside the weights, files with their sizes and normalisation may have changed. Older runs lack newer fields
  const facts = { ...now.config, mean: now.mean, std: now.std } as Record<string, unknown>;
  for (const [field, value] of Object.entries({ ...then.config, mean: then.mean, std: then.std })) {
    const [before, after] = [value, facts[field]].map((fact) => JSON.stringify(fact));
    if (before !== after) return `${field} ${before}, now ${after}`;
  }
  return null;
}

/** result.json */
export interface RunResult {
  /** Top-1 of the student on the test split. */
  accuracy: number;
  correct: number;
  total: number;
  protocol: Protocol;
  /** The epoch, counted from 0, whose parameters were kept. */
  selectedEpoch: number;
  /** Numbers trained in each model, heads included, and in one head alone. */
  trainableParameters: { student: number; teacher: number | null; head: number };
  /** Spent in training, over all sittings. */
  seconds: number;
}

/** timings.jsonl */
export interface EpochTiming {
  phase: Phase;
  epoch: number;
  seconds: number;
}

/** Makes the directory a run will live in. @throws IdatError `run.exists` when a run is there already */
export async function createRunDirectory(settings: FineTuneSettings): Promise<string> {
  if (settings.out !== undefined) {
    const dir = resolve(settings.out);
    await refuseExisting(dir);
    await makeFolder(dir);
    return dir;
  }
  const data = basename(settings.data).replace(/\.zip$/i, '');
  await makeFolder('runs');
  for (let n = 1; ; n++) {
    const dir = resolve('runs', `${data}-${variantName(settings)}-${n}`);
    if (await makeFolder(dir, false)) return dir;
  }
}

/** @throws IdatError `run.exists` */
export async function refuseExisting(dir: string): Promise<void> {
  const entries = await readdir(dir).catch((): string[] => []);
  if (!entries.includes('config.json') && !entries.includes('state.safetensors')) return;
  const advice = `go on with it (idat resume ${dir}), or choose another directory`;
  throw new IdatError('run.exists', `${dir}: has a run already: ${advice}`);
}

/** @returns false when it existed and that is not wanted */
async function makeFolder(dir: string, mayExist = true): Promise<boolean> {
  try {
    await mkdir(dir, { recursive: mayExist });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && !mayExist) return false;
    throw new IdatError('run.directory', `${dir}: cannot make this folder (${code}); choose another with --out`, {
      cause: error,
    });
  }
}

export async function writeRecord(dir: string, record: RunRecord, classes: readonly string[]): Promise<void> {
  await writeFileAtomic(join(dir, 'classes.json'), json(classes));
  await writeFileAtomic(join(dir, 'config.json'), json(record)); // last: it is what makes the directory a run
}

/** @throws IdatError `run.missing` when there is no run */
export async function readRecord(dir: string): Promise<RunRecord> {
  const record = await readJson<RunRecord>(dir, 'config.json');
  // a run may come from a stranger: its settings are checked like anybody's
  if (record?.format === 'idat-run-1') return { ...record, settings: checkedSettings(dir, record) };
  const what = record === null ? 'no run here (there is no config.json)' : 'config.json is not one of a run of idat';
  throw new IdatError('run.missing', `${dir}: ${what}; give the directory of a run`);
}

function checkedSettings(dir: string, { settings }: RunRecord): FineTuneSettings {
  try {
    return parseConfig(settings);
  } catch (error) {
    throw new IdatError('run.config', `${join(dir, 'config.json')}: settings.${(error as Error).message}`, {
      cause: error,
    });
  }
}

export async function readClasses(dir: string): Promise<string[]> {
  const classes = await readJson<string[]>(dir, 'classes.json');
  if (classes === null) throw new IdatError('run.missing', `${dir}: classes.json is missing; copy the run again`);
  return classes;
}

export const readResult = (dir: string) => readJson<RunResult>(dir, 'result.json');
export const writeResult = (dir: string, result: RunResult) => writeFileAtomic(join(dir, 'result.json'), json(result));

/** The state, or null where none was saved yet. Removes what a killed process left half-written. */
export async function openState(dir: string): Promise<TrainState | null> {
  const names = await readdir(dir);
  for (const name of names) if (/^\.idat-.*\.tmp$/.test(name)) await unlink(join(dir, name));
  return names.includes('state.safetensors') ? readState(join(dir, 'state.safetensors')) : null;
}

export const readTimings = (dir: string) => readLines<EpochTiming>(dir, 'timings.jsonl');
export const readMetrics = (dir: string) => readLines<EpochMetrics>(dir, 'metrics.jsonl');

export interface TunedModel {
  spec: ModelSpec;
  layout: TrainableLayout;
}

export interface TunedModels {
  student: TunedModel;
  teacher: TunedModel | null;
}

/** Saves the state and then what is derived from it. */
export async function saveRun(
  dir: string,
  state: TrainState,
  models: TunedModels,
  timings: readonly EpochTiming[],
): Promise<void> {
  await writeFileAtomic(join(dir, 'state.safetensors'), encodeState(state));
  await writeDerived(dir, state, models);
  await writeFileAtomic(join(dir, 'timings.jsonl'), lines(timings));
}

/** metrics.jsonl and the trained tensors. */
export async function writeDerived(dir: string, state: TrainState, models: TunedModels): Promise<void> {
  await writeFileAtomic(join(dir, 'metrics.jsonl'), lines(state.metrics));
  for (const role of ['student', 'teacher'] as const) {
    const model = models[role];
    const parameters = keptParameters(state, role);
    if (!model || !parameters) continue;
    const kept = model.layout.slots.filter(({ name }) => !name.startsWith(TRAINING_ONLY));
    const tensors = kept.map(({ name, shape, offset, size }) => ({
      name,
      shape,
      data: parameters.subarray(offset, offset + size),
    }));
    const { spec } = model;
    const metadata = {
      format: 'idat-tuned-1',
      role,
      method: spec.method,
      base: spec.backbone.name,
      base_sha256: spec.backbone.sha256,
    };
    await writeFileAtomic(join(dir, `${role}.safetensors`), encodeSafetensors(tensors, metadata));
  }
}

/** What a run hands out: the best epoch's where the protocol keeps it, otherwise the latest. */
export function keptParameters(state: TrainState, role: Role): Float32Array | null {
  return state.best ? state.best[role] : (state[role]?.parameters ?? null);
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

async function readJson<T>(dir: string, name: string): Promise<T | null> {
  const text = await readFile(join(dir, name), 'utf8').catch(() => null);
  return text === null ? null : parsed<T>(text, join(dir, name));
}

/** None where the file is missing. @throws IdatError `run.damaged` */
async function readLines<T>(dir: string, name: string): Promise<T[]> {
  const text = await readFile(join(dir, name), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, i) => parsed<T>(line, `${join(dir, name)}, line ${i + 1}`));
}

function parsed<T>(text: string, where: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new IdatError('run.damaged', `${where}: not JSON; copy the run again`, { cause: error });
  }
}
