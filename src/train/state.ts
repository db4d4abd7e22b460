/**
 * All that a run needs to go on: one value, one file.
 *
 * Everything random is drawn from streams named by phase, epoch and step, so no generator has to be saved.
 */
import { IdatError } from '../errors.js';
import { encodeSafetensors, type TensorSource } from '../files/safetensors.js';
import { openSafetensors } from '../files/safetensors-node.js';
import type { AdamWState } from './adamw.js';
import type { Role, TrainableLayout } from './model.js';
import type { EpochMetrics, Losses, Phase } from './progress.js';

export type { Role };

/** Sums over the batches of an epoch so far. */
export interface EpochSums {
  losses: Losses;
  correct: number;
  teacherCorrect: number;
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
}

export const emptySums = (): EpochSums => ({
  losses: { student: 0, teacher: 0, distill: 0, total: 0 },
  correct: 0,
  teacherCorrect: 0,
  images: 0,
});

/** The beginning of a phase. */
export function initialState(
  phase: Phase,
  seed: number,
  layouts: { student: TrainableLayout; teacher: TrainableLayout | null },
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
  };
}

export function encodeState({ student, teacher, best, ...counters }: TrainState): Uint8Array {
  const tensors: TensorSource[] = [];
  const add = (name: string, data: Float32Array) => tensors.push({ name, shape: [data.length], data });
  for (const [role, model] of Object.entries({ student, teacher })) {
    if (!model) continue;
    add(`${role}.parameters`, model.parameters);
    add(`${role}.first-moment`, model.adamw.firstMoment);
    add(`${role}.second-moment`, model.adamw.secondMoment);
  }
  for (const [role, parameters] of Object.entries(best ?? {})) if (parameters) add(`best.${role}`, parameters);
  const updates = student.adamw.steps; // both models are updated together
  return encodeSafetensors(tensors, { format: 'idat-state-1', state: JSON.stringify({ ...counters, updates }) });
}

/** @throws IdatError when the file is damaged or of another format */
export async function readState(path: string): Promise<TrainState> {
  const opened = await openSafetensors(path);
  try {
    const { metadata, tensors } = opened.file;
    if (metadata.format !== 'idat-state-1' || metadata.state === undefined) {
      throw new IdatError('run.state', `${path}: not a state of this version of idat; start the run again`);
    }
    const { updates, ...counters } = JSON.parse(metadata.state) as Omit<TrainState, 'student' | 'teacher' | 'best'> & {
      updates: number;
    };
    const model = async (role: Role): Promise<ModelState> => ({
      parameters: await opened.readFloat32(`${role}.parameters`),
      adamw: {
        steps: updates,
        firstMoment: await opened.readFloat32(`${role}.first-moment`),
        secondMoment: await opened.readFloat32(`${role}.second-moment`),
      },
    });
    const best = async (role: Role) => (tensors.has(`best.${role}`) ? opened.readFloat32(`best.${role}`) : null);
    const bestStudent = await best('student');
    return {
      ...counters,
      student: await model('student'),
      teacher: tensors.has('teacher.parameters') ? await model('teacher') : null,
      best: bestStudent && { student: bestStudent, teacher: await best('teacher') },
    };
  } finally {
    await opened.close();
  }
}
