/**
 * The few messages of the ONNX format that idat writes, field by field.
 *
 * Beside report/event-file.ts the only file that knows the protobuf library. Field numbers: onnx.proto3 of the ONNX specification, IR version 10.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { DType, Shape } from './tensor.js';

const ELEMENT_TYPE = { float32: 1, uint8: 2, int8: 3, int64: 7 } as const;
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;
const EXTERNAL = 1;

export type Attribute = number | { readonly float: number } | { readonly string: string } | readonly number[];

/** The operator set of ONNX Runtime's own operators. */
const MICROSOFT = 'com.microsoft';

export interface NodeProto {
  /** For profiles and readers; edges go by the outputs' names. */
  readonly name: string;
  /** The operator; one of ONNX Runtime's own is written `com.microsoft.DynamicQuantizeMatMul`. */
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface TensorProto {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** The numbers themselves, little-endian, or where in a file they lie. */
  readonly data: Uint8Array | { readonly location: string; readonly offset: number; readonly length: number };
}

export interface ValueProto {
  readonly name: string;
  readonly dtype: DType;
  /** A size that is open until the model is run has a name in place of a number. */
  readonly shape: readonly (number | string)[];
}

export interface ModelProto {
  readonly opset: number;
  readonly nodes: readonly NodeProto[];
  readonly initializers: readonly TensorProto[];
  readonly inputs: readonly ValueProto[];
  readonly outputs: readonly ValueProto[];
  /** What readers are told besides. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The bytes of an .onnx file. Equal models give equal bytes. */
export function encodeModel(model: ModelProto): Uint8Array {
  const w = new BinaryWriter();
  w.tag(1, WireType.Varint).int64(10);
  w.tag(2, WireType.LengthDelimited).string('idat');
  message(w, 7, () => {
    for (const node of model.nodes) message(w, 1, () => writeNode(w, node));
    w.tag(2, WireType.LengthDelimited).string('idat');
    for (const tensor of model.initializers) message(w, 5, () => writeTensor(w, tensor));
    for (const value of model.inputs) message(w, 11, () => writeValue(w, value));
    for (const value of model.outputs) message(w, 12, () => writeValue(w, value));
  });
  message(w, 8, () => w.tag(2, WireType.Varint).int64(model.opset));
  if (model.nodes.some(({ type }) => domainOf(type) !== '')) {
    message(w, 8, () => w.tag(1, WireType.LengthDelimited).string(MICROSOFT).tag(2, WireType.Varint).int64(1));
  }
  for (const [key, value] of Object.entries(model.metadata ?? {})) writeEntry(w, 14, key, value);
  return w.finish();
}

/** A key and its value, as a message of their own. */
function writeEntry(w: BinaryWriter, field: number, key: string, value: string): void {
  message(w, field, () =>
    w.tag(1, WireType.LengthDelimited).string(key).tag(2, WireType.LengthDelimited).string(value),
  );
}

function message(w: BinaryWriter, field: number, body: () => void): void {
  w.tag(field, WireType.LengthDelimited).fork();
  body();
  w.join();
}

const domainOf = (type: string): string => (type.startsWith(`${MICROSOFT}.`) ? MICROSOFT : '');

function writeNode(w: BinaryWriter, node: NodeProto): void {
  for (const name of node.inputs) w.tag(1, WireType.LengthDelimited).string(name);
  for (const name of node.outputs) w.tag(2, WireType.LengthDelimited).string(name);
  w.tag(3, WireType.LengthDelimited).string(node.name);
  const domain = domainOf(node.type);
  w.tag(4, WireType.LengthDelimited).string(domain ? node.type.slice(domain.length + 1) : node.type);
  if (domain) w.tag(7, WireType.LengthDelimited).string(domain);
  for (const [name, value] of Object.entries(node.attributes)) {
    message(w, 5, () => {
      w.tag(1, WireType.LengthDelimited).string(name);
      if (typeof value === 'number')
        w.tag(3, WireType.Varint).int64(value).tag(20, WireType.Varint).int32(ATTRIBUTE.int);
      else if ('float' in value)
        w.tag(2, WireType.Bit32).float(value.float).tag(20, WireType.Varint).int32(ATTRIBUTE.float);
      else if ('string' in value)
        w.tag(4, WireType.LengthDelimited).string(value.string).tag(20, WireType.Varint).int32(ATTRIBUTE.string);
      else {
        for (const n of value) w.tag(8, WireType.Varint).int64(n);
        w.tag(20, WireType.Varint).int32(ATTRIBUTE.ints);
      }
    });
  }
}

function writeTensor(w: BinaryWriter, tensor: TensorProto): void {
  for (const n of tensor.shape) w.tag(1, WireType.Varint).int64(n);
  w.tag(2, WireType.Varint).int32(ELEMENT_TYPE[tensor.dtype]);
  w.tag(8, WireType.LengthDelimited).string(tensor.name);
  if (tensor.data instanceof Uint8Array) {
    w.tag(9, WireType.LengthDelimited).bytes(tensor.data);
    return;
  }
  const entries = { location: tensor.data.location, offset: `${tensor.data.offset}`, length: `${tensor.data.length}` };
  for (const [key, value] of Object.entries(entries)) writeEntry(w, 13, key, value);
  w.tag(14, WireType.Varint).int32(EXTERNAL);
}

function writeValue(w: BinaryWriter, value: ValueProto): void {
  w.tag(1, WireType.LengthDelimited).string(value.name);
  message(w, 2, () =>
    message(w, 1, () => {
      w.tag(1, WireType.Varint).int32(ELEMENT_TYPE[value.dtype]);
      message(w, 2, () => {
        for (const n of value.shape) {
          if (typeof n === 'number') message(w, 1, () => w.tag(1, WireType.Varint).int64(n));
          else message(w, 1, () => w.tag(2, WireType.LengthDelimited).string(n));
        }
      });
    }),
  );
}
