/** A run of this browser's storage, opened: its student sees pictures, shows where it looks, and leaves as ONNX. */

import { attentionMaps, readerOf } from '../analysis/attention.js';
import { blocks } from '../backbones/architecture.js';
import { toRgb } from '../data/pixel-image.js';
import { normaliseInto, preprocess } from '../data/preprocess.js';
import { decodeImage } from '../data/web/decode.js';
import { IdatError } from '../errors.js';
import { bytesOf } from '../files/web/fetch.js';
import { encodeModel } from '../graph/onnx-proto.js';
import { sidesOf } from '../image-size.js';
import { graphOf, inputName, inputOf, type Tuned } from '../onnx/exported-model.js';
import { type ExportedRun, modelMetadata } from '../onnx/metadata.js';
import { LOGITS } from '../onnx/names.js';
import { openBackbone } from '../runs/web/sources.js';
import { openStored, type StoredRun } from '../runs/web/storage.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import type { Connection } from '../runtime/web/protocol.js';
import { startWebRuntime } from '../runtime/web/start.js';
import { planOf } from '../settings/plan.js';
import { familiarity } from '../statistics/energy.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import { attentionOutput, buildObserved } from '../step/observe.js';
import { readClasses, readRecord, readResult, tunedIn } from '../train/run-files.js';
import { modelSpec } from '../train/specs.js';
import type { OpenedRun, Rgba, Seen, Weights } from './run-protocol.js';

/** A model of the page, ready to be asked. */
export interface RunModel extends OpenedRun {
  /** @throws IdatError `image.unreadable`, `train.diverged` */
  see(picture: Blob | Rgba): Promise<Seen>;
  /** @throws IdatError `export.differs` where the file and the engine disagree on one of the pictures */
  onnx(pictures: readonly Blob[]): Promise<Blob>;
  close(): Promise<void>;
}

/** Logits of two programs that are one are no further apart, relative to the largest. */
const SAME = 1e-3;
/** The exported file takes pixels as they are. */
const PLAN = { format: 'onnx', precision: 'float32', adapterInput: false, resize: 'graph' } as const;

/**
 * @param name of the run, as `listRuns` has it
 * @param weights of which it takes its own student's
 * @throws IdatError `run.missing`, `run.damaged`, `run.unfinished`; `backbone.absent` where its student's weights are not among
 *   those given, `run.changed` where they are others, and as `bytesOf`
 */
export async function openRunModel(name: string, weights: Weights, connect: () => Connection): Promise<RunModel> {
  const stored = await openStored(name);
  const record = await readRecord(stored);
  const classes = await readClasses(stored, record.classes);
  const result = await readResult(stored, record);
  if (!result)
    throw new IdatError('run.unfinished', `${name}: this training has not ended; go on with it where it began`);
  const plan = planOf(record.settings);
  const wanted = plan.models.student;
  // a terminal's may be a path
  const student = wanted.name.replace(/^.*[\\/]|\.safetensors$/g, '');
  const file = weights[student];
  if (file === undefined) {
    const what = `${name}: it was trained over ${student}, which does not come with this page`;
    throw new IdatError('backbone.absent', `${what}; give its file as a model of your own first`);
  }
  const bytes = await bytesOf(file, wanted.name, {});
  const backbone = await openBackbone(bytes, wanted, record.student);
  if (backbone.sha256 !== record.student.sha256) {
    throw new IdatError('run.changed', `${name}: the model's file is another one than the run was trained with`);
  }
  const model = modelSpec(wanted, backbone, record.classes);
  const runtime = await startWebRuntime({ connect, files: new Map([[backbone.path, bytes]]) });
  try {
    const { block, reader } = readerOf(backbone.config, blocks(backbone.config).length);
    let built: ReturnType<typeof buildObserved> | undefined;
    const session = await runtime.load((sink) => {
      built = buildObserved({ model, batch: 1, attention: [block], ...plan.compile, sink });
      return built.program;
    });
    const { layout, shapes } = built!;
    const parameters = await tunedNumbers(stored, layout);
    const logitsAndShares = async (planar: Uint8Array) => {
      const images = normalised(planar, model);
      return session.run({ images, parameters });
    };
    const [, heads, queries, keys] = shapes[attentionOutput(block)] as [number, number, number, number];
    return {
      ...{ classes, result, student },
      see: async (picture) => {
        const outputs = await logitsAndShares(await planarOf(picture, model, plan.images.orient));
        const probabilities = softmax(outputs.logits!);
        const shares = outputs[attentionOutput(block)]!;
        const maps = attentionMaps(backbone.config, reader, { shares, heads, queries, keys });
        return {
          probabilities,
          familiarity: familiarity(outputs.logits!),
          attention: { grid: maps.grid, shares: maps.mean },
        };
      },
      onnx: async (pictures) => {
        const file = exported(model, { layout, parameters }, { record, plan, classes, result });
        const planar = await Promise.all(pictures.map((one) => planarOf(one, model, plan.images.orient)));
        await check(runtime, file, model, planar, async (one) => (await logitsAndShares(one)).logits!);
        return new Blob([file as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' });
      },
      close: async () => {
        await session.close();
        await runtime.close();
      },
    };
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

/** @throws IdatError `run.unfinished`, `run.damaged` */
async function tunedNumbers(run: StoredRun, layout: TrainableLayout): Promise<Float32Array> {
  const file = await run.tensors('student.safetensors');
  if (!file) throw new IdatError('run.unfinished', `${run.name}: no epoch has ended yet; go on with the training`);
  return tunedIn(file, layout);
}

/** @returns bytes [3, height, width], as the training reads pictures */
async function planarOf(picture: Blob | Rgba, { backbone }: ModelSpec, orient: boolean): Promise<Uint8Array> {
  const image =
    picture instanceof Blob
      ? await decodeImage(new Uint8Array(await picture.arrayBuffer()), { orient, name: 'the picture' })
      : toRgb(picture, 'the picture');
  return preprocess(image, backbone.config.imageSize);
}

function normalised(planar: Uint8Array, { backbone: { mean, std } }: ModelSpec): Float32Array {
  const images = new Float32Array(planar.length);
  normaliseInto(planar, mean, std, images, 0);
  return images;
}

/** @throws IdatError `train.diverged` */
function softmax(logits: Float32Array): number[] {
  const largest = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  if (Number.isFinite(sum)) return weights.map((weight) => weight / sum);
  const what = 'the model’s answers are no finite numbers: training has diverged';
  throw new IdatError('train.diverged', `${what}; train again with a lower learning rate`);
}

/** The file: it resizes and normalises by itself. */
function exported(model: ModelSpec, tuned: Tuned, run: ExportedRun): Uint8Array {
  const { backbone } = model;
  const facts = { run, backbone, model, layout: tuned.layout, ...PLAN, input: inputOf(PLAN, model) };
  return encodeModel({ ...graphOf(model, tuned, PLAN), metadata: modelMetadata(facts) });
}

/** @throws IdatError `export.differs` */
async function check(
  runtime: Runtime,
  file: Uint8Array,
  { backbone: { config }, classes }: ModelSpec,
  pictures: readonly Uint8Array[],
  engine: (planar: Uint8Array) => Promise<Float32Array>,
): Promise<void> {
  const answers = { shape: [1, classes], dtype: 'float32' as const };
  const session: Session = await runtime.load(() => ({
    ...{ model: file, files: [], flops: 0, activationBytes: 0, weightBytes: 0 },
    inputs: { [inputName(PLAN)]: { shape: [1, config.channels, ...sidesOf(config.imageSize)], dtype: 'float32' } },
    outputs: { [LOGITS]: answers },
  }));
  try {
    for (const planar of pictures) {
      const expected = await engine(planar);
      const got = (await session.run({ [inputName(PLAN)]: Float32Array.from(planar) }))[LOGITS]!;
      const apart = Math.max(...expected.map((value, i) => Math.abs(value - got[i]!)));
      const largest = Math.max(...expected.map(Math.abs), 1);
      if (apart <= SAME * largest) continue;
      const what = `the exported file's answers are apart from the engine's by ${apart.toPrecision(2)}`;
      throw new IdatError('export.differs', `${what}; download the run and use idat export instead`);
    }
  } finally {
    await session.close();
  }
}
