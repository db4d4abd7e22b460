/**
 * The header of NumPy's .npy format: magic, version, length, and a Python dictionary with element type, order and shape.
 *
 * @see NumPy Enhancement Proposal 1, and numpy/lib/_format_impl.py for versions 2 and 3
 */
import { IdatError } from '../errors.js';

export interface NpyHeader {
  /** NumPy's word for the element type, such as <f4. */
  readonly type: string;
  readonly shape: readonly number[];
  /** Whether the first axis is the one whose neighbours are adjacent (Fortran's order) rather than the last. */
  readonly firstAxisFastest: boolean;
  /** Bytes before the numbers. */
  readonly byteLength: number;
}

const MAGIC = '\x93NUMPY';
/** NumPy writes some 120 bytes; only structured types, which hold no plain numbers, need more. */
export const MAX_NPY_HEADER_BYTES = 10_000;

/**
 * @param bytes the beginning of the file, at least MAX_NPY_HEADER_BYTES of it or all
 * @param name what messages call it
 * @throws IdatError `files.npy.header`
 */
export function parseNpyHeader(bytes: Uint8Array, name: string): NpyHeader {
  const wrong = (what: string) => new IdatError('files.npy.header', `${name}: ${what}: write or get the file again`);
  if (bytes.length < 12 || String.fromCharCode(...bytes.subarray(0, 6)) !== MAGIC) {
    throw wrong('not an array of NumPy (it does not start with \\x93NUMPY)');
  }
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw wrong(`version ${version} of NumPy's format, idat reads 1 to 3`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [start, length] = version === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const end = start + length;
  if (length > MAX_NPY_HEADER_BYTES - start || end > bytes.length) throw wrong(`its header claims ${length} bytes`);
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(bytes.subarray(start, end));
  const type = /['"]descr['"]\s*:\s*['"]([^'"]{1,20})['"]/.exec(text)?.[1] ?? 'a structured type';
  const order = /['"]fortran_order['"]\s*:\s*(True|False)\b/.exec(text)?.[1];
  const axes = /['"]shape['"]\s*:\s*\(((?:\s*\d+L?\s*,)*(?:\s*\d+L?)?\s*)\)/.exec(text)?.[1];
  if (order === undefined || axes === undefined) throw wrong('its header lacks shape or order');
  const shape = axes
    .split(',')
    .filter((axis) => axis.trim() !== '')
    .map((axis) => Number.parseInt(axis, 10));
  if (shape.length > 8 || !shape.every(Number.isSafeInteger)) throw wrong('its shape has too many or too large axes');
  return { type, shape, firstAxisFastest: order === 'True', byteLength: end };
}
