/** Opening a run that was made earlier: to predict, to measure, to merge, to go on with. */
import { resolve } from 'node:path';
import type { Backbone } from '../backbones/backbone.js';
import { IdatError } from '../errors.js';
import { usableCores } from '../files/node/usable-cores.js';
import { planOfRun, type RunPlan } from '../settings/plan.js';
import type { EpochMetrics, RunRecord, RunResult } from '../settings/record.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import type { Role } from '../step/roles.js';
import type { RunControl } from '../train/progress.js';
import { backboneChange, taken } from '../train/sources.js';
import { modelSpec } from '../train/specs.js';
import { openBackbone, openMoved } from './backbones.js';
import { readClasses, readMetrics, readRecord, readResult, readTuned } from './run-directory.js';

/** A run on the disk. */
export interface OpenedRun {
  /** Its directory, as an absolute path. */
  readonly dir: string;
  /** config.json: what it was asked to do, and with what. */
  readonly record: RunRecord;
  readonly plan: RunPlan;
  readonly classes: readonly string[];
  /** Null where it has not ended. */
  readonly result: RunResult | null;
  /** What each epoch came to. @throws IdatError `run.damaged` */
  metrics(): Promise<EpochMetrics[]>;
  /**
   * The frozen weights of one of its models, which must be those it began with.
   * @throws IdatError `run.changed` when they are not, `run.teacher` where no teacher taught, and as `resolveBackbone`
   */
  backbone(role: Role, control?: RunControl): Promise<Backbone>;
  /** One of its models, ready to be compiled. @throws IdatError as `backbone` */
  model(role: Role, control?: RunControl): Promise<ModelSpec>;
  /** The numbers it has trained, laid out as a model reads them. @throws IdatError `run.damaged` */
  parameters(role: Role, layout: TrainableLayout): Promise<Float32Array>;
}

/** Where the weights of a run's models lie now, where that is elsewhere. */
export type MovedWeights = Partial<Record<Role, string>>;

/**
 * Opens a run directory. Reads its small files; weights are read when a model is asked for.
 * @param moved paths of weights that lie elsewhere now; they must be the same by their sha256
 * @throws IdatError `run.missing`, `run.config`, `run.damaged`: which file and field, what was expected
 */
export async function openRun(runDir: string, moved: MovedWeights = {}): Promise<OpenedRun> {
  const dir = resolve(runDir);
  const record = await readRecord(dir);
  const plan = planOfRun(record);
  const classes = await readClasses(dir, record.classes);
  const result = await readResult(dir, record);
  const planned = (role: Role) => {
    const model = plan.models[role];
    if (model) return model;
    throw new IdatError('run.teacher', `${dir}: no teacher taught in this run; ask for its student`);
  };
  const weights = async (role: Role, control: RunControl) => {
    const model = planned(role);
    const place = moved[role] ?? packedWeights(model.name);
    if (place !== null) return openMoved(resolve(dir, place), record[role]!);
    return openBackbone(model, plan, control).catch((error) => {
      throw whereWeightsAre(error, dir, role);
    });
  };
  const backbone = async (role: Role, control: RunControl = {}) => {
    const model = planned(role);
    const then = record[role]!;
    const opened =
      model.firstBlocks === null ? await weights(role, control) : taken(await weights('student', control), model);
    const change = backboneChange(then, opened);
    if (change === null) return opened;
    const what = `the ${role}'s weights in ${opened.path} are not those the run began with (${change})`;
    throw new IdatError('run.changed', `${dir}: ${what}; put the old file back, or start a new run`);
  };
  return {
    dir,
    record,
    plan,
    classes,
    result,
    metrics: () => readMetrics(dir),
    backbone,
    model: async (role, control) => modelSpec(planned(role), await backbone(role, control), record.classes),
    parameters: (role, layout) => readTuned(dir, role, layout),
  };
}

/** Threads to use a run with: those it was trained on, and no more than there are cores here, whoever made it. */
export const threadsOf = ({ resolved }: RunRecord): number => Math.min(resolved.threads, usableCores());

/** Weights that were packed with the run lie below it; all other paths in a run are absolute. */
const packedWeights = (name: string): string | null => (/^weights\/[^/\\]+$/.test(name) ? name : null);

/** A file that is not where it was may lie elsewhere: the face knows how to say so. */
function whereWeightsAre(error: unknown, dir: string, role: Role): unknown {
  if (!(error instanceof IdatError) || !/^(files\.open|backbone\.(absent|folder))$/.test(error.code)) return error;
  const message = `${error.message} (the ${role} of the run ${dir})`;
  return new IdatError('run.weights', message, { cause: error, about: { run: dir, role } });
}
