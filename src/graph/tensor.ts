/**
 * Symbolic tensors: what a traced computation is made of.
 *
 * A tensor knows its shape, its type and the node that makes it; a node knows its op and its input tensors. Nodes are
 * immutable and hold no list of users, so a "graph" is simply the tensors one asks for: everything that does not lead
 * to them is dead by construction.
 *
 * Shapes are always fully known. Letters used in comments throughout: B images, T tokens, D width, H heads, K classes.
 */
import { IdatError } from '../errors.js';

export type Shape = readonly number[];

export type DType = 'float32' | 'int64' | 'int8' | 'uint8';

export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

export interface Tensor extends TensorType {
  readonly node: Node;
  /** Which of the node's outputs this is. */
  readonly index: number;
}

// biome-ignore lint/suspicious/noExplicitAny: a node holds an op of any attributes; ops themselves are typed
type AnyOp = Op<any>;

export interface Node {
  /** Grows with creation, so inputs always have smaller ids than their users. */
  readonly id: number;
  readonly op: AnyOp;
  readonly inputs: readonly Tensor[];
  readonly attrs: unknown;
  readonly outputs: readonly Tensor[];
  /** Where it comes from; never part of what it computes, so passes must not compare it. */
  readonly label: Label;
}

/**
 * Where a node comes from. It stands in the name of every emitted ONNX node, so that the runtime's profiler tells whose
 * time it is.
 */
export interface Label {
  /** Which of the models traced together: student, teacher. */
  readonly role?: string;
  /** The room that traced it and the part of the model: `backbones.attention`. */
  readonly part?: string;
  /** Made by the differentiator on behalf of a node of that role and part. */
  readonly backward?: boolean;
}

/** A dense array of numbers in row-major order, for evaluating a graph in float64. */
export interface NdArray {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/**
 * Which ONNX operators a program is made of. `webgpu`: of those that ONNX Runtime has WebGPU kernels for, with no more outputs
 * than a kernel has room for. Other devices take `usual`, whose programs are those of versions that knew no others.
 */
export type OnnxForms = 'usual' | 'webgpu';

/** What an op writes its ONNX form into; implemented by emit.ts. */
export interface OnnxBuilder {
  readonly forms: OnnxForms;
  /** Adds an ONNX node and returns the names of its outputs. Attributes: integers, floats (`{ float }`) or integer lists. */
  node(
    type: string,
    inputs: readonly string[],
    attributes?: Record<string, number | { float: number } | readonly number[]>,
    outputs?: number,
  ): string[];
  /** A one-dimensional int64 initialiser (shapes, axes, sizes). */
  ints(values: readonly number[]): string;
  /** A float32 scalar initialiser. */
  scalar(value: number): string;
}

/** Inputs and attributes an op's tests run on. `range` bounds the random inputs (default −2 to 2). */
export interface OpCase<A> {
  readonly inputs: readonly Shape[];
  readonly attrs: A;
  readonly range?: readonly [number, number];
}

/**
 * Everything idat knows about one op. One op, one file: adding an op touches that file and the list in ops/index.ts.
 */
export interface Op<A> {
  readonly name: string;
  /** The type of each output. Throws an IdatError (code `graph.shape`) when the inputs do not fit. */
  infer(inputs: readonly TensorType[], attrs: A): readonly TensorType[];
  /** Writes the op's ONNX form (opset 20) and returns one name for each output. */
  onnx(builder: OnnxBuilder, inputs: readonly string[], attrs: A, node: Node): readonly string[];
  /** The op's plain definition in float64: what tests compare with and what constants are folded by. */
  evaluate(inputs: readonly NdArray[], attrs: A, node: Node): readonly NdArray[];
  /**
   * Vector-Jacobian product: from the gradients of the outputs (null where nothing flows in) to those of the inputs
   * (null where nothing flows out). May return a gradient of the broadcast shape; the walker sums it back.
   * An op without it stops a gradient with an error unless `differentiable` is false.
   */
  vjp?(dy: readonly (Tensor | null)[], node: Node, attrs: A): readonly (Tensor | null)[];
  /**
   * When a part of the output along one axis needs only a part of some inputs: along which axis of each input (null:
   * the whole input is needed), and the attributes for a part of the given length. Undefined when the op mixes what lies
   * along that axis. Lets passes/push-down-slices.ts reason without knowing the op.
   */
  rows?(
    axis: number,
    node: Node,
    attrs: A,
  ): { inputs: readonly (number | null)[]; attrs(length: number): A } | undefined;
  /**
   * Floating-point operations of its matrix products, a multiplication and an addition counted as two: the work that is
   * worth saving, all other costs little beside it. Absent in ops that multiply no matrices.
   */
  flops?(node: Node): number;
  /** Whether its output may be another at every run whatever its inputs are: inputs and parameters. Default false. */
  readonly changes?: boolean;
  /** True for an op of one input that only lays the same numbers out anew: f(c·x) = c·f(x). */
  readonly dataMovement?: boolean;
  /** Outputs that serve the op's own gradient rule and are not differentiated. */
  readonly statistics?: readonly number[];
  /** False for ops that gradients do not pass through (integer ops, stopGradient). Default true. */
  readonly differentiable?: boolean;
  readonly cases: readonly OpCase<A>[];
}

let nextId = 0;
let currentLabel: Label = {};

/** Labels the nodes that `trace` makes; what is left out of the label stays as it was outside. */
export function within<T>(label: Label, trace: () => T): T {
  const outer = currentLabel;
  currentLabel = { ...outer, ...label };
  try {
    return trace();
  } finally {
    currentLabel = outer;
  }
}

/** Applies an op to tensors: infers the output types and makes the node. */
export function apply<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): readonly Tensor[] {
  const types = op.infer(inputs, attrs);
  const outputs: Tensor[] = [];
  const node: Node = { id: nextId++, op, inputs, attrs, outputs, label: currentLabel };
  types.forEach(({ shape, dtype }, index) => {
    outputs.push({ node, index, shape, dtype });
  });
  return outputs;
}

/** As `apply`, for ops with a single output. */
export function apply1<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor {
  return apply(op, inputs, attrs)[0]!;
}

/** Every node that leads to `outputs`, each after its inputs. */
export function topologicalOrder(outputs: readonly Tensor[]): Node[] {
  const seen = new Set<Node>();
  const stack = outputs.map((t) => t.node);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) stack.push(input.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

export const size = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Row-major strides, in elements. */
export function strides(shape: Shape): number[] {
  const result = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    result[i] = step;
    step *= shape[i]!;
  }
  return result;
}

/** The shape two operands broadcast to, by NumPy's rule. */
export function broadcastShapes(a: Shape, b: Shape, op: string): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[a.length - rank + i] ?? 1;
    const n = b[b.length - rank + i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw shapeError(op, `cannot broadcast ${formatShape(a)} with ${formatShape(b)}`);
    }
    return m === 1 ? n : m;
  });
}

/** Turns a possibly negative axis into 0…rank−1. */
export function normaliseAxis(axis: number, rank: number, op: string): number {
  const result = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(result) || result < 0 || result >= rank) {
    throw shapeError(op, `axis ${axis} does not exist in a tensor of rank ${rank}`);
  }
  return result;
}

export function shapeError(op: string, message: string): IdatError {
  return new IdatError('graph.shape', `${op}: ${message}`);
}
