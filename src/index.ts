/** What programs import from idat: all that the command line can do. */
export {
  ANALYSES,
  type AnalyseOptions,
  type Analysis,
  type AnalysisName,
  type AnalysisPart,
  analyse,
} from './analysis/node/analyse.js';
export { KNOWN_BACKBONES, type KnownBackbone } from './backbones/known-backbones.js';
export { findWeights, namedWeights, obtainWeights } from './backbones/node/registry.js';
export { type BenchControl, type BenchRecord, bench } from './bench/bench.js';
export { comparableRecords, saveRecord } from './bench/comparison.js';
export type { BenchInput } from './bench/config.js';
export type { Adapter } from './classify/adapter.js';
export type { ClassProbability, ImagePrediction } from './classify/answers.js';
export type { ClassifyOptions, QuestionOptions } from './classify/classifier.js';
export type { LabelledImage } from './data/memory-dataset.js';
export type { ImageSource } from './data/node/image-source.js';
export type { MemoryData, MemoryTestData } from './data/node/memory.js';
export type { PixelImage } from './data/pixel-image.js';
export { LOSSES, lossByName, registerLoss } from './distill/index.js';
export type { DistillationLoss } from './distill/loss.js';
export { IdatError, type Issue } from './errors.js';
export { type CompareControl, type CompareInput, type Comparison, compare } from './experiments/compare.js';
export { estimateSweep, type SweepEstimate } from './experiments/estimate.js';
export type { PlannedRun } from './experiments/expand.js';
export type { SweepPlan } from './experiments/plan.js';
export type { SweepResult } from './experiments/results.js';
export type { RunStatus, SweepRunState } from './experiments/schedule.js';
export {
  type PreparedSweep,
  prepareSweep,
  type SweepControl,
  type SweepOptions,
  type SweepOutcome,
  sweep,
} from './experiments/sweep.js';
export type { Agreement, Recognised } from './export/agreement.js';
export type { Checked, Cost } from './export/check-export.js';
export { type ExportResult, exportRun } from './export/export.js';
export { EXPORT_FORMATS, type ExportFormat, type ExportOptions } from './export/export-plan.js';
export { type MergeResult, mergeRun } from './export/merge.js';
export { type PackResult, packRun } from './export/pack.js';
export { type Report, type ReportOptions, report } from './export/report.js';
export { METHODS, methodByName, registerMethod } from './methods/index.js';
export type { Method } from './methods/method.js';
export { vtabAverages } from './paper/averages.js';
export { NAMED_RECIPES, type NamedRecipe, recipeNamed } from './paper/named-recipes.js';
export { type ParameterTable, parameterTable } from './paper/parameter-table.js';
export type { WorkerEvent, WorkerOutcome } from './queue/loop-options.js';
export {
  type QueueSweepControl,
  type QueueSweepOptions,
  runQueueSweep,
  withdrawSweep,
} from './queue/queue-sweep.js';
export { startWorker, type WorkerControl, type WorkerOptions } from './queue/serve.js';
export { type QueueSnapshot, type QueueView, viewQueue } from './queue/snapshot.js';
export { comparisonTable } from './report/comparison.js';
export { type MethodRecord, methodRecord, methodRecords, type OptionRecord } from './report/method-records.js';
export type { StepProfile } from './report/profile-record.js';
export { profileMarkdown } from './report/profile-tables.js';
export {
  type ComparableRun,
  type ComparedRow,
  compareRuns,
  type DifferingSetting,
  type PairedDifference,
  type RunComparison,
} from './report/run-comparison.js';
export { sweepTable } from './report/sweep-table.js';
export {
  type CheckDataOptions,
  type CheckedSplit,
  type Counted,
  checkData,
  type DataCheck,
  type Finding,
} from './runs/check-data.js';
export { type Classifier, type OpenOptions, openClassifier, type RunOptions } from './runs/classifier.js';
export { type AdapterSource, type ClassifierSource, openAdapter } from './runs/classifier-source.js';
export type { DataSource, TestDataSource } from './runs/data-source.js';
export { evaluateRun, type RunEvaluation } from './runs/evaluate-run.js';
export {
  type FineTuneControl,
  type FineTuneResult,
  fineTune,
  type ResumeControl,
  resume,
} from './runs/fine-tune.js';
export { type ListedRun, type ListRunsOptions, listRuns, type RunPlace, type RunState } from './runs/list-runs.js';
export { fetchModel, type ListedModel, listModels } from './runs/models.js';
export { type MovedWeights, type OpenedRun, openRun } from './runs/open-run.js';
export { type Prediction, type PredictOptions, predict } from './runs/predict.js';
export { type PretrainRequest, pretrain } from './runs/pretrain.js';
export { forgetRemoved, type RemovedRun, removedRuns, removeRun, restoreRun } from './runs/remove-run.js';
export { type RepeatChanges, repeatRun } from './runs/repeat.js';
export type { FineTuneRequest } from './runs/request.js';
export { type RunNotes, readNotes, writeNotes } from './runs/run-notes.js';
export { type RunChanges, type RunWatch, type WatchRunsOptions, watchRuns } from './runs/watch-runs.js';
export { FineTuneConfig, type FineTuneInput, type FineTuneSettings, parseConfig } from './settings/config.js';
export { FIELDS, type Field, type FieldName } from './settings/fields.js';
export { PRESETS, type Preset, presetNamed } from './settings/presets.js';
export type { PretrainInput } from './settings/pretrain.js';
export { PROTOCOLS, type Protocol, type ProtocolName } from './settings/protocols.js';
export type { ClassCount, EpochMetrics, Losses, Phase, RunRecord, RunResult } from './settings/record.js';
export type { GroupedAverages } from './statistics/index.js';
export {
  type BootstrapOptions,
  bootstrapInterval,
  comparePaired,
  compareWithHolm,
  holm,
  type Interval,
  type Measured,
  type PairedComparison,
  type PairedOptions,
  type SignFlipTest,
  type Summary,
  signFlipTest,
  summarise,
  wilson,
} from './statistics/index.js';
export type { Score } from './train/evaluate.js';
export type { Estimate, Faster, Look, Progress, RunControl } from './train/progress.js';
export { formatRows, type Row, type VerifyOptions, verify } from './verify/index.js';
