/** Whether an exported file computes what the engine does that trained the model, and what it costs not to. */
import { IdatError } from '../errors.js';
import { usableCores } from '../files/node/usable-cores.js';
import { encodeModel, type ModelProto } from '../graph/onnx-proto.js';
import { inputName } from '../onnx/exported-model.js';
import { withRuntime } from '../runtime/node/start.js';
import type { Runtime } from '../runtime/runtime.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import { loadModel } from '../train/evaluate.js';
import type { RunControl } from '../train/progress.js';
import {
  type Agreement,
  asImages,
  asPixels,
  asSmallPixels,
  type Candidate,
  type Comparison,
  compareOn,
  type ExportedFile,
  loadExported,
  type Recognised,
  resizedBy,
} from './agreement.js';
import type { CheckImages } from './check-images.js';
import type { ExportPlan } from './export-plan.js';
import { libraryResize } from './library-resize.js';

/** A precision's price. */
export interface Cost {
  readonly bytes: number;
  /** Of the runtime's own time for one image, the median of several calls. */
  readonly msPerImage: number;
  readonly recognised: Recognised;
}

export interface Checked extends Agreement {
  /** Of which data set, and which images of it count where accuracy is told. */
  readonly on: string;
  readonly counted: string;
  /** What 8 bits change, where they were asked for; null where not. */
  readonly int8: { readonly float32: Cost; readonly int8: Cost; readonly threads: number } | null;
  /**
   * The same images at their own size, resized by the graph or as the library does it in Node; null where that is left
   * to whoever runs it.
   */
  readonly resized: (Agreement & { readonly recognised: Recognised; readonly engine: Recognised }) | null;
}

export interface CheckInputs extends RunControl {
  readonly model: ModelSpec;
  readonly layout: TrainableLayout;
  readonly parameters: Float32Array;
  readonly plan: ExportPlan;
  readonly images: CheckImages;
  /** What the data set is called. */
  readonly source: string;
  /** The exported model. */
  readonly bytes: Uint8Array;
  readonly threads: number;
  /** The same model in float32. */
  float(): ModelProto;
}

/** Of the largest logit: another order of additions changes the seventh digit, of long sums the fifth. */
const DEVIATION = 1e-4;
/** Of images at their own size, of which a byte may be rounded otherwise: one in a hundred, or one. */
const OTHERS = 0.01;

/**
 * @throws IdatError `export.differs` when float32 disagrees with the engine, or 8 bits give no numbers; `export.images` where
 *   no image can be read
 */
export async function checkExport(given: CheckInputs): Promise<Checked> {
  const { plan, images, source, model, parameters, onProgress } = given;
  const threads = Math.min(given.threads, usableCores());
  return withRuntime({ device: 'cpu', threads }, async (runtime) => {
    const engine = await loadModel(runtime, model, { images: AT_ONCE });
    const file = await load(runtime, given, given.bytes);
    const float = plan.precision === 'int8' ? encodeModel(given.float()) : null;
    const exact = float && (await load(runtime, given, float));
    const candidates = [...candidatesOf(plan, file), ...(exact ? candidatesOf(plan, exact).slice(0, 1) : [])];
    const told = (done: number) => onProgress?.({ kind: 'evaluate', done, total: images.count, split: 'check' });
    const comparison = await compareOn(images, engine, parameters, candidates, told);
    const [agreement] = comparison.agreements as [Agreement];
    if (agreement.images === 0) {
      const what = `${source}: none of its images can be read, so that the export cannot be checked`;
      throw new IdatError('export.images', `${what}; give another data set`);
    }
    refuseOthers(comparison, plan, exact !== null);
    const int8 = exact && { ...(await costs(comparison, file, exact, given.bytes, float!)), threads };
    const resized = comparison.agreements.length > (exact ? 2 : 1) ? resizedOf(comparison) : null;
    return { ...agreement, on: source, counted: images.counted, int8, resized };
  });
}

/** Images in a call of the engine. */
const AT_ONCE = 16;

const load = (runtime: Runtime, { plan, model, parameters }: CheckInputs, bytes: Uint8Array): Promise<ExportedFile> =>
  loadExported(runtime, bytes, {
    input: inputName(plan),
    classes: model.classes,
    parameters: plan.adapterInput ? parameters : null,
  });

/** First on images as idat resizes them, which shows whether the model is right; then with the file's way to resize them. */
function candidatesOf({ format, resize }: ExportPlan, file: ExportedFile): Candidate[] {
  const own = { file, feeds: resize === 'graph' ? asSmallPixels : asImages };
  if (resize === 'graph') return [own, { file, feeds: asPixels }];
  return format === 'onnx' ? [own] : [own, { file, feeds: resizedBy(libraryResize) }];
}

function refuseOthers({ agreements }: Comparison, { resize, precision }: ExportPlan, quantised: boolean): void {
  const differs = (what: string) =>
    new IdatError('export.differs', `${what}; nothing was written. This is a fault of idat: please report it`);
  const [own, resized] = agreements;
  const float = quantised ? agreements.at(-1)! : own!;
  if (!(float.deviation <= DEVIATION * Math.max(1, float.largest))) {
    throw differs(`the exported model's logits differ by ${float.deviation} from those of the engine`);
  }
  if (!Number.isFinite(own!.deviation)) throw differs('the exported model gives no numbers');
  if (resize === 'caller' || precision === 'int8') return;
  const { images, same } = resized!;
  if (images - same > Math.max(1, OTHERS * images)) {
    throw differs(
      `with its own resize the exported model names another class for ${images - same} of ${images} images`,
    );
  }
}

const resizedOf = ({ agreements, recognised, engine }: Comparison): Checked['resized'] => ({
  ...agreements[1]!,
  recognised: recognised[1]!,
  engine,
});

async function costs(
  { first, recognised }: Comparison,
  file: ExportedFile,
  exact: ExportedFile,
  small: Uint8Array,
  large: Uint8Array,
): Promise<{ float32: Cost; int8: Cost }> {
  const image = first[0]!;
  return {
    float32: {
      bytes: large.length,
      msPerImage: await exact.milliseconds(image),
      recognised: recognised.at(-1)!,
    },
    int8: { bytes: small.length, msPerImage: await file.milliseconds(image), recognised: recognised[0]! },
  };
}
