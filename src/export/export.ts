/** A run's student as files for others' runtimes, held against the engine that trained it before they are there. */
import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { safetensorsPieces } from '../files/safetensors.js';
import { encodeModel, type ModelProto } from '../graph/onnx-proto.js';
import { type MovedWeights, type OpenedRun, openRun } from '../runs/open-run.js';
import { buildForward } from '../step/forward.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import { refuseDiverged } from '../train/evaluate.js';
import { type Checked, checkExport } from './check-export.js';
import { withCheckImages } from './check-images.js';
import { type ExportFormat, type ExportOptions, type ExportPlan, inputName, planOf } from './export-plan.js';
import { inFreshFolder, readBack, refuseExisting, type WrittenFile } from './fresh-folder.js';
import { adapterMetadata, type ExportFacts, licenceNotes, modelMetadata } from '../onnx/metadata.js';
import { IMAGES, onnxGraph, PARAMETERS } from '../onnx/onnx-graph.js';
import { withImagesNamed, withPixelInput } from '../onnx/pixel-input.js';
import { exportReadme } from './readme.js';
import { libraryConfigs, MODEL_FILES } from './transformers-js.js';

export interface ExportResult {
  /** The folder. */
  readonly path: string;
  readonly format: ExportFormat;
  readonly precision: 'float32' | 'int8';
  readonly method: string;
  readonly files: readonly WrittenFile[];
  /** Sentences. */
  readonly licence: readonly string[];
  readonly checked: Checked;
}

/**
 * Exports a run's student. Nothing is left behind where something fails, and nothing is written over.
 *
 * @throws IdatError `export.option`, `export.exists`, `export.unfinished`, `export.int8`, `export.too-large`, `export.images`
 *   where no image can be read to check on, `export.differs` where the file disagrees with the engine; and as `openRun`
 *   and `openRunData`
 */
export async function exportRun(runDir: string, options: ExportOptions): Promise<ExportResult> {
  const plan = planOf(options);
  const moved: MovedWeights = options.student === undefined ? {} : { student: options.student };
  const run = await openRun(runDir, moved);
  if (run.result === null) {
    const what = 'this run has not ended, so that what its protocol will choose is not there yet';
    throw new IdatError('export.unfinished', `${run.dir}: ${what}; finish it first`, { about: { run: run.dir } });
  }
  const path = resolve(options.out);
  await refuseExisting(path);
  const model = await run.model('student', options);
  const { layout, program } = buildForward({ model, batch: 1 });
  if (plan.precision === 'float32') refuseTooLarge(model.backbone.name, program.weightBytes + 4 * layout.size);
  const parameters = await run.parameters('student', layout);
  refuseDiverged(parameters, 'numbers of the student');
  const facts = { run, backbone: model.backbone, ...plan, input: inputOf(plan, model) };
  const { data, onProgress, signal } = options;
  const control = { ...(onProgress && { onProgress }), ...(signal && { signal }) };
  // the images are opened first: what is wrong with them shows before anything is computed
  return withCheckImages(run, { data, most: plan.images, ...control }, (images) =>
    inFreshFolder(path, async (place) => {
      const file = await writeModel(place, model, { layout, parameters }, plan, facts);
      const checked = await checkExport({
        model,
        layout,
        parameters,
        plan,
        images,
        source: basename(run.record.data.source),
        bytes: await readBack(place, file),
        threads: run.record.resolved.threads,
        float: () => graphOf(model, { layout, parameters }, { ...plan, precision: 'float32' }),
        ...control,
      });
      if (signal?.aborted) throw new IdatError('run.interrupted', 'stopped; nothing was exported');
      const licence = licenceNotes(facts);
      const result = { path, format: plan.format, precision: plan.precision, method: model.method, licence, checked };
      await writeFileAtomic(join(place, 'README.md'), exportReadme({ ...result, file, facts, classes: run.classes }));
      return { ...result, files: await filesOf(place, plan) };
    }),
  );
}

interface Tuned {
  readonly layout: TrainableLayout;
  readonly parameters: Float32Array;
}

/** What the exported file computes, without its metadata. */
function graphOf(model: ModelSpec, tuned: Tuned, { format, precision, adapterInput, resize }: ExportPlan): ModelProto {
  const graph = onnxGraph(model, { tuned: adapterInput ? null : tuned, int8: precision === 'int8' });
  const name = inputName({ format, resize });
  const { mean, std, config } = model.backbone;
  if (resize === 'graph') return withPixelInput(graph, name, { mean, std, imageSize: config.imageSize });
  return name === IMAGES ? graph : withImagesNamed(graph, name);
}

function inputOf(plan: ExportPlan, { backbone: { config } }: ModelSpec): string {
  const head = `${inputName(plan)}: float32 [batch, ${config.channels}, height, width]`;
  if (plan.resize === 'graph') return `${head}, bytes from 0 to 255, of any size`;
  return `${head}, resized to image_size (bicubic), (byte/255 - mean)/std`;
}

/** A message of the format holds no more, and readers count its bytes in 32 bits with a sign. */
const LARGEST_BYTES = 2 ** 31 - 2 ** 20;

/** @throws IdatError `export.too-large` */
export function refuseTooLarge(name: string, bytes: number): void {
  if (bytes <= LARGEST_BYTES) return;
  const what = `${name}: ${(bytes / 1e9).toFixed(1)} GB of weights do not fit into one ONNX file, which holds 2.1`;
  throw new IdatError('export.too-large', `${what}; export it in 8 bits, or train a smaller student`);
}

/** @returns the name of the model's file */
async function writeModel(
  place: string,
  model: ModelSpec,
  tuned: Tuned,
  plan: ExportPlan,
  facts: ExportFacts,
): Promise<string> {
  const graph = { ...graphOf(model, tuned, plan), metadata: modelMetadata(facts) };
  const weights = graph.initializers.reduce((sum, { data }) => sum + (data as Uint8Array).length, 0);
  refuseTooLarge(model.backbone.name, weights);
  const name = plan.format === 'onnx' ? 'model.onnx' : MODEL_FILES[plan.precision];
  await mkdir(dirname(join(place, name)), { recursive: true });
  await writeFileAtomic(join(place, name), encodeModel(graph));
  if (plan.adapterInput) await writeAdapter(join(place, ADAPTER), tuned, facts);
  if (plan.format === 'transformers.js') await writeConfigs(place, model, plan, facts.run);
  return name;
}

/** The file of an adapter that is an input. */
const ADAPTER = 'adapter.safetensors';

function writeAdapter(path: string, { parameters }: Tuned, facts: ExportFacts): Promise<void> {
  const tensor = { name: PARAMETERS, shape: [parameters.length], data: parameters };
  return writeFileAtomic(path, [...safetensorsPieces([tensor], adapterMetadata(facts))]);
}

async function writeConfigs(place: string, { backbone }: ModelSpec, plan: ExportPlan, run: Pick<OpenedRun, 'classes'>): Promise<void> {
  const configs = libraryConfigs(backbone, { classes: run.classes, ...plan });
  for (const [name, content] of Object.entries(configs)) {
    await writeFileAtomic(join(place, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}

async function filesOf(place: string, { format, precision, adapterInput }: ExportPlan): Promise<WrittenFile[]> {
  const names =
    format === 'onnx'
      ? ['model.onnx', ...(adapterInput ? [ADAPTER] : [])]
      : [MODEL_FILES[precision], 'config.json', 'preprocessor_config.json'];
  const all = [...names, 'README.md'];
  return Promise.all(all.map(async (name) => ({ name, bytes: (await stat(join(place, name))).size })));
}
