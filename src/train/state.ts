/**
 * All that a run needs to go on: one value, one file.
 *
 * Everything random is drawn from streams named by phase, epoch and step, so no generator has to be saved.
 */
import { IdatError, inWords } from '../errors.js';
import { encodeSafetensors, type TensorSource } from '../files/safetensors.js';
import type { SafetensorsReader } from '../files/safetensors-reader.js';
import { sha256 } from '../files/sha256.js';
import { issuesOf } from '../settings/issues.js';
import { type EpochMetrics, type Losses, type Phase, ProgressSchema } from '../settings/record.js';
import type { TrainableLayout } from '../step/model.js';
import type { Pair, Role } from '../step/roles.js';
import type { AdamWState } from './adamw.js';

/** Sums over the batches of an epoch so far. */
export interface EpochSums {
  losses: Losses;
  correct: number;
  teacherCorrect: number;
  /** Images on which both models agreed; missing where an earlier version began the epoch. */
  agreed?: number | undefined;
  images: number;
}

export interface ModelState {
  parameters: Float32Array;
  adamw: AdamWState;
}

export interface TrainState {
  phase: Phase;
  /** The epoch under way, counted from 0, and the updates made in it. */
  epoch: number;
  step: number;
  sums: EpochSums;
  /** Of every finished epoch. */
  metrics: EpochMetrics[];
  student: ModelState;
  teacher: ModelState | null;
  /** Protocol `paper`: the parameters of the best epoch so far. */
  best: { student: Float32Array; teacher: Float32Array | null } | null;
  /** Where the last epochs are averaged: the mean of the student's parameters after each of those so far. */
  average: { epochs: number; student: Float32Array } | null;
}

export const emptySums = (): EpochSums => ({
  losses: { student: 0, teacher: 0, distill: 0, total: 0 },
  correct: 0,
  teacherCorrect: 0,
  agreed: 0,
  images: 0,
});

/** The beginning of a phase. */
export function initialState(
  phase: Phase,
  seed: number,
  layouts: Pair<TrainableLayout>,
  metrics: EpochMetrics[] = [],
): TrainState {
  const start = (layout: TrainableLayout, role: Role): ModelState => ({
    parameters: layout.initial(seed, role),
    adamw: {
      steps: 0,
      firstMoment: new Float32Array(layout.size),
      secondMoment: new Float32Array(layout.size),
    },
  });
  return {
    phase,
    epoch: 0,
    step: 0,
    sums: emptySums(),
    metrics,
    student: start(layouts.student, 'student'),
    teacher: layouts.teacher && start(layouts.teacher, 'teacher'),
    best: null,
    average: null,
  };
}

/** @param of what the state is of, as text */
export async function encodeState(
  { student, teacher, best, average, ...counters }: TrainState,
  of: string | null = null,
): Promise<Uint8Array> {
  const tensors: TensorSource[] = [];
  const add = (name: string, data: Float32Array) => tensors.push({ name, shape: [data.length], data });
  for (const [role, model] of Object.entries({ student, teacher })) {
    if (!model) continue;
    add(`${role}.parameters`, model.parameters);
    add(`${role}.first-moment`, model.adamw.firstMoment);
    add(`${role}.second-moment`, model.adamw.secondMoment);
  }
  for (const [role, parameters] of Object.entries(best ?? {})) if (parameters) add(`best.${role}`, parameters);
  if (average) add('average.student', average.student);
  const updates = student.adamw.steps; // both models are updated together
  const state = JSON.stringify({ ...counters, updates, ...(average && { averaged: average.epochs }) });
  const facts = { state, ...(of !== null && { of }) };
  const numbers = new Map(tensors.map(({ name, data }) => [name, data as Float32Array]));
  return encodeSafetensors(tensors, { format: 'idat-state-1', ...facts, sha256: await checksum(facts, numbers) });
}

/** Bytes hashed at a time, as each are copied. */
const HASHED_AT_ONCE = 2 ** 24;

/** Of all that a state holds. */
async function checksum(
  { state, of }: Readonly<Record<string, string | undefined>>,
  tensors: ReadonlyMap<string, Float32Array>,
): Promise<string> {
  const hashes: unknown[] = [state, of ?? null];
  for (const name of [...tensors.keys()].sort()) {
    const { buffer, byteOffset, byteLength } = tensors.get(name)!;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    hashes.push(name, byteLength);
    for (let at = 0; at < byteLength; at += HASHED_AT_ONCE) {
      hashes.push(await sha256(bytes.subarray(at, at + HASHED_AT_ONCE)));
    }
  }
  return sha256(JSON.stringify(hashes));
}

/**
 * What `encodeState` wrote.
 * @throws IdatError `run.state` when it is damaged or of another format
 */
export async function readState(opened: SafetensorsReader): Promise<TrainState> {
  const { name, metadata, tensors } = opened.file;
  if (metadata.format !== 'idat-state-1' || metadata.state === undefined) {
    throw new IdatError('run.state', `${name}: not a state of this version of idat; start the run again`);
  }
  const { updates, averaged, ...counters } = parseProgress(metadata.state, name);
  const numbers = new Map<string, Float32Array>();
  const read = async (tensor: string) => {
    const values = await opened.readFloat32(tensor);
    numbers.set(tensor, values);
    return values;
  };
  const model = async (role: Role): Promise<ModelState> => ({
    parameters: await read(`${role}.parameters`),
    adamw: {
      steps: updates,
      firstMoment: await read(`${role}.first-moment`),
      secondMoment: await read(`${role}.second-moment`),
    },
  });
  const best = async (role: Role) => (tensors.has(`best.${role}`) ? read(`best.${role}`) : null);
  const bestStudent = await best('student');
  const state: TrainState = {
    ...counters,
    student: await model('student'),
    teacher: tensors.has('teacher.parameters') ? await model('teacher') : null,
    best: bestStudent && { student: bestStudent, teacher: await best('teacher') },
    average: averaged === undefined ? null : { epochs: averaged, student: await read('average.student') },
  };
  for (const { parameters, adamw } of [state.student, ...(state.teacher ? [state.teacher] : [])]) {
    const lengths = [adamw.firstMoment.length, adamw.secondMoment.length];
    if (parameters === state.student.parameters && state.average) lengths.push(state.average.student.length);
    if (lengths.every((length) => length === parameters.length)) continue;
    throw new IdatError('run.state', `${name}: its tensors do not fit each other; copy the run again`);
  }
  // states of earlier versions have none
  if (metadata.sha256 !== undefined && metadata.sha256 !== (await checksum(metadata, numbers))) {
    throw new IdatError('run.state', `${name}: differs from its checksum, it is damaged; copy the run again`);
  }
  return state;
}

function parseProgress(text: string, name: string) {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new IdatError('run.state', `${name}: where it stands is not JSON; copy the run again`, { cause: error });
  }
  const parsed = ProgressSchema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const issues = issuesOf(parsed.error, []);
  throw new IdatError('run.state', `${name}: ${inWords(issues.slice(0, 1))}; copy the run again`, { issues });
}

/**
 * Takes the student's parameters, as they are after an epoch, into the mean: m ← m + (θ − m)/k for the kth of them. So a
 * number that did not change is its own mean, to the last bit.
 */
export function takeIntoAverage(state: TrainState): void {
  const { parameters } = state.student;
  if (!state.average) {
    state.average = { epochs: 1, student: parameters.slice() };
    return;
  }
  const { average } = state;
  average.epochs++;
  const mean = average.student;
  for (let i = 0; i < mean.length; i++) mean[i]! += (parameters[i]! - mean[i]!) / average.epochs;
}

/** What a run hands out: the mean or the best epoch's where it keeps one, otherwise the latest. */
export function keptParameters(state: TrainState, role: Role): Float32Array | null {
  if (state.average && role === 'student') return state.average.student;
  return state.best ? state.best[role] : (state[role]?.parameters ?? null);
}
