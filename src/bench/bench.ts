/** Measures this machine: the compiled training step, inference, and the matrix products they are made of. */
import type { Program } from '../graph/emit.js';
import { size } from '../graph/tensor.js';
import { type Machine, thisMachine } from '../runtime/machine.js';
import type { Feed, Runtime } from '../runtime/runtime.js';
import { withWeightFile } from '../runtime/weight-file.js';
import { variantName } from '../train/config.js';
import { evaluationBatch } from '../train/evaluate.js';
import type { ModelSpec } from '../train/model.js';
import { profileSteps, type StepProfile } from '../train/profile.js';
import { modelSpecs, type Prefixes, prefixesOf, type Specs, stepOf, versions, withRuntime } from '../train/setup.js';
import { buildForward, type CompileOptions } from '../train/step.js';
import { syntheticFeeds, type TunedCall, tuneCall } from '../train/tuning.js';
import { type BenchInput, type BenchSettings, parseBenchConfig } from './config.js';
import { matrixPeakFeeds, matrixPeakProgram } from './matrix-peak.js';
import { peakMemoryBytes } from './memory.js';
import { type MeasurableBackbone, measurableBackbone, withWeightsFolder } from './random-weights.js';
import { type Spread, timeInTurn } from './readings.js';
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
  readonly versions: { readonly idat: string; readonly onnxruntime: string; readonly node: string };
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
  readonly imageSize: number;
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
  const { run } = settings;
  return withWeightsFolder(async (folder) => {
    const open = (name: string) => measurableBackbone(name, run.imageSize, folder);
    const student = await open(run.student);
    const teacher = run.teacher === null ? null : await open(run.teacher);
    const backbones = { student: student.backbone, teacher: teacher?.backbone ?? null };
    const specs = modelSpecs(run, backbones, settings.classes);
    return withRuntime(run, (started) =>
      measure(started, settings, specs, [student, ...(teacher ? [teacher] : [])], control),
    );
  });
}

async function measure(
  started: Runtime,
  settings: BenchSettings,
  specs: Specs,
  opened: readonly MeasurableBackbone[],
  control: BenchControl,
): Promise<BenchRecord> {
  const { run, classes, readings } = settings;
  const { onNote } = control;
  const call = await tuneCall(started, run, specs, prefixesOf(specs, run), {
    images: Infinity,
    thorough: true,
    ...(onNote && { onNote }),
  });
  if (call.why !== null) onNote?.(call.why);
  const { microBatch, threads, replicas } = call;
  const runtime = started.withThreads(threads, replicas);
  const files = opened.map(({ backbone: { path, name, config } }) => ({ path, name, config }));
  const memory = await peakMemoryBytes({ run, classes, microBatch, threads, replicas, files });
  const figures = await timeAll(runtime, settings, specs, call, control);
  if (control.onProfile) {
    const inputs = syntheticInputs(specs, PROFILED_BATCHES * run.batchSize, classes);
    await control.onProfile(await profileSteps(runtime, run, specs, WHOLE, microBatch, inputs));
  }
  return {
    format: 'idat-bench-1',
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    versions: await versions(),
    device: runtime.device,
    threads: runtime.threads,
    replicas: runtime.replicas,
    task: {
      student: specs.student.backbone.name,
      teacher: specs.teacher?.backbone.name ?? null,
      variant: variantName(run),
      methods: JSON.stringify([specs.student, specs.teacher].map((spec) => spec && [spec.method, spec.methodOptions])),
      imageSize: specs.student.backbone.config.imageSize,
      batchSize: run.batchSize,
      dropPath: run.dropPath > 0,
      frozen: run.frozen,
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
  { run, readings }: BenchSettings,
  specs: Specs,
  { microBatch }: TunedCall,
  { onReading }: BenchControl,
): Promise<Pick<BenchRecord, 'step' | 'student' | 'teacher' | 'peakFlopsPerSecond'>> {
  const models = [specs.student, ...(specs.teacher ? [specs.teacher] : [])];
  const subjects = await withWeightFile(async (sink) => {
    const step = stepOf(run, specs, WHOLE, microBatch, sink);
    const { disable, frozen } = run;
    return [
      await load(runtime, step.program, microBatch, syntheticFeeds(step)),
      ...(await Promise.all(models.map((model) => loadForward(runtime, model, { disable, frozen, sink })))),
      await load(runtime, matrixPeakProgram(), 1, matrixPeakFeeds()),
    ];
  });
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

async function load(
  runtime: Runtime,
  program: Program,
  images: number,
  feeds: Readonly<Record<string, Feed>>,
): Promise<Subject> {
  const session = await runtime.load(program);
  const { replicas } = runtime;
  return {
    images: images * replicas,
    flops: program.flops * replicas,
    run: () => Promise.all(Array.from({ length: replicas }, () => session.run(feeds))),
  };
}

/** A model's forward pass, at the size of call that evaluation uses. */
function loadForward(runtime: Runtime, model: ModelSpec, options: CompileOptions): Promise<Subject> {
  const batch = evaluationBatch(model);
  const { program, layout } = buildForward({ model, batch, ...options });
  const images = Float32Array.from({ length: size(program.inputs.images!.shape) }, (_, i) => Math.sin(i));
  return load(runtime, program, batch, { images, parameters: layout.initial(0, 'student') });
}
