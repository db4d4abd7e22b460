/**
 * A run is a directory: what it was asked to do, how far it is, and what came out.
 *
 * `state.safetensors` is the truth; metrics and tensors are derived from it and written again after every resume. All of
 * it may come from a stranger, so each file is read through its schema (settings/record.ts).
 */
import { mkdir, readdir, readFile, unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { z } from 'zod';
import { IdatError, type Issue, inWords } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { openSafetensors } from '../files/node/safetensors-file.js';
import { encodeSafetensors } from '../files/safetensors.js';
import type { FineTuneSettings } from '../settings/config.js';
import { variantName } from '../settings/config.js';
import { issuesOf } from '../settings/issues.js';
import {
  ClassesSchema,
  type EpochMetrics,
  EpochMetricsSchema,
  EpochTimingSchema,
  type RunRecord,
  RunRecordSchema,
  type RunResult,
  RunResultSchema,
  storedSettings,
} from '../settings/record.js';
import { TRAINING_ONLY, type TrainableLayout, type TunedModel } from '../step/model.js';
import { type Pair, ROLES, type Role } from '../step/roles.js';
import { encodeState, keptParameters, readState, type TrainState } from '../train/state.js';
import type { Store } from '../train/store.js';

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
  const what = `${dir}: has a run already: go on with it, or choose another directory`;
  throw new IdatError('run.exists', what, { about: { run: dir } });
}

/** @returns false when it existed and that is not wanted */
async function makeFolder(dir: string, mayExist = true): Promise<boolean> {
  try {
    await mkdir(dir, { recursive: mayExist });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && !mayExist) return false;
    throw new IdatError('run.directory', `${dir}: cannot make this folder (${code}); choose another`, { cause: error });
  }
}

export async function writeRecord(dir: string, record: RunRecord, classes: readonly string[]): Promise<void> {
  await writeFileAtomic(join(dir, 'classes.json'), json(classes));
  await writeFileAtomic(join(dir, 'config.json'), json(record)); // last: it is what makes the directory a run
}

/**
 * What a run was asked to do.
 * @throws IdatError `run.missing` when there is no run, `run.config` for a field that cannot be
 */
export async function readRecord(dir: string): Promise<RunRecord> {
  const path = join(dir, 'config.json');
  const missing = (what: string) => new IdatError('run.missing', `${dir}: ${what}; give the directory of a run`);
  const value = await readJson(path);
  if (value === undefined) throw missing('no run here (there is no config.json)');
  const { format } = (value ?? {}) as { format?: unknown };
  if (format !== 'idat-run-1') throw missing('config.json is not one of a run of idat');
  const wrong = (issues: readonly Issue[], cause?: unknown) =>
    new IdatError('run.config', `${path}: ${inWords(issues.slice(0, 1))}`, { issues, cause });
  const parsed = RunRecordSchema.safeParse(value, { reportInput: true });
  if (!parsed.success) throw wrong(issuesOf(parsed.error, Object.keys(RunRecordSchema.shape)), parsed.error);
  try {
    const record = { ...parsed.data, settings: storedSettings(parsed.data.settings) };
    const contradiction = contradictionIn(record);
    if (contradiction) throw wrong([contradiction]);
    return record;
  } catch (error) {
    if (!(error instanceof IdatError) || error.code !== 'config.field') throw error;
    throw wrong(
      error.issues.map((issue) => ({ ...issue, path: ['settings', ...issue.path] })),
      error,
    );
  }
}

/** What no run of idat writes, though each field by itself may be. */
function contradictionIn({ settings, resolved, teacher }: RunRecord): Issue | null {
  if ((settings.teacher === null) !== (teacher === null)) {
    const expected = settings.teacher === null ? 'null, as the settings name none' : `that of ${settings.teacher}`;
    return { path: ['teacher'], code: 'contradiction', message: `expected ${expected}` };
  }
  if (resolved.microBatch > settings.batchSize) {
    const message = `expected at most the batch size ${settings.batchSize}, got ${resolved.microBatch}`;
    return { path: ['resolved', 'microBatch'], code: 'too_big', message };
  }
  return null;
}

/** Names of the classes. @throws IdatError `run.missing`, `run.damaged`, also when there are not `count` of them */
export async function readClasses(dir: string, count: number): Promise<string[]> {
  const path = join(dir, 'classes.json');
  const value = await readJson(path);
  if (value === undefined) throw new IdatError('run.missing', `${dir}: classes.json is missing; copy the run again`);
  const classes = checked(ClassesSchema, value, path);
  if (classes.length === count) return classes;
  throw new IdatError('run.damaged', `${path}: has ${classes.length} classes, the run ${count}; copy the run again`);
}

/** Null where the run has not ended. @throws IdatError `run.damaged` */
export async function readResult(dir: string): Promise<RunResult | null> {
  const path = join(dir, 'result.json');
  const value = await readJson(path);
  return value === undefined ? null : checked(RunResultSchema, value, path);
}

export const readMetrics = (dir: string): Promise<EpochMetrics[]> =>
  readLines(join(dir, 'metrics.jsonl'), EpochMetricsSchema);

/**
 * The trained numbers of one of a run's models, laid out as the model reads them.
 * @throws IdatError `run.damaged` when the file holds another model's, and as `openSafetensors`
 */
export async function readTuned(dir: string, role: Role, { slots, size }: TrainableLayout): Promise<Float32Array> {
  const path = join(dir, `${role}.safetensors`);
  const file = await openSafetensors(path);
  try {
    const parameters = new Float32Array(size);
    for (const slot of slots) {
      const values = await file.readFloat32(slot.name);
      if (values.length !== slot.size) {
        const what = `tensor ${slot.name} has ${values.length} numbers, expected ${slot.size}`;
        throw new IdatError('run.damaged', `${path}: ${what}; copy the run again`);
      }
      parameters.set(values, slot.offset);
    }
    return parameters;
  } finally {
    await file.close();
  }
}

/** Keeps a run in its directory. @param models tell what the state's numbers are */
export function directoryStore(dir: string, models: Pair<TunedModel>): Store {
  const path = (name: string) => join(dir, name);
  const publish = async (state: TrainState) => {
    await writeFileAtomic(path('metrics.jsonl'), lines(state.metrics));
    for (const role of ROLES) {
      const parameters = keptParameters(state, role);
      if (parameters && models[role])
        await writeFileAtomic(path(`${role}.safetensors`), encodeTuned(models[role], role, parameters));
    }
  };
  return {
    place: dir,
    load: async () => {
      const state = await loadState(dir);
      return state && { state, timings: await readLines(path('timings.jsonl'), EpochTimingSchema) };
    },
    save: async ({ state, timings }) => {
      await writeFileAtomic(path('state.safetensors'), encodeState(state));
      await publish(state);
      await writeFileAtomic(path('timings.jsonl'), lines(timings));
    },
    publish,
    finish: (result) => writeFileAtomic(path('result.json'), json(result)),
    result: () => readResult(dir),
  };
}

/** The state, or null where none was saved yet. Removes what a killed process left half-written. */
async function loadState(dir: string): Promise<TrainState | null> {
  const names = await readdir(dir);
  for (const name of names) if (/^\.idat-.*\.tmp$/.test(name)) await unlink(join(dir, name));
  if (!names.includes('state.safetensors')) return null;
  const opened = await openSafetensors(join(dir, 'state.safetensors'));
  try {
    return await readState(opened);
  } finally {
    await opened.close();
  }
}

/** The trained tensors alone, less those that only training needs. */
function encodeTuned({ spec, layout }: TunedModel, role: Role, parameters: Float32Array): Uint8Array {
  const kept = layout.slots.filter(({ name }) => !name.startsWith(TRAINING_ONLY));
  const tensors = kept.map(({ name, shape, offset, size }) => ({
    name,
    shape,
    data: parameters.subarray(offset, offset + size),
  }));
  return encodeSafetensors(tensors, {
    format: 'idat-tuned-1',
    role,
    method: spec.method,
    base: spec.backbone.name,
    base_sha256: spec.backbone.sha256,
  });
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

/** Undefined where there is no such file. @throws IdatError `run.damaged` */
async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw new IdatError('run.damaged', `${path}: cannot be read (${error.code}); check its access rights`, {
      cause: error,
    });
  });
  return text === null ? undefined : parsed(text, path);
}

/** None where the file is missing. @throws IdatError `run.damaged` naming the line */
async function readLines<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const where = (i: number) => `${path}, line ${i + 1}`;
  return text
    .split('\n')
    .map((line, i) => [line, where(i)] as const)
    .filter(([line]) => line !== '')
    .map(([line, at]) => checked(schema, parsed(line, at), at));
}

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new IdatError('run.damaged', `${where}: not JSON; copy the run again`, { cause: error });
  }
}

function checked<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const issues = issuesOf(result.error, []);
  throw new IdatError('run.damaged', `${where}: ${inWords(issues.slice(0, 1))}; copy the run again`, { issues });
}
