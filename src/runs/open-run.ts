/** Opening a run that was made earlier: to predict, to measure, to merge, to go on with. */
import { resolve } from 'node:path';
import type { Backbone } from '../backbones/backbone.js';
import { IdatError } from '../errors.js';
import { planOf, type RunPlan } from '../settings/plan.js';
import type { EpochMetrics, RunRecord, RunResult } from '../settings/record.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import type { Role } from '../step/roles.js';
import type { RunControl } from '../train/progress.js';
import { modelSpec } from '../train/specs.js';
import { backboneChange, openBackbone } from './backbones.js';
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

/**
 * Opens a run directory. Reads its small files; weights are read when a model is asked for.
 * @throws IdatError `run.missing`, `run.config`, `run.damaged`: which file and field, what was expected
 */
export async function openRun(runDir: string): Promise<OpenedRun> {
  const dir = resolve(runDir);
  const record = await readRecord(dir);
  const plan = planOf(record.settings);
  const classes = await readClasses(dir, record.classes);
  const result = await readResult(dir, record);
  const planned = (role: Role) => {
    const model = plan.models[role];
    if (model) return model;
    throw new IdatError('run.teacher', `${dir}: no teacher taught in this run; ask for its student`);
  };
  const backbone = async (role: Role, control: RunControl = {}) => {
    const opened = await openBackbone(planned(role), plan, control);
    const change = backboneChange(record[role]!, opened);
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
