/**
 * From symbolic tensors to an ONNX model: every node writes its own ONNX form, in topological order.
 */

import { activationBytes, countFlops, weightBytes } from './cost.js';
import { nodeName } from './label.js';
import { type Attribute, encodeModel, type ModelProto, type NodeProto, type TensorProto } from './onnx-proto.js';
import { type ConstantAttrs, constantOp } from './ops/constant.js';
import { type InputAttrs, inputOp } from './ops/input.js';
import {
  type Label,
  type Node,
  type OnnxBuilder,
  type OnnxForms,
  size,
  type Tensor,
  type TensorType,
  topologicalOrder,
} from './tensor.js';

/** Gelu, LayerNormalization and the reductions by input are all plain ONNX from here on. */
export const OPSET = 20;

/** What running a program costs. */
export interface ProgramCost {
  /** Floating-point operations of the matrix products of one run. */
  readonly flops: number;
  /** Bounds the memory of one run, weights aside, from above. */
  readonly activationBytes: number;
  /** Of all constants. */
  readonly weightBytes: number;
  /**
   * Whether memory is planned once, as one block for a whole run: faster for small models that are run often, larger than
   * what lives at any moment for others. Default: no.
   */
  readonly planned?: boolean;
}

/** A graph ready to be run: plain data that can be sent to a worker, stored, or opened by any ONNX runtime. */
export interface Program extends ProgramCost {
  /** The .onnx file. Weights that lie in files are referred to, not copied. */
  readonly model: Uint8Array;
  /** Files that hold weights: the name the model calls them by (the path below its root), and the absolute path. */
  readonly files: readonly { readonly location: string; readonly path: string }[];
  readonly inputs: Readonly<Record<string, TensorType>>;
  readonly outputs: Readonly<Record<string, TensorType>>;
}

/** Without the program, which may be as large as its weights. */
export const costOf = ({ flops, activationBytes, weightBytes }: ProgramCost): ProgramCost => ({
  flops,
  activationBytes,
  weightBytes,
});

/** Where numbers that lie in no file yet are put, so that they need not lie in the model. */
export interface WeightSink {
  /** The file's absolute path. */
  readonly path: string;
  /** @returns the byte offset the bytes were written to */
  append(bytes: Uint8Array): number;
  /** What the device that will run the program asks for; default `usual`. */
  readonly forms?: OnnxForms;
}

/** Constants of fewer bytes stay in the model: those of a small backbone all do, and no file is needed. */
const SMALL_BYTES = 2 ** 20;

/**
 * Emits everything that leads to `outputs`. Parameters must have been packed (pack.ts).
 *
 * @param sink takes the constants that are in memory or yet to be computed, one after the other, so that only one is in
 *   memory at a time; without it they become part of the model
 */
export function emit(outputs: Readonly<Record<string, Tensor>>, sink?: WeightSink): Program {
  const writer = new Writer(sink);
  const written = write(outputs, writer);
  return {
    model: encodeModel(written.model),
    files: [...writer.files].map(([path, location]) => ({ location, path })),
    inputs: Object.fromEntries(written.inputs.map(({ name, shape, dtype }) => [name, { shape, dtype }])),
    flops: countFlops(Object.values(outputs)),
    activationBytes: activationBytes(Object.values(outputs)),
    weightBytes: weightBytes(Object.values(outputs)),
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, { shape, dtype }]) => [name, { shape, dtype }])),
  };
}

/** As `emit`, but a model to go on with, which holds all its numbers: those of weights that lie in files are read. */
export const emitWhole = (outputs: Readonly<Record<string, Tensor>>): ModelProto =>
  write(outputs, new Writer(undefined, true)).model;

function write(outputs: Readonly<Record<string, Tensor>>, writer: Writer): { model: ModelProto; inputs: InputAttrs[] } {
  const order = topologicalOrder(Object.values(outputs));
  for (const node of order) writer.write(node);
  const finals = Object.entries(outputs).map(([name, t]) => writer.output(name, t));
  const inputs = order.filter((node) => node.op === inputOp).map((node) => node.attrs as InputAttrs);
  const { nodes, initializers } = writer;
  return { model: { opset: OPSET, nodes, initializers, inputs, outputs: finals }, inputs };
}

class Writer implements OnnxBuilder {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  /** Path -> the name the model uses for it. */
  readonly files = new Map<string, string>();
  private readonly names = new Map<Node, readonly string[]>();
  private readonly shared = new Map<string, string>();
  private prefix = '';
  private label: Label = {};
  private count = 0;

  readonly forms: OnnxForms;

  /** @param whole whether weights that lie in files are read */
  constructor(
    private readonly sink: WeightSink | undefined,
    private readonly whole = false,
  ) {
    this.forms = sink?.forms ?? 'usual';
  }

  write(node: Node): void {
    this.prefix = node.op.name;
    this.label = node.label;
    const inputs = node.inputs.map((t) => this.names.get(t.node)![t.index]!);
    this.names.set(node, node.op === constantOp ? [this.constant(node)] : node.op.onnx(this, inputs, node.attrs, node));
  }

  /** Gives a tensor its public name. */
  output(name: string, t: Tensor): { name: string } & TensorType {
    const inputs = [this.names.get(t.node)![t.index]!];
    this.nodes.push({ name: nodeName(t.node.label, name), type: 'Identity', inputs, outputs: [name], attributes: {} });
    return { name, shape: t.shape, dtype: t.dtype };
  }

  node(type: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}, outputs = 1): string[] {
    const base = this.unique();
    const names = outputs === 1 ? [base] : Array.from({ length: outputs }, (_, i) => `${base}.${i}`);
    this.nodes.push({ name: nodeName(this.label, base), type, inputs, outputs: names, attributes });
    return names;
  }

  ints(values: readonly number[]): string {
    return this.once(`ints:${values}`, (name) => ({
      name,
      dtype: 'int64',
      shape: [values.length],
      data: bytesOf(BigInt64Array.from(values, BigInt)),
    }));
  }

  scalar(value: number): string {
    return this.once(`scalar:${value}`, (name) => ({
      name,
      dtype: 'float32',
      shape: [],
      data: bytesOf(Float32Array.of(value)),
    }));
  }

  private constant(node: Node): string {
    const { shape, data } = node.attrs as ConstantAttrs;
    const { dtype } = node.outputs[0]!;
    const name = this.unique();
    if (data.kind === 'file' && !this.whole) {
      this.initializers.push({ name, dtype, shape, data: this.place(data.path, data.offset, 4 * size(shape)) });
      return name;
    }
    const bytes = bytesOf(data.kind === 'memory' ? data.values : data.load());
    const inModel = !this.sink || bytes.length < SMALL_BYTES;
    const stored = inModel ? bytes : this.place(this.sink!.path, this.sink!.append(bytes), bytes.length);
    this.initializers.push({ name, dtype, shape, data: stored });
    return name;
  }

  private place(path: string, offset: number, length: number) {
    const location = path.replace(/^([A-Za-z]:)?[\\/]+/, '');
    this.files.set(path, location);
    return { location, offset, length };
  }

  private once(key: string, make: (name: string) => TensorProto): string {
    const earlier = this.shared.get(key);
    if (earlier) return earlier;
    const tensor = make(this.unique());
    this.initializers.push(tensor);
    this.shared.set(key, tensor.name);
    return tensor.name;
  }

  private unique(): string {
    return `${this.prefix}_${this.count++}`;
  }
}

const bytesOf = (a: Float32Array | Int8Array | BigInt64Array): Uint8Array =>
  new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
