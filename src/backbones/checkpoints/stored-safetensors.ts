/** The tensors of a safetensors file, wherever its bytes lie. */
import { IdatError, printable } from '../../errors.js';
import { type FloatDtype, isFloatDtype, type TensorEntry, toFloat32 } from '../../files/safetensors.js';
import { size } from '../../graph/tensor.js';
import type { StoredTensor } from './stored-tensor.js';

const ITEM_BYTES: Record<FloatDtype, number> = { F64: 8, F32: 4, F16: 2, BF16: 2 };

/** Some bytes of a file, in an array of their own. */
export type ReadRange = (offset: number, byteLength: number) => Uint8Array<ArrayBuffer>;

/** @param path what programs and messages call the file */
export function storedTensors(
  entries: ReadonlyMap<string, TensorEntry>,
  path: string,
  read: ReadRange,
): Map<string, StoredTensor> {
  return new Map([...entries].map(([name, entry]) => [name, storedTensor(path, entry, read)]));
}

function storedTensor(path: string, { name, dtype, shape, offset }: TensorEntry, read: ReadRange): StoredTensor {
  const isFloat = isFloatDtype(dtype);
  const load = (first = 0, count = size(shape) - first) => {
    if (!isFloat)
      throw new IdatError(
        'backbone.tensor',
        `${path}: tensor ${printable(name)} holds ${dtype}, no floating-point numbers`,
      );
    const itemBytes = ITEM_BYTES[dtype];
    const bytes = read(offset + itemBytes * first, itemBytes * count);
    // bytes read into an array of their own need no copy to be read as numbers
    return dtype === 'F32' ? new Float32Array(bytes.buffer) : toFloat32(bytes, dtype);
  };
  return { name: printable(name), shape, type: dtype, isFloat, place: dtype === 'F32' ? { path, offset } : null, load };
}
