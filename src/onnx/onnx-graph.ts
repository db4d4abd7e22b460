/** A tuned model as ONNX for others' runtimes: any number of images, logits and probabilities. */
import { IdatError } from '../errors.js';
import { forAnyBatch, TRACED_BATCH } from '../graph/any-batch.js';
import { emitWhole } from '../graph/emit.js';
import type { ModelProto } from '../graph/onnx-proto.js';
import { constant, softmax } from '../graph/ops/index.js';
import { int8ProductOp } from '../graph/ops/int8-product.js';
import { parameterName, unpackParameters } from '../graph/pack.js';
import { foldConstants } from '../graph/passes/fold-constants.js';
import { applyPasses, FINAL_PASSES } from '../graph/passes/index.js';
import { INT8_LARGEST_ANYWHERE, quantiseFrozen } from '../graph/passes/quantise-frozen.js';
import { rewriteNamed } from '../graph/rewrite.js';
import { type Tensor, topologicalOrder } from '../graph/tensor.js';
import { HEAD_INPUT } from '../step/forward.js';
import { type ModelSpec, prepareModel, type TracedModel, type TrainableLayout } from '../step/model.js';
import { FEATURES, IMAGES, LOGITS, PARAMETERS, PROBABILITIES } from './names.js';

export interface GraphOptions {
  /** The numbers trained, laid out as `layout` says, which become constants; null: they stay an input, `parameters`. */
  readonly tuned: { readonly layout: TrainableLayout; readonly parameters: Float32Array } | null;
  /** Whether products with weights that are constants are computed in 8-bit integers, where they are large enough. */
  readonly int8: boolean;
}

/**
 * Input `images` [batch, channels, height, width], normalised; outputs `logits` and `probabilities` [batch, classes] and
 * `features` [batch, width], which the head reads. All numbers lie in it.
 * @throws IdatError `export.int8` where no product is large enough to be rounded, as `prepareModel`
 */
export function onnxGraph(model: ModelSpec, { tuned, int8 }: GraphOptions): ModelProto {
  const prepared = prepareModel(model, null, {
    role: '',
    batch: TRACED_BATCH,
    training: false,
    disable: [],
    taps: [HEAD_INPUT],
  });
  const traced = {
    [LOGITS]: prepared.logits,
    [PROBABILITIES]: softmax(prepared.logits),
    [FEATURES]: prepared.tapped[0]!,
  };
  const graph = tuned ? asConstants(traced, tuned) : asInput(traced, prepared);
  const folded = applyPasses([foldConstants, ...FINAL_PASSES], Object.values(graph));
  const final = int8 ? inEightBits(folded) : folded;
  const named = Object.fromEntries(Object.keys(graph).map((name, i) => [name, final[i]!]));
  return forAnyBatch(emitWhole(named), IMAGES);
}

const asInput = (outputs: Record<string, Tensor>, { parameters }: TracedModel): Record<string, Tensor> =>
  unpackParameters(outputs, [{ inputName: PARAMETERS, parameters }]);

function asConstants(
  outputs: Record<string, Tensor>,
  { layout, parameters }: NonNullable<GraphOptions['tuned']>,
): Record<string, Tensor> {
  const slots = new Map(layout.slots.map((slot) => [slot.name, slot]));
  return rewriteNamed(outputs, ({ op, outputs: [made] }) => {
    if (op.name !== 'parameter') return undefined;
    const { offset, size, shape } = slots.get(parameterName(made!))!;
    return [constant(shape, parameters.slice(offset, offset + size))];
  });
}

/** With numbers no processor's 8-bit products overflow on. */
function inEightBits(outputs: readonly Tensor[]): Tensor[] {
  const rounded = quantiseFrozen(outputs, 'forward', INT8_LARGEST_ANYWHERE);
  if (topologicalOrder(rounded).some(({ op }) => op === int8ProductOp)) return rounded;
  throw new IdatError(
    'export.int8',
    'no frozen weight of this model is large enough to be worth 8 bits; export it in float32',
  );
}
