/**
 * A run is a directory: what it was asked to do, how far it is, and what came out.
 *
 * `state.safetensors` is the truth; metrics and tensors are derived from it and written again after every resume. All of
 * it may come from a stranger, so each file is read through its schema (settings/record.ts).
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { IdatError, type Issue, inWords } from '../errors.js';
import { removeAbandoned } from '../files/node/abandoned.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { openSafetensors } from '../files/node/safetensors-file.js';
import { encodeSafetensors, type SafetensorsFile } from '../files/safetensors.js';
import { issuesOf } from '../settings/issues.js';
import {
  ClassesSchema,
  contradictionTo,
  type EpochMetrics,
  EpochMetricsSchema,
  type EpochTiming,
  EpochTimingSchema,
  factsOf,
  MAX_THREADS,
  RunFactsSchema,
  type RunRecord,
  RunRecordSchema,
  type RunResult,
  StoredResultSchema,
  storedSettings,
} from '../settings/record.js';
import { TRAINING_ONLY, type TrainableLayout, type TunedModel } from '../step/model.js';
import { type Pair, ROLES, type Role } from '../step/roles.js';
import { encodeState, keptParameters, readState, type TrainState } from '../train/state.js';
import type { Store } from '../train/store.js';
import { writeEvents } from './event-file.js';

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
  const record = await readRecordFile(path);
  if (record === 'absent') throw missing('no run here (there is no config.json)');
  if (record === 'foreign') throw missing('config.json is not one of a run of idat');
  return record;
}

/**
 * The same from a file of any name.
 * @returns `absent` where there is no such file, `foreign` where it is no run's
 * @throws IdatError `run.damaged` for what is no JSON, `run.config` for a field that cannot be
 */
export async function readRecordFile(path: string): Promise<RunRecord | 'absent' | 'foreign'> {
  const value = await readJson(path);
  if (value === undefined) return 'absent';
  const { format } = (value ?? {}) as { format?: unknown };
  if (format !== 'idat-run-1') return 'foreign';
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
  const { threads, replicas = 1 } = resolved;
  if (threads * replicas > MAX_THREADS) {
    const message = `expected at most ${MAX_THREADS} threads in all, got ${replicas} times ${threads}`;
    return { path: ['resolved', 'replicas'], code: 'too_big', message };
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

/** Null where the run has not ended. @throws IdatError `run.damaged`, also when it is another run's */
export async function readResult(dir: string, record: RunRecord): Promise<RunResult | null> {
  const path = join(dir, 'result.json');
  const value = await readJson(path);
  if (value === undefined) return null;
  const { of, ...result } = checked(StoredResultSchema, value, path);
  checkCounts(result, record, path);
  const contradiction = of === undefined ? null : contradictionTo(of, record);
  if (contradiction === null) return result;
  const what = `${path}: is the result of another run (${contradiction})`;
  throw new IdatError('run.damaged', `${what}; copy this run's own, or remove it and resume the run`);
}

/** Whoever counts classes counts the same images. @throws IdatError `run.damaged` */
function checkCounts({ byClass, correct, total }: RunResult, { classes }: RunRecord, path: string): void {
  if (!byClass) return;
  const sum = (of: 'correct' | 'total') => byClass.reduce((all, counts) => all + counts[of], 0);
  const fits = byClass.length === classes && sum('correct') === correct && sum('total') === total;
  if (fits && byClass.every((counts) => counts.correct <= counts.total)) return;
  throw new IdatError('run.damaged', `${path}: byClass does not fit the run's other numbers; copy the run again`);
}

export const readMetrics = (dir: string): Promise<EpochMetrics[]> =>
  readLines(join(dir, 'metrics.jsonl'), EpochMetricsSchema);

/** How long each epoch took. @throws IdatError `run.damaged` */
export const readTimings = (dir: string): Promise<EpochTiming[]> =>
  readLines(join(dir, 'timings.jsonl'), EpochTimingSchema);

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
export function directoryStore(dir: string, record: RunRecord, models: Pair<TunedModel>): Store {
  const path = (name: string) => join(dir, name);
  const of = factsOf(record);
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
      const state = await loadState(dir, record);
      return state && { state, timings: await readTimings(dir) };
    },
    save: async ({ state, timings }) => {
      await writeFileAtomic(path('state.safetensors'), await encodeState(state, JSON.stringify(of)));
      await publish(state);
      await writeFileAtomic(path('timings.jsonl'), lines(timings));
      if (record.settings.tensorboard) await writeEvents(dir, path('tensorboard'), state.metrics, timings);
    },
    publish,
    finish: (result) => writeFileAtomic(path('result.json'), json({ ...result, of })),
    result: () => readResult(dir, record),
  };
}

/** The state, or null where none was saved yet. Removes what a killed process left half-written. */
async function loadState(dir: string, record: RunRecord): Promise<TrainState | null> {
  await removeAbandoned(dir, /^\.idat-.*\.tmp$/, { nameless: true });
  if (!(await readdir(dir)).includes('state.safetensors')) return null;
  const opened = await openSafetensors(join(dir, 'state.safetensors'));
  try {
    const state = await readState(opened);
    checkFacts(opened.file, record);
    return state;
  } finally {
    await opened.close();
  }
}

/** States of earlier versions do not say what they are of. */
function checkFacts({ name, metadata }: SafetensorsFile, record: RunRecord): void {
  if (metadata.of === undefined) return;
  const contradiction = contradictionTo(checked(RunFactsSchema, parsed(metadata.of, name), name), record);
  if (contradiction === null) return;
  const what = `${name}: the state is of another run than config.json tells (${contradiction})`;
  throw new IdatError('run.state', `${what}; put the old file back, or start a new run`);
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

/**
 * None where the file is missing. What stands behind the last line's end is half a line of a process that was killed.
 * @throws IdatError `run.damaged` naming the line
 */
async function readLines<S extends z.ZodType>(path: string, schema: S): Promise<z.output<S>[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const where = (i: number) => `${path}, line ${i + 1}`;
  return whole
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
