/** Measures this machine: the compiled training step, inference, and the matrix products they are made of. */

import { firstBlocks } from '../backbones/first-blocks.js';
import type { Program } from '../graph/emit.js';
import { size } from '../graph/tensor.js';
import type { ImageSize } from '../image-size.js';
import { tuningHost } from '../measure/node/tuning-host.js';
import { profileSteps } from '../measure/profile.js';
import { syntheticFeeds, type TunedCall, tuneCall } from '../measure/tuning.js';
import type { StepProfile } from '../report/profile-record.js';
import type { Machine } from '../runtime/machine.js';
import { thisMachine } from '../runtime/node/machine.js';
import { withRuntime } from '../runtime/node/start.js';
import { type Versions, versions } from '../runtime/node/versions.js';
import type { Compile, Feed, Runtime } from '../runtime/runtime.js';
import type { CompilePlan, ModelPlan } from '../settings/plan.js';
import type { Spread } from '../statistics/index.js';
import { buildForward } from '../step/forward.js';
import type { ModelSpec } from '../step/model.js';
import type { Pair } from '../step/roles.js';
import { evaluationBatch } from '../train/evaluate.js';
import { modelSpecs, type Prefixes, prefixesOf, stepOf } from '../train/specs.js';
import { type BenchInput, type BenchSettings, parseBenchConfig } from './config.js';
import { matrixPeakFeeds, matrixPeakProgram } from './matrix-peak.js';
import { type MeasurableBackbone, measurableBackbone, withWeightsFolder } from './measurable-backbone.js';
import { peakMemoryBytes } from './memory.js';
import { timeInTurn } from './readings.js';
import { syntheticInputs } from './synthetic-inputs.js';

const PROFILED_BATCHES = 4;
/** The step is measured whole, from images on, as in the first epoch: so it is comparable with other programs. */
const WHOLE: Prefixes = { student: null, teacher: null };

/** One program's speed. */
export interface Figure {
  /** In one call. */
  readonly images: number;
  readonly msPerCall: Spread;
  /** Floating-point operations of the matrix products of one call. */
  readonly flops: number;
}

/** What a benchmark found; the files in assets/bench are such. */
export interface BenchRecord {
  readonly format: 'idat-bench-1';
  /** ISO date. */
  readonly date: string;
  readonly machine: Machine;
  readonly versions: Versions;
  readonly device: string;
  readonly threads: number;
  /** Calls at a time; missing in records of versions that had one. */
  readonly replicas?: number;
  readonly task: BenchTask;
  /** Whether the weights were random for want of files. */
  readonly randomWeights: boolean;
  readonly readings: number;
  /** How the micro-batch and the threads were chosen. */
  readonly why: string | null;
  /** The whole step; from the second epoch on, training has what frozen prefixes compute at hand and does less. */
  readonly step: Figure;
  /** Forward alone, as in evaluation. */
  readonly student: Figure;
  readonly teacher: Figure | null;
  /** Operations a second of [788, 768]·[768, 3072] in float32. */
  readonly peakFlopsPerSecond: Spread;
  /** Largest resident memory of a process that does nothing but train; a data set's images come on top. */
  readonly peakMemoryBytes: number;
}

/** What has to be the same for figures to be comparable. */
export interface BenchTask {
  readonly student: string;
  readonly teacher: string | null;
  readonly variant: string;
  /** Tuning method and its options of each model, as JSON. */
  readonly methods: string;
  readonly imageSize: ImageSize;
  readonly batchSize: number;
  readonly dropPath: boolean;
  /** Precision of products with frozen weights. */
  readonly frozen: string;
}

export interface BenchControl {
  readonly onNote?: (text: string) => void;
  readonly onReading?: (done: number, total: number) => void;
  /** When given, a few steps are profiled as well. */
  readonly onProfile?: (profile: StepProfile) => Promise<void>;
}

/**
 * Measures; what is found out about the best micro-batch and threads is remembered for training.
 * @throws IdatError for wrong settings, unknown models and devices that are not to be had
 */
export async function bench(input: BenchInput, control: BenchControl = {}): Promise<BenchRecord> {
  const settings = parseBenchConfig(input);
  const { models, engine } = settings.plan;
  return withWeightsFolder(async (folder) => {
    const student = await measurableBackbone(models.student, folder);
    const teacher = models.teacher && (await measurableTeacher(models.teacher, student, folder));
    const backbones = { student: student.backbone, teacher: teacher?.backbone ?? null };
    const specs = modelSpecs(models, backbones, settings.classes);
    return withRuntime(engine, (started) =>
      measure(started, settings, specs, [student, ...(teacher ? [teacher] : [])], control),
    );
  });
}

/** The student's own blocks lie in its file. */
async function measurableTeacher(model: ModelPlan, student: MeasurableBackbone, folder: string) {
  if (model.firstBlocks === null) return measurableBackbone(model, folder);
  return { ...student, backbone: firstBlocks(student.backbone, model.firstBlocks) };
}

async function measure(
  started: Runtime,
  settings: BenchSettings,
  specs: Pair<ModelSpec>,
  opened: readonly MeasurableBackbone[],
  control: BenchControl,
): Promise<BenchRecord> {
  const { plan, classes, readings } = settings;
  const { onNote } = control;
  const call = await tuneCall(started, plan, specs, prefixesOf(specs, plan), Infinity, tuningHost(onNote), true);
  if (call.why !== null) onNote?.(call.why);
  const { microBatch, threads, replicas } = call;
  const runtime = started.withThreads(threads, replicas);
  const files = opened.map(({ backbone: { path, name, config } }) => ({ path, name, config }));
  const memory = await peakMemoryBytes({ plan, classes, microBatch, threads, replicas, files });
  const figures = await timeAll(runtime, settings, specs, call, control);
  if (control.onProfile) {
    const inputs = syntheticInputs(specs, PROFILED_BATCHES * plan.batch.size, classes);
    await control.onProfile(await profileSteps(runtime, plan, specs, WHOLE, microBatch, inputs));
  }
  return {
    format: 'idat-bench-1',
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    versions: versions(),
    device: runtime.device,
    threads: runtime.threads,
    replicas: runtime.replicas,
    task: {
      student: specs.student.backbone.name,
      teacher: specs.teacher?.backbone.name ?? null,
      variant: plan.variant,
      methods: JSON.stringify([specs.student, specs.teacher].map((spec) => spec && [spec.method, spec.methodOptions])),
      imageSize: specs.student.backbone.config.imageSize,
      batchSize: plan.batch.size,
      dropPath: plan.models.student.dropPath > 0,
      frozen: plan.compile.frozen,
    },
    randomWeights: opened.some(({ random }) => random),
    readings,
    why: call.why,
    ...figures,
    peakMemoryBytes: memory,
  };
}

/** A program ready to be timed. */
interface Subject {
  readonly images: number;
  readonly flops: number;
  run(): Promise<unknown>;
}

async function timeAll(
  runtime: Runtime,
  { plan, readings }: BenchSettings,
  specs: Pair<ModelSpec>,
  { microBatch }: TunedCall,
  { onReading }: BenchControl,
): Promise<Pick<BenchRecord, 'step' | 'student' | 'teacher' | 'peakFlopsPerSecond'>> {
  const models = [specs.student, ...(specs.teacher ? [specs.teacher] : [])];
  const loadStep: Load = (sink) => {
    const step = stepOf(plan, specs, WHOLE, microBatch, sink);
    return { program: step.program, feeds: syntheticFeeds(step) };
  };
  const loadPeak: Load = () => ({ program: matrixPeakProgram(), feeds: matrixPeakFeeds() });
  const subjects = [
    await load(runtime, microBatch, loadStep),
    ...(await Promise.all(models.map((model) => loadForward(runtime, model, plan.compile)))),
    await load(runtime, 1, loadPeak),
  ];
  const times = await timeInTurn(
    subjects.map((subject) => subject.run),
    readings,
    onReading,
  );
  const [stepFigure, student, ...rest] = subjects.map(({ images, flops }, i) => ({
    images,
    flops,
    msPerCall: times[i]!,
  }));
  const peak = rest.pop()!;
  const rate = (ms: number) => peak.flops / (ms / 1000);
  return {
    step: stepFigure!,
    student: student!,
    teacher: rest[0] ?? null,
    peakFlopsPerSecond: {
      median: rate(peak.msPerCall.median),
      lowest: rate(peak.msPerCall.highest),
      highest: rate(peak.msPerCall.lowest),
    },
  };
}

/** Compiles a program and makes what it is fed. */
type Load = (sink: Parameters<Compile>[0]) => { program: Program; feeds: Readonly<Record<string, Feed>> };

async function load(runtime: Runtime, images: number, compile: Load): Promise<Subject> {
  let loaded: ReturnType<Load> | undefined;
  const session = await runtime.load((sink) => {
    loaded = compile(sink);
    return loaded.program;
  });
  const { program, feeds } = loaded!;
  const { replicas } = runtime;
  return {
    images: images * replicas,
    flops: program.flops * replicas,
    run: () => Promise.all(Array.from({ length: replicas }, () => session.run(feeds))),
  };
}

/** A model's forward pass, at the size of call that evaluation uses. */
function loadForward(runtime: Runtime, model: ModelSpec, options: CompilePlan): Promise<Subject> {
  const batch = evaluationBatch(model);
  return load(runtime, batch, (sink) => {
    const { program, layout } = buildForward({ model, batch, ...options, sink });
    const images = Float32Array.from({ length: size(program.inputs.images!.shape) }, (_, i) => Math.sin(i));
    return { program, feeds: { images, parameters: layout.initial(0, 'student') } };
  });
}
