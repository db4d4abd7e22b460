/** What programs import from idat. */
export { IdatError } from './errors.js';
export { METHODS, methodByName, registerMethod } from './methods/index.js';
export type { Method } from './methods/method.js';
export {
  FineTuneConfig,
  type FineTuneInput,
  type FineTuneSettings,
  type Protocol,
  parseConfig,
} from './train/config.js';
export type { Score } from './train/evaluate.js';
export { type FineTuneResult, fineTune, type ResumeControl, resume } from './train/fine-tune.js';
export { type MergeResult, mergeRun } from './train/merge.js';
export { evaluateRun, type Prediction, predict, type RunEvaluation, type RunOptions } from './train/predict.js';
export { type PretrainInput, pretrain } from './train/pretrain.js';
export type { StepProfile } from './train/profile.js';
export type { EpochMetrics, Losses, Phase, Progress, RunControl } from './train/progress.js';
export type { RunRecord, RunResult } from './train/run-directory.js';
