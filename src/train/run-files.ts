/**
 * The files of a run, wherever they lie: what each holds as text or tensors, and how that is read.
 *
 * `state.safetensors` is the truth; metrics and tensors are derived from it and written again after every resume. All of
 * it may come from a stranger, so each file is read through its schema (settings/record.ts).
 */
import type { z } from 'zod';
import { IdatError, type Issue, inWords } from '../errors.js';
import { encodeSafetensors, type SafetensorsFile } from '../files/safetensors.js';
import type { SafetensorsReader } from '../files/safetensors-reader.js';
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
import { encodeState, keptParameters, readState, type TrainState } from './state.js';
import type { Store } from './store.js';

/** A place that keeps the files of one run: a directory, or a browser's storage. */
export interface RunFolder {
  /** In words: the path of a directory. */
  readonly place: string;
  /** What messages call a file. */
  pathOf(name: string): string;
  /** Null where there is no such file. @throws IdatError `run.damaged` where it cannot be read */
  text(name: string): Promise<string | null>;
  /** Opens a file of tensors; null where there is none. */
  tensors(name: string): Promise<(SafetensorsReader & { close(): Promise<void> }) | null>;
  /** Writes a file as a whole or not at all. */
  write(name: string, content: string | Uint8Array): Promise<void>;
}

export async function writeRecord(folder: RunFolder, record: RunRecord, classes: readonly string[]): Promise<void> {
  await folder.write('classes.json', json(classes));
  await folder.write('config.json', json(record)); // last: it is what makes the folder a run
}

/**
 * What a run was asked to do.
 * @throws IdatError `run.missing` when there is no run, `run.config` for a field that cannot be
 */
export async function readRecord(folder: RunFolder): Promise<RunRecord> {
  const missing = (what: string) =>
    new IdatError('run.missing', `${folder.place}: ${what}; give the directory of a run`);
  const record = recordFrom(await readJson(folder, 'config.json'), folder.pathOf('config.json'));
  if (record === 'absent') throw missing('no run here (there is no config.json)');
  if (record === 'foreign') throw missing('config.json is not one of a run of idat');
  return record;
}

/**
 * The same from what a file holds.
 * @param value undefined: there is no file
 * @returns `absent` where there is no such file, `foreign` where it is no run's
 * @throws IdatError `run.config` for a field that cannot be
 */
export function recordFrom(value: unknown, path: string): RunRecord | 'absent' | 'foreign' {
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
export async function readClasses(folder: RunFolder, count: number): Promise<string[]> {
  const value = await readJson(folder, 'classes.json');
  if (value === undefined) {
    throw new IdatError('run.missing', `${folder.place}: classes.json is missing; copy the run again`);
  }
  const path = folder.pathOf('classes.json');
  const classes = checked(ClassesSchema, value, path);
  if (classes.length === count) return classes;
  throw new IdatError('run.damaged', `${path}: has ${classes.length} classes, the run ${count}; copy the run again`);
}

/** Null where the run has not ended. @throws IdatError `run.damaged`, also when it is another run's */
export async function readResult(folder: RunFolder, record: RunRecord): Promise<RunResult | null> {
  const value = await readJson(folder, 'result.json');
  if (value === undefined) return null;
  const path = folder.pathOf('result.json');
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

export const readMetrics = (folder: RunFolder): Promise<EpochMetrics[]> =>
  readLines(folder, 'metrics.jsonl', EpochMetricsSchema);

/** How long each epoch took. @throws IdatError `run.damaged` */
export const readTimings = (folder: RunFolder): Promise<EpochTiming[]> =>
  readLines(folder, 'timings.jsonl', EpochTimingSchema);

/** The trained numbers of a file, laid out as the model reads them. @throws IdatError `run.damaged` */
export async function tunedIn(file: SafetensorsReader, { slots, size }: TrainableLayout): Promise<Float32Array> {
  const parameters = new Float32Array(size);
  for (const slot of slots) {
    const values = await file.readFloat32(slot.name);
    if (values.length !== slot.size) {
      const what = `tensor ${slot.name} has ${values.length} numbers, expected ${slot.size}`;
      throw new IdatError('run.damaged', `${file.file.name}: ${what}; copy the run again`);
    }
    parameters.set(values, slot.offset);
  }
  return parameters;
}

/** Keeps a run in its folder. @param models tell what the state's numbers are */
export function storeIn(folder: RunFolder, record: RunRecord, models: Pair<TunedModel>): Store {
  const of = factsOf(record);
  const publish = async (state: TrainState) => {
    await folder.write('metrics.jsonl', lines(state.metrics));
    for (const role of ROLES) {
      const parameters = keptParameters(state, role);
      if (parameters && models[role])
        await folder.write(`${role}.safetensors`, encodeTuned(models[role], role, parameters));
    }
  };
  return {
    place: folder.place,
    load: async () => {
      const state = await loadState(folder, record);
      return state && { state, timings: await readTimings(folder) };
    },
    save: async ({ state, timings }) => {
      await folder.write('state.safetensors', await encodeState(state, JSON.stringify(of)));
      await publish(state);
      await folder.write('timings.jsonl', lines(timings));
    },
    publish,
    finish: (result) => folder.write('result.json', json({ ...result, of })),
    result: () => readResult(folder, record),
  };
}

/** The state, or null where none was saved yet. */
async function loadState(folder: RunFolder, record: RunRecord): Promise<TrainState | null> {
  const opened = await folder.tensors('state.safetensors');
  if (!opened) return null;
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
async function readJson(folder: RunFolder, name: string): Promise<unknown> {
  const text = await folder.text(name);
  return text === null ? undefined : parsed(text, folder.pathOf(name));
}

/**
 * None where the file is missing. What stands behind the last line's end is half a line of a process that was killed.
 * @throws IdatError `run.damaged` naming the line
 */
async function readLines<S extends z.ZodType>(folder: RunFolder, name: string, schema: S): Promise<z.output<S>[]> {
  const text = (await folder.text(name).catch(() => null)) ?? '';
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const where = (i: number) => `${folder.pathOf(name)}, line ${i + 1}`;
  return whole
    .split('\n')
    .map((line, i) => [line, where(i)] as const)
    .filter(([line]) => line !== '')
    .map(([line, at]) => checked(schema, parsed(line, at), at));
}

/** @throws IdatError `run.damaged` */
export function parsed(text: string, where: string): unknown {
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
