/** A run's student as files for others' runtimes, held against the engine that trained it before they are there. */
import { mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { safetensorsPieces } from '../files/safetensors.js';
import { encodeModel } from '../graph/onnx-proto.js';
import { graphOf, inputOf, refuseTooLarge, type Tuned } from '../onnx/exported-model.js';
import { adapterMetadata, type ExportFacts, licenceNotes, modelMetadata } from '../onnx/metadata.js';
import { ADAPTER_FILE, MODEL_FILE, MODEL_FILES, PARAMETERS } from '../onnx/names.js';
import { type MovedWeights, openRun } from '../runs/open-run.js';
import { buildForward } from '../step/forward.js';
import type { ModelSpec } from '../step/model.js';
import { refuseDiverged } from '../train/evaluate.js';
import { type Checked, checkExport } from './check-export.js';
import { withCheckImages } from './check-images.js';
import { type ExportFormat, type ExportOptions, type ExportPlan, planOf } from './export-plan.js';
import { inFreshFolder, readBack, refuseExisting, type WrittenFile } from './fresh-folder.js';
import { exportReadme } from './readme.js';
import { libraryConfigs } from './transformers-js.js';

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
  const { backbone } = model;
  const facts = { run, backbone, model, layout, ...plan, input: inputOf(plan, model) };
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
  const name = plan.format === 'onnx' ? MODEL_FILE : MODEL_FILES[plan.precision];
  await mkdir(dirname(join(place, name)), { recursive: true });
  await writeFileAtomic(join(place, name), encodeModel(graph));
  if (plan.adapterInput) await writeAdapter(join(place, ADAPTER_FILE), tuned, facts);
  if (plan.format === 'transformers.js') await writeConfigs(place, model, plan, facts.run.classes);
  return name;
}

function writeAdapter(path: string, { parameters }: Tuned, facts: ExportFacts): Promise<void> {
  const tensor = { name: PARAMETERS, shape: [parameters.length], data: parameters };
  return writeFileAtomic(path, [...safetensorsPieces([tensor], adapterMetadata(facts))]);
}

async function writeConfigs(
  place: string,
  { backbone }: ModelSpec,
  plan: ExportPlan,
  classes: readonly string[],
): Promise<void> {
  const configs = libraryConfigs(backbone, { classes, ...plan });
  for (const [name, content] of Object.entries(configs)) {
    await writeFileAtomic(join(place, name), `${JSON.stringify(content, null, 2)}\n`);
  }
}

async function filesOf(place: string, { format, precision, adapterInput }: ExportPlan): Promise<WrittenFile[]> {
  const names =
    format === 'onnx'
      ? [MODEL_FILE, ...(adapterInput ? [ADAPTER_FILE] : [])]
      : [MODEL_FILES[precision], 'config.json', 'preprocessor_config.json'];
  const all = [...names, 'README.md'];
  return Promise.all(all.map(async (name) => ({ name, bytes: (await stat(join(place, name))).size })));
}
