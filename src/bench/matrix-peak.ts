/** How fast this machine multiplies matrices: what all other speeds are held against. */
import { emit, type Program } from '../graph/emit.js';
import { add, constant, input, linear, slice } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';

/** Four images of ViT-B through the first layer of its MLP: 4·197 tokens, 768 to 3072. */
const ROWS = 4 * 197;
const [IN, OUT] = [768, 3072];
/** Products in one run, each with weights of its own as in a model. */
const PRODUCTS = 4;

/** [788, 768]·[768, 3072], several times, with constant weights; one row of the sum is handed back, to copy next to nothing. */
export function matrixPeakProgram(): Program {
  const x = input('x', [ROWS, IN]);
  const values = Float32Array.from({ length: OUT * IN + PRODUCTS }, (_, i) => Math.sin(i));
  const products = Array.from({ length: PRODUCTS }, (_, i) =>
    linear(x, constant([OUT, IN], values.subarray(i, i + OUT * IN))),
  );
  const firstRow = (y: Tensor) => slice(y, 0, 0, 1);
  return emit({ y: products.map(firstRow).reduce((a, b) => add(a, b)) });
}

export const matrixPeakFeeds = () => ({ x: Float32Array.from({ length: ROWS * IN }, (_, i) => Math.cos(i)) });
