/** Safetensors as they are read: a tensor at a time, from wherever the bytes are. */
import { IdatError, nearest } from '../errors.js';
import {
  type Dtype,
  decodeTensor,
  isFloatDtype,
  parseSafetensorsHeader,
  type SafetensorsFile,
  type TensorArray,
  type TensorEntry,
  toFloat32,
} from './safetensors.js';

export interface TensorData {
  name: string;
  /** The type in the file; F16 and BF16 are widened to float32 in `data`. */
  dtype: Dtype;
  shape: number[];
  data: TensorArray;
}

export interface SafetensorsReader {
  file: SafetensorsFile;
  /** @throws IdatError when there is no such tensor (offering the nearest names), or the file has shrunk meanwhile */
  read(name: string): Promise<TensorData>;
  /**
   * The same for F32, F16 and BF16 (exact) and F64 (rounded to nearest).
   * @throws IdatError as `read`, and when the tensor holds integers
   */
  readFloat32(name: string): Promise<Float32Array>;
}

/** Reads tensors by their entries. @param bytesOf the bytes of one */
export function safetensorsReader(
  file: SafetensorsFile,
  bytesOf: (entry: TensorEntry) => Promise<Uint8Array>,
): SafetensorsReader {
  return {
    file,
    read: async (name) => {
      const entry = findTensor(file, name);
      return { name, dtype: entry.dtype, shape: entry.shape, data: decodeTensor(await bytesOf(entry), entry.dtype) };
    },
    readFloat32: async (name) => {
      const entry = findTensor(file, name);
      const { dtype } = entry;
      if (!isFloatDtype(dtype)) {
        throw new IdatError(
          'files.safetensors.dtype',
          `${file.name}: tensor ${name} holds ${dtype} where floating-point numbers (F64, F32, F16 or BF16) are needed: choose another file`,
        );
      }
      return toFloat32(await bytesOf(entry), dtype);
    },
  };
}

/**
 * Of a whole file that is in memory.
 * @param name what messages call it
 * @throws IdatError when it is no well-formed safetensors file
 */
export const safetensorsIn = (bytes: Uint8Array, name: string): SafetensorsReader =>
  safetensorsReader(parseSafetensorsHeader(bytes, bytes.length, name), async ({ offset, byteLength }) =>
    bytes.subarray(offset, offset + byteLength),
  );

function findTensor(file: SafetensorsFile, name: string): TensorEntry {
  const entry = file.tensors.get(name);
  if (entry) return entry;
  // Comparing names costs their lengths' product: a stranger's header must not make a message take minutes.
  const candidates = [...file.tensors.keys()].slice(0, 5000).filter((candidate) => candidate.length <= 200);
  const offer =
    candidates.length > 0 ? `the nearest are ${nearest(name, candidates).join(', ')}` : 'the file has no tensors';
  throw new IdatError('files.safetensors.missing', `${file.name}: there is no tensor ${name}: ${offer}`);
}
