import { broadcastStrides, dot, forEachIndex, ndarray } from '../ndarray.js';
import {
  apply1,
  broadcastShapes,
  formatShape,
  type NdArray,
  type Op,
  type Shape,
  shapeError,
  size,
  strides,
  type Tensor,
} from '../tensor.js';

export interface MatmulAttrs {
  /** Read a as its transpose on the last two axes. */
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const swapLast = (shape: Shape): Shape => [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];

/** Matrix product over the last two axes, a [..., m, k] · b [..., k, n] -> [..., m, n]; leading axes broadcast. */
export const matmulOp: Op<MatmulAttrs> = {
  name: 'matmul',
  infer([a, b], { transposeA, transposeB }) {
    if (a!.shape.length < 2 || b!.shape.length < 2) {
      throw shapeError('matmul', `needs two matrices, got ${formatShape(a!.shape)} and ${formatShape(b!.shape)}`);
    }
    const left = transposeA ? swapLast(a!.shape) : a!.shape;
    const right = transposeB ? swapLast(b!.shape) : b!.shape;
    if (left.at(-1) !== right.at(-2)) {
      throw shapeError('matmul', `inner sizes differ in ${formatShape(left)} · ${formatShape(right)}`);
    }
    const lead = broadcastShapes(left.slice(0, -2), right.slice(0, -2), 'matmul');
    return [{ shape: [...lead, left.at(-2)!, right.at(-1)!], dtype: 'float32' }];
  },
  onnx(builder, [a, b], { transposeA, transposeB }, node) {
    const [x, y] = node.inputs as [Tensor, Tensor];
    if (x.shape.length === 2 && y.shape.length === 2 && (transposeA || transposeB)) {
      return builder.node('Gemm', [a!, b!], { transA: Number(transposeA), transB: Number(transposeB) });
    }
    // ONNX Runtime fuses these transposes into the product
    const turned = (name: string, shape: Shape) =>
      builder.node('Transpose', [name], { perm: swapLast(shape.map((_, i) => i)) })[0]!;
    return builder.node('MatMul', [transposeA ? turned(a!, x.shape) : a!, transposeB ? turned(b!, y.shape) : b!]);
  },
  evaluate: ([a, b], { transposeA, transposeB }) => [multiply(a!, b!, transposeA, transposeB)],
  rows(axis, { inputs: [a], outputs: [c] }, attrs) {
    const rank = c!.shape.length;
    if (axis !== rank - 2) return undefined;
    return { inputs: [a!.shape.length - (attrs.transposeA ? 1 : 2), null], attrs: () => attrs };
  },
  flops: ({ inputs: [a], outputs: [c], attrs }) =>
    2 * size(c!.shape) * a!.shape.at((attrs as MatmulAttrs).transposeA ? -2 : -1)!,
  // C = A·B: dA = dC·Bᵀ, dB = Aᵀ·dC; with a transposed operand, the transpose of the same
  vjp([dy], { inputs: [a, b] }, { transposeA, transposeB }) {
    const da = transposeA ? matmul(b!, dy!, transposeB, true) : matmul(dy!, b!, false, !transposeB);
    const db = transposeB ? matmul(dy!, a!, true, transposeA) : matmul(a!, dy!, !transposeA, false);
    return [da, db];
  },
  cases: [
    {
      inputs: [
        [2, 3],
        [3, 4],
      ],
      attrs: { transposeA: false, transposeB: false },
    },
    {
      inputs: [
        [3, 2],
        [3, 4],
      ],
      attrs: { transposeA: true, transposeB: false },
    },
    {
      inputs: [
        [2, 3],
        [4, 3],
      ],
      attrs: { transposeA: false, transposeB: true },
    },
    {
      inputs: [
        [3, 2],
        [4, 3],
      ],
      attrs: { transposeA: true, transposeB: true },
    },
    {
      inputs: [
        [2, 5, 2, 3],
        [2, 1, 4, 3],
      ],
      attrs: { transposeA: false, transposeB: true },
    },
    {
      inputs: [
        [2, 1, 3, 2],
        [5, 3, 4],
      ],
      attrs: { transposeA: true, transposeB: false },
    },
    {
      inputs: [
        [2, 3, 4],
        [4, 2],
      ],
      attrs: { transposeA: false, transposeB: false },
    },
  ],
};

export const matmul = (a: Tensor, b: Tensor, transposeA = false, transposeB = false): Tensor =>
  apply1(matmulOp, [a, b], { transposeA, transposeB });

function multiply(a: NdArray, b: NdArray, transposeA: boolean, transposeB: boolean): NdArray {
  const [aRow, aInner] = transposeA ? [1, 0] : [0, 1];
  const [bInner, bColumn] = transposeB ? [1, 0] : [0, 1];
  const aDims = a.shape.slice(-2);
  const bDims = b.shape.slice(-2);
  const m = aDims[aRow]!;
  const k = aDims[aInner]!;
  const n = bDims[bColumn]!;
  const lead = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2), 'matmul');
  const aStrides = strides(a.shape).slice(-2);
  const bStrides = strides(b.shape).slice(-2);
  const aLead = broadcastStrides(a.shape.slice(0, -2), lead).map((s) => s * m * k);
  const bLead = broadcastStrides(b.shape.slice(0, -2), lead).map((s) => s * k * n);
  const result = ndarray([...lead, m, n]);
  forEachIndex(lead, (index, batch) => {
    const a0 = dot(index, aLead);
    const b0 = dot(index, bLead);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) {
          sum +=
            a.data[a0 + i * aStrides[aRow]! + l * aStrides[aInner]!]! *
            b.data[b0 + l * bStrides[bInner]! + j * bStrides[bColumn]!]!;
        }
        result.data[(batch * m + i) * n + j] = sum;
      }
    }
  });
  return result;
}
