/** The ops, and the list from which the conformance tests take them. */
import type { Op } from '../tensor.js';
import { absOp } from './abs.js';
import { addOp } from './add.js';
import { broadcastToOp } from './broadcast-to.js';
import { concatOp, splitOp } from './concat.js';
import { depthwiseConvOp } from './depthwise-conv.js';
import { divOp } from './div.js';
import { erfOp } from './erf.js';
import { expOp } from './exp.js';
import { flipOp } from './flip.js';
import { gatherOp, scatterAddOp } from './gather.js';
import { geluOp } from './gelu.js';
import { int8ProductOp } from './int8-product.js';
import { layerNormOp } from './layer-norm.js';
import { linearOp } from './linear.js';
import { logSoftmaxOp } from './log-softmax.js';
import { matmulOp } from './matmul.js';
import { mulOp } from './mul.js';
import { negOp } from './neg.js';
import { oneHotOp } from './one-hot.js';
import { reduceSumOp } from './reduce-sum.js';
import { reluOp } from './relu.js';
import { reshapeOp } from './reshape.js';
import { scaledGeluOp } from './scaled-gelu.js';
import { sigmoidOp } from './sigmoid.js';
import { signOp } from './sign.js';
import { softmaxOp } from './softmax.js';
import { sqrtOp } from './sqrt.js';
import { standardiseOp } from './standardise.js';
import { stopGradientOp } from './stop-gradient.js';
import { subOp } from './sub.js';
import { takeTokensOp } from './take-tokens.js';
import { toFloatOp } from './to-float.js';
import { transposeOp } from './transpose.js';
import { zerosOp } from './zeros.js';

export { abs } from './abs.js';
export { add } from './add.js';
export { broadcastTo } from './broadcast-to.js';
export { concat, split } from './concat.js';
export { type ConstantData, constant, scalar } from './constant.js';
export { depthwiseConv } from './depthwise-conv.js';
export { div } from './div.js';
export { erf } from './erf.js';
export { exp } from './exp.js';
export { flip } from './flip.js';
export { gather } from './gather.js';
export { gelu } from './gelu.js';
export { input } from './input.js';
export { int8Product } from './int8-product.js';
export { layerNorm } from './layer-norm.js';
export { linear } from './linear.js';
export { logSoftmax } from './log-softmax.js';
export { matmul } from './matmul.js';
export { mul, scale } from './mul.js';
export { neg } from './neg.js';
export { oneHot } from './one-hot.js';
export { parameter } from './parameter.js';
export { reduceMean, reduceSum, sumAll } from './reduce-sum.js';
export { relu } from './relu.js';
export { reshape } from './reshape.js';
export { scaledGelu } from './scaled-gelu.js';
export { sigmoid } from './sigmoid.js';
export { sign } from './sign.js';
export { slice } from './slice.js';
export { softmax } from './softmax.js';
export { sqrt } from './sqrt.js';
export { standardise } from './standardise.js';
export { stopGradient } from './stop-gradient.js';
export { sub } from './sub.js';
export { takeTokens } from './take-tokens.js';
export { toFloat } from './to-float.js';
export { transpose } from './transpose.js';
export { zeros } from './zeros.js';

// biome-ignore lint/suspicious/noExplicitAny: ops of different attributes in one list
export const ALL_OPS: readonly Op<any>[] = [
  absOp,
  addOp,
  broadcastToOp,
  concatOp,
  depthwiseConvOp,
  divOp,
  erfOp,
  expOp,
  flipOp,
  gatherOp,
  geluOp,
  int8ProductOp,
  layerNormOp,
  linearOp,
  logSoftmaxOp,
  matmulOp,
  mulOp,
  negOp,
  oneHotOp,
  reduceSumOp,
  reluOp,
  reshapeOp,
  scaledGeluOp,
  scatterAddOp,
  sigmoidOp,
  signOp,
  softmaxOp,
  splitOp,
  sqrtOp,
  standardiseOp,
  stopGradientOp,
  subOp,
  takeTokensOp,
  toFloatOp,
  transposeOp,
  zerosOp,
];
