/** A run's model in a runtime, as a classifier asks it. */

import { join } from 'node:path';
import type { Adapter, InUse } from '../classify/adapter.js';
import type { ClassifierParts } from '../classify/classifier.js';
import { openSafetensors } from '../files/node/safetensors-file.js';
import type { AdapterShape } from '../onnx/about.js';
import { methodOptionsText } from '../onnx/metadata.js';
import type { Runtime } from '../runtime/runtime.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import type { Role } from '../step/roles.js';
import { evaluationBatch, loadModel } from '../train/evaluate.js';
import type { OpenedRun } from './open-run.js';

/** How a run's model is run. */
export type RunModelParts = Pick<
  ClassifierParts<never, never>,
  'imageSize' | 'mean' | 'std' | 'takesPixels' | 'largest' | 'first' | 'shape' | 'run'
>;

/** Between a single image and the largest call. */
const SOME_IMAGES = 8;

/**
 * Programs have a fixed number of images, and each holds the weights. So there are three at most, for one image, for some
 * and for many, and those for what the head reads; a number of images is cut into such calls, and nothing is computed in
 * vain. The first is loaded here, the others when they are first needed.
 */
export async function loadRunModel(
  runtime: Runtime,
  run: OpenedRun,
  first: ModelSpec,
  role: Role,
): Promise<RunModelParts> {
  const largest = evaluationBatch(first);
  const sizes = [largest, SOME_IMAGES, 1].filter((size) => size <= largest);
  const load = (model: ModelSpec, images: number, features: boolean) =>
    loadModel(runtime, model, { images, features, ...run.plan.compile });
  const single = await load(first, 1, false); // what is wrong with the run shows when it is opened
  const parameters = await run.parameters(role, single.layout);
  const loaded = new Map([[keyOf(1, false), Promise.resolve(single)]]);
  const program = (images: number, features: boolean) => {
    const key = keyOf(images, features);
    const known = loaded.get(key);
    if (known) return known;
    // opened anew, as the file may have become another one in the meantime, which is an error
    const opening = run.model(role).then((model) => load(model, images, features));
    loaded.set(key, opening);
    opening.catch(() => loaded.delete(key)); // the next call tries again
    return opening;
  };
  const familiarities = (role === 'student' && run.result?.familiarities) || null;
  const inUse: InUse = { classes: run.classes, familiarities, parameters, head: null };
  const { config, mean, std } = first.backbone;
  return {
    imageSize: config.imageSize,
    mean,
    std,
    takesPixels: false,
    largest,
    first: inUse,
    shape: shapeOf(first, single.layout),
    run: async (images, count, { features, parameters: numbers, check }) => {
      const length = images.length / count;
      const rows: Float32Array[] = [];
      while (rows.length < count) {
        check();
        const start = rows.length;
        const size = sizes.find((one) => one <= count - start)!;
        const { output } = await program(size, features);
        check();
        const some = size === count ? images : images.slice(start * length, (start + size) * length);
        const values = await output({ images: some }, numbers!);
        const width = values.length / size;
        for (let i = 0; i < size; i++) rows.push(values.slice(i * width, (i + 1) * width));
      }
      return rows;
    },
  };
}

const keyOf = (images: number, features: boolean): string => `${images} ${features}`;

const shapeOf = (model: ModelSpec, { slots }: TrainableLayout): AdapterShape => ({
  backboneSha256: model.backbone.sha256,
  method: model.method,
  methodOptions: methodOptionsText(model),
  layout: slots.map(({ name, shape }) => ({ name, shape })),
});

/**
 * What a run's student has trained, without its backbone, which need not be there.
 * @throws IdatError as `openRun` and `openSafetensors`
 */
export async function adapterOfRun({ dir, record, plan, classes, result }: OpenedRun): Promise<Adapter> {
  const { method, methodOptions } = plan.models.student;
  const file = await openSafetensors(join(dir, 'student.safetensors'));
  try {
    const tensors = new Map<string, { shape: readonly number[]; values: Float32Array }>();
    for (const [name, { shape }] of file.file.tensors)
      tensors.set(name, { shape, values: await file.readFloat32(name) });
    return {
      name: dir,
      classes,
      familiarities: result?.familiarities ?? null,
      backboneSha256: record.student.sha256,
      method,
      methodOptions: methodOptionsText({ method, methodOptions }),
      tensors,
    };
  } finally {
    await file.close();
  }
}
