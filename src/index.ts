/** What programs import from idat: all that the command line can do. */
export { KNOWN_BACKBONES, type KnownBackbone } from './backbones/known-backbones.js';
export { findWeights, namedWeights, obtainWeights } from './backbones/node/registry.js';
export { type BenchControl, type BenchRecord, bench } from './bench/bench.js';
export { comparableRecords, saveRecord } from './bench/comparison.js';
export type { BenchInput } from './bench/config.js';
export type { LabelledImage } from './data/memory-dataset.js';
export type { ImageSource } from './data/node/image-source.js';
export type { MemoryData, MemoryTestData } from './data/node/memory.js';
export type { PixelImage } from './data/pixel-image.js';
export { LOSSES, lossByName, registerLoss } from './distill/index.js';
export type { DistillationLoss } from './distill/loss.js';
export { IdatError, type Issue } from './errors.js';
export { type CompareControl, type CompareInput, type Comparison, compare } from './experiments/compare.js';
export { type MergeResult, mergeRun } from './export/merge.js';
export { type PackResult, packRun } from './export/pack.js';
export { METHODS, methodByName, registerMethod } from './methods/index.js';
export type { Method } from './methods/method.js';
export { type ParameterTable, parameterTable } from './paper/parameter-table.js';
export { comparisonTable } from './report/comparison.js';
export { type MethodRecord, methodRecord, methodRecords, type OptionRecord } from './report/method-records.js';
export type { StepProfile } from './report/profile-record.js';
export { profileMarkdown } from './report/profile-tables.js';
export {
  type Classifier,
  type ClassifyOptions,
  type ClassProbability,
  type ImagePrediction,
  openClassifier,
  type RunOptions,
} from './runs/classifier.js';
export type { DataSource, TestDataSource } from './runs/data-source.js';
export { evaluateRun, type RunEvaluation } from './runs/evaluate-run.js';
export {
  type FineTuneControl,
  type FineTuneResult,
  fineTune,
  type ResumeControl,
  resume,
} from './runs/fine-tune.js';
export { fetchModel, type ListedModel, listModels } from './runs/models.js';
export { type MovedWeights, type OpenedRun, openRun } from './runs/open-run.js';
export { type Prediction, predict } from './runs/predict.js';
export { type PretrainRequest, pretrain } from './runs/pretrain.js';
export type { FineTuneRequest } from './runs/request.js';
export { FineTuneConfig, type FineTuneInput, type FineTuneSettings, parseConfig } from './settings/config.js';
export { FIELDS, type Field, type FieldName } from './settings/fields.js';
export type { PretrainInput } from './settings/pretrain.js';
export { PROTOCOLS, type Protocol, type ProtocolName } from './settings/protocols.js';
export type { ClassCount, EpochMetrics, Losses, Phase, RunRecord, RunResult } from './settings/record.js';
export { type Interval, wilson } from './statistics.js';
export type { Score } from './train/evaluate.js';
export type { Estimate, Faster, Look, Progress, RunControl } from './train/progress.js';
export { formatRows, type Row, type VerifyOptions, verify } from './verify/index.js';
