/**
 * Trainable parameters as one flat vector: the table that says where each tensor lies, and the pass that turns
 * parameters into slices of one graph input.
 */

import { concat } from './ops/concat.js';
import { input, reshape, split, zeros } from './ops/index.js';
import { type ParameterAttrs, parameterOp } from './ops/parameter.js';
import { rewriteNamed } from './rewrite.js';
import { type Shape, size, type Tensor, topologicalOrder } from './tensor.js';

/** Where one trainable tensor lies in its model's flat vector. */
export interface Slot {
  readonly name: string;
  readonly shape: Shape;
  /** In elements. */
  readonly offset: number;
  readonly size: number;
}

/** The parameters found in a traced model, in the order in which they were made. */
export function parametersOf(outputs: readonly Tensor[]): Tensor[] {
  return topologicalOrder(outputs)
    .filter((node) => node.op === parameterOp)
    .map((node) => node.outputs[0]!);
}

export const parameterName = (t: Tensor): string => (t.node.attrs as ParameterAttrs).name;

/** Lays tensors out one after the other. */
export function layout(tensors: readonly { readonly name: string; readonly shape: Shape }[]): Slot[] {
  let offset = 0;
  return tensors.map(({ name, shape }) => {
    const slot = { name, shape, offset, size: size(shape) };
    offset += slot.size;
    return slot;
  });
}

/** One vector of all the given gradients, in slot order; the counterpart of `unpackParameters`. */
export function packGradients(gradients: readonly Tensor[]): Tensor {
  if (gradients.length === 0) return zeros([0]);
  return concat(
    gradients.map((g) => reshape(g, [size(g.shape)])),
    0,
  );
}

/** Replaces every parameter by its slice of a float32 input vector `inputName`, one vector for each group. */
export function unpackParameters(
  outputs: Readonly<Record<string, Tensor>>,
  groups: readonly { readonly inputName: string; readonly parameters: readonly Tensor[] }[],
): Record<string, Tensor> {
  const replacement = new Map<Tensor, Tensor>();
  for (const { inputName, parameters } of groups) {
    if (parameters.length === 0) continue;
    const sizes = parameters.map((p) => size(p.shape));
    const vector = input(inputName, [sizes.reduce((a, b) => a + b, 0)]);
    split(vector, 0, sizes).forEach((piece, i) => {
      const parameter = parameters[i]!;
      replacement.set(parameter, reshape(piece, parameter.shape));
    });
  }
  return rewriteNamed(outputs, (node) => {
    const to = replacement.get(node.outputs[0]!);
    return to && [to];
  });
}
