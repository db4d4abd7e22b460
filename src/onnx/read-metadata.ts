/** What an .onnx file says of itself, read without what it computes. */
import { IdatError } from '../errors.js';

const METADATA = 14;
const [KEY, VALUE] = [1, 2];
/** Far more than idat writes. */
const MAX_ENTRIES = 1000;

/**
 * @param name what messages call the file
 * @throws IdatError `onnx.format` for bytes that are no ONNX model
 * @see onnx.proto3, ModelProto.metadata_props
 */
export function readOnnxMetadata(bytes: Uint8Array, name: string): Map<string, string> {
  try {
    const metadata = new Map<string, string>();
    for (const { field, body } of fieldsOf(bytes)) {
      if (field !== METADATA || body === null) continue;
      const texts = ['', ''];
      for (const inner of fieldsOf(body)) {
        if (inner.field === KEY || inner.field === VALUE) texts[inner.field - 1] = textOf(inner.body);
      }
      metadata.set(texts[0]!, texts[1]!);
      if (metadata.size > MAX_ENTRIES) throw new Error('too much metadata');
    }
    return metadata;
  } catch (error) {
    throw new IdatError('onnx.format', `${name}: is no ONNX model, or a damaged one; export or copy it again`, {
      cause: error,
    });
  }
}

const textOf = (body: Uint8Array | null): string =>
  new TextDecoder('utf-8', { fatal: true }).decode(body ?? new Uint8Array());

/** Fields of a protobuf message. `body` is null for what has a fixed size. */
function* fieldsOf(bytes: Uint8Array): Generator<{ field: number; body: Uint8Array | null }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1, i = 0; i < 10; i++, scale *= 128) {
      if (at >= bytes.length) break;
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new Error('a number that does not end');
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    let body: Uint8Array | null = null;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new Error('a field that reaches beyond the end');
      body = bytes.subarray(at, at + length);
      at += length;
    } else throw new Error(`wire type ${wire}`);
    yield { field, body };
  }
  if (at !== bytes.length) throw new Error('ends within a field');
}
