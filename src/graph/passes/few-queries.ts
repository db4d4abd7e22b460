import { add } from '../ops/add.js';
import { constantOp } from '../ops/constant.js';
import { linearOp } from '../ops/linear.js';
import { type MatmulAttrs, matmul, matmulOp } from '../ops/matmul.js';
import { mul } from '../ops/mul.js';
import { reduceSum } from '../ops/reduce-sum.js';
import { reshape, reshapeOp } from '../ops/reshape.js';
import { transposeOp } from '../ops/transpose.js';
import { rewrite } from '../rewrite.js';
import type { Node, Tensor } from '../tensor.js';
import { type Uses, usesIn } from '../uses.js';
import type { Pass } from './pass.js';

/**
 * Attention with few queries multiplies in another order. For a head with queries q [R, d], its rows W_k, W_v [d, D] of
 * the frozen weights, tokens x [T, D] and attention p [R, T]:
 *
 *   q·(x·W_kᵀ + b_k)ᵀ = (q·W_k)·xᵀ + q·b_k        p·(x·W_vᵀ + b_v) = (p·x)·W_vᵀ + (Σ p)·b_v
 *
 * On the left every token is mapped to a key and a value, on the right only the R queries are mapped: R/d of the work. In
 * a ViT's last block, of which only the class token is read, R is 1. Exact up to rounding.
 */
export const fewQueries: Pass = {
  name: 'few-queries',
  title: 'the last block without keys and values of its own',
  apply(outputs) {
    const uses = usesIn(outputs);
    return rewrite(outputs, (node, [rows, heads]) => {
      if (!readsFrozenHeads(node, uses)) return undefined;
      const { transposeB } = node.attrs as MatmulAttrs;
      return [transposeB ? scores(rows!, frozenHeads(heads!)!) : mixture(rows!, frozenHeads(heads!)!)];
    });
  },
};

/** Keys or values: x [B, T, D] through a frozen product, in heads [B, H, T, d]. */
interface FrozenHeads {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
}

/** q [B or 1, H, R, d] with keys -> [B, H, R, T] */
function scores(q: Tensor, { x, weight, bias }: FrozenHeads): Tensor {
  const [b, H, R, d] = q.shape as [number, number, number, number]; // b is 1 where all images have the same query
  const [B, T, D] = x.shape as [number, number, number];
  const mapped = matmul(q, reshape(weight, [H, d, D])); // [b, H, R, D]
  const products = matmul(reshape(mapped, [b, H * R, D]), x, false, true);
  const result = reshape(products, [B, H, R, T]);
  return bias ? add(result, matmul(q, reshape(bias, [H, d, 1]))) : result;
}

/** p [B, H, R, T] with values -> [B, H, R, d] */
function mixture(p: Tensor, { x, weight, bias }: FrozenHeads): Tensor {
  const [B, H, R, T] = p.shape as [number, number, number, number];
  const D = x.shape[2]!;
  const d = weight.shape[0]! / H;
  const mixed = reshape(matmul(reshape(p, [B, H * R, T]), x), [B, H, R, D]);
  const result = matmul(mixed, reshape(weight, [H, d, D]), false, true);
  return bias ? add(result, mul(reduceSum(p, [-1], true), reshape(bias, [H, 1, d]))) : result;
}

/** Whether a node multiplies few rows with heads that nothing else reads. */
function readsFrozenHeads({ op, inputs: [rows, heads], attrs }: Node, uses: Uses): boolean {
  if (op !== matmulOp || (attrs as MatmulAttrs).transposeA || !frozenHeads(heads!)) return false;
  const cut = heads!.node.inputs[0]!;
  const [R, d] = [rows!.shape.at(-2)!, heads!.shape.at(-1)!];
  return 2 * R <= d && [heads!, cut, cut.node.inputs[0]!].every((t) => uses.single(t));
}

/** What `heads` is made of when it is transpose(reshape(linear(x))), as attention cuts tokens into heads. */
function frozenHeads({ shape, node: { op, attrs, inputs } }: Tensor): FrozenHeads | undefined {
  const cut = inputs[0]?.node;
  const product = cut?.inputs[0];
  if (op !== transposeOp || `${(attrs as { perm: readonly number[] }).perm}` !== '0,2,1,3') return undefined;
  if (cut?.op !== reshapeOp || product?.node.op !== linearOp) return undefined;
  const [x, weight, bias] = product.node.inputs as [Tensor, Tensor, Tensor?];
  const frozen = [weight, bias].every((t) => !t || t.node.op === constantOp);
  const [B, , T] = shape;
  return frozen && x.shape.length === 3 && x.shape[0] === B && x.shape[1] === T ? { x, weight, bias } : undefined;
}
