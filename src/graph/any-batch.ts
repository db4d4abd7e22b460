/**
 * From a model emitted for one number of images to one for any: the symbolic tensors always know their shapes, so the model
 * is traced for a number that nothing else in it can be, and what came of that number is taken back.
 */
import type { ModelProto, NodeProto, TensorProto, ValueProto } from './onnx-proto.js';

/** A prime that no size of a model has as a factor: wherever a size is a multiple of it, images are counted. */
export const TRACED_BATCH = 65_537;

/** What the open size is called. */
export const BATCH = 'batch';

const counts = (n: number): boolean => n !== 0 && n % TRACED_BATCH === 0;

/**
 * @param model emitted with `TRACED_BATCH` images
 * @param images name of the input whose first size is the number of images
 * @throws Error where that number stands in anything but a reshape or an expansion
 */
export function forAnyBatch(model: ModelProto, images: string): ModelProto {
  const writer = new Rewriter(model, images);
  for (const node of model.nodes) writer.add(node);
  const used = new Set(writer.nodes.flatMap(({ inputs }) => inputs));
  return {
    ...model,
    nodes: writer.nodes,
    initializers: [...model.initializers, ...writer.initializers].filter(({ name }) => used.has(name)),
    inputs: model.inputs.map(opened),
    outputs: model.outputs.map(opened),
  };
}

const opened = (value: ValueProto): ValueProto => ({
  ...value,
  shape: value.shape.map((n) => {
    if (typeof n === 'string' || !counts(n)) return n;
    if (n === TRACED_BATCH) return BATCH;
    throw new Error(`${value.name}: ${n / TRACED_BATCH} rows for each image cannot be told of`);
  }),
});

class Rewriter {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  private readonly lists: ReadonlyMap<string, readonly number[]>;
  private readonly made = new Map<string, string>();

  constructor(
    model: ModelProto,
    private readonly images: string,
  ) {
    this.lists = new Map(model.initializers.flatMap((tensor) => (isList(tensor) ? [[tensor.name, read(tensor)]] : [])));
  }

  add(node: NodeProto): void {
    const at = node.inputs.findIndex((name) => this.lists.get(name)?.some(counts));
    if (at < 0) {
      this.nodes.push(node);
      return;
    }
    const sizes = this.lists.get(node.inputs[at]!)!;
    if (at !== 1 || !(node.type === 'Reshape' || node.type === 'Expand')) {
      throw new Error(`${node.name} (${node.type}) holds the number of images`);
    }
    const to = node.type === 'Reshape' ? this.inferred(sizes, node) : this.computed(sizes);
    this.nodes.push({ ...node, inputs: [node.inputs[0]!, to] });
  }

  /** A reshape finds one size by itself. */
  private inferred(sizes: readonly number[], { name }: NodeProto): string {
    if (sizes.filter((n) => counts(n) || n < 0).length > 1) throw new Error(`${name} has two open sizes`);
    return this.list(sizes.map((n) => (counts(n) ? -1 : n)));
  }

  /** The number of images is read from their tensor when the model is run. */
  private computed(sizes: readonly number[]): string {
    return this.once(`computed ${sizes}`, () => {
      const parts = sizes.map((n) => (counts(n) ? this.multiple(n / TRACED_BATCH) : this.list([n])));
      return this.node('Concat', parts, { axis: 0 });
    });
  }

  private multiple(times: number): string {
    const batch = this.once('batch', () => this.node('Shape', [this.images], { start: 0, end: 1 }));
    return times === 1 ? batch : this.once(`${times}`, () => this.node('Mul', [batch, this.list([times])]));
  }

  private list(values: readonly number[]): string {
    return this.once(`list ${values}`, (name) => {
      const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
      this.initializers.push({ name, dtype: 'int64', shape: [values.length], data });
      return name;
    });
  }

  private node(type: string, inputs: readonly string[], attributes: Record<string, number> = {}): string {
    const name = `${BATCH}_${this.nodes.length}`;
    this.nodes.push({ name, type, inputs, outputs: [name], attributes });
    return name;
  }

  private once(key: string, make: (name: string) => string): string {
    const name = this.made.get(key) ?? make(`${BATCH}_list_${this.made.size}`);
    this.made.set(key, name);
    return name;
  }
}

const isList = ({ dtype, data }: TensorProto): boolean => dtype === 'int64' && data instanceof Uint8Array;

function read({ data }: TensorProto): number[] {
  const bytes = (data as Uint8Array).slice(); // numbers must lie at multiples of their size
  return Array.from(new BigInt64Array(bytes.buffer), Number);
}
