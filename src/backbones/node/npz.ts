/**
 * The tensors of a NumPy archive (.npz: a zip of .npy members). np.savez stores members as they are, so their numbers are
 * byte ranges of the archive; those of np.savez_compressed are inflated when they are asked for, one at a time.
 */
import { realpath } from 'node:fs/promises';
import { constants, crc32, inflateRawSync } from 'node:zlib';
import { IdatError, printable } from '../../errors.js';
import { checkZipEntry, openZipArchive, type ZipArchive, type ZipEntry } from '../../files/node/zip.js';
import { MAX_NPY_HEADER_BYTES, type NpyHeader, parseNpyHeader } from '../../files/npy.js';
import { type FloatDtype, toFloat32 } from '../../files/safetensors.js';
import { formatShape, size } from '../../graph/tensor.js';
import type { TensorFile } from '../checkpoints/naming.js';
import { refusedZip } from '../checkpoints/refused.js';
import { permuted, type StoredTensor } from '../checkpoints/stored-tensor.js';
import { readBytes } from './read-bytes.js';

/** NumPy's floating-point types, little-endian. */
const FLOATS: Readonly<Record<string, { readonly dtype: FloatDtype; readonly itemBytes: number }>> = {
  '<f2': { dtype: 'F16', itemBytes: 2 },
  '<f4': { dtype: 'F32', itemBytes: 4 },
  '<f8': { dtype: 'F64', itemBytes: 8 },
};

/** A compressed member beyond this is refused before it is inflated; the largest in use, an old head, has 90 MB. */
const MAX_INFLATED_BYTES = 512 * 2 ** 20;

/** One member of an archive. */
interface Member {
  /** The real path of the archive. */
  readonly path: string;
  /** What messages call it. */
  readonly title: string;
  readonly entry: ZipEntry;
  /** Where its bytes, packed or not, begin in the archive. */
  readonly start: number;
}

/**
 * @throws IdatError `backbone.npz` when the archive is damaged, a member is no array or of another size than its header
 *   says, or a compressed one is too large
 */
export async function openNpz(path: string): Promise<TensorFile> {
  const place = await realpath(path).catch(() => path);
  const archive = await openZipArchive(place).catch((error) => {
    throw broken(path, messageOf(error), error);
  });
  try {
    const names = archive.entries.map(({ name }) => name);
    if (!names.some((name) => name.endsWith('.npy'))) throw refusedZip(path, names);
    const tensors = new Map<string, StoredTensor>();
    for (const entry of archive.entries) {
      const name = entry.name.replace(/\.npy$/, '');
      if (tensors.has(name)) throw broken(path, `holds ${printable(name)} twice`);
      const member = await memberOf(path, place, archive, entry);
      tensors.set(name, storedTensor(name, member));
      if (entry.stored) await checkStored(archive, member);
    }
    return { path, files: [place], tensors, metadata: {} };
  } finally {
    await archive.close();
  }
}

async function memberOf(path: string, place: string, archive: ZipArchive, entry: ZipEntry): Promise<Member> {
  const title = `${path}/${printable(entry.name)}`;
  if (entry.encrypted) throw broken(title, 'is encrypted');
  if (!entry.stored && !entry.deflated)
    throw broken(title, `is packed by method ${entry.method}, idat reads stored and deflated`);
  if (entry.deflated && entry.bytes > MAX_INFLATED_BYTES) {
    throw broken(title, `would have ${entry.bytes} bytes inflated, idat inflates up to ${MAX_INFLATED_BYTES}`);
  }
  const start = await archive.dataStart(entry).catch((error) => {
    throw broken(title, messageOf(error), error);
  });
  return { path: place, title, entry, start };
}

function storedTensor(name: string, member: Member): StoredTensor {
  const { path, title, entry, start } = member;
  const header = parseNpyHeader(beginning(member), title);
  const { type, shape, firstAxisFastest } = header;
  const float = Object.hasOwn(FLOATS, type) ? FLOATS[type]! : null;
  checkSize(title, entry, header, float?.itemBytes);
  // Fortran's order is the reverse of the axes' in ours
  const order = shape.map((_, axis) => shape.length - 1 - axis);
  const inFileOrder: StoredTensor = {
    name: printable(name),
    shape: firstAxisFastest ? order.map((axis) => shape[axis]!) : shape,
    type: printable(type),
    isFloat: float !== null,
    place: entry.stored && float?.dtype === 'F32' ? { path, offset: start + header.byteLength } : null,
    load: (first = 0, count = size(shape) - first) => {
      if (!float) throw broken(title, `holds ${printable(type)}, no little-endian floating-point numbers`);
      const begin = header.byteLength + float.itemBytes * first;
      const bytes = memberBytes(member, begin, float.itemBytes * count);
      return float.dtype === 'F32' ? new Float32Array(bytes.buffer) : toFloat32(bytes, float.dtype);
    },
  };
  return firstAxisFastest ? permuted(inFileOrder, order) : inFileOrder;
}

function checkSize(title: string, { bytes }: ZipEntry, { shape, byteLength }: NpyHeader, itemBytes?: number): void {
  if (itemBytes === undefined) return; // nothing will be loaded
  const needed = byteLength + itemBytes * size(shape);
  if (needed === bytes) return;
  const what = `an array ${formatShape(shape)} needs ${needed} bytes, the archive has ${bytes} for it`;
  throw broken(title, what);
}

/** Numbers of a member that is not packed are read past the archive, so its checksum is looked at now. */
async function checkStored(archive: ZipArchive, { title, entry, start }: Member): Promise<void> {
  if (!crc32) return; // Node before 20.15 lacks it
  const chunk = new Uint8Array(Math.min(entry.bytes, 2 ** 20));
  let checksum = 0;
  for (let done = 0; done < entry.bytes; ) {
    const read = await archive.read(chunk.subarray(0, Math.min(chunk.length, entry.bytes - done)), start + done);
    if (read === 0) throw broken(title, 'the archive ends within it');
    checksum = crc32(chunk.subarray(0, read), checksum);
    done += read;
  }
  if (checksum !== entry.crc32) throw broken(title, 'its checksum does not match');
}

/** The first bytes of a member, enough for its header. */
function beginning(member: Member): Uint8Array {
  const { path, entry, start } = member;
  if (entry.stored) return readBytes(path, start, Math.min(entry.bytes, MAX_NPY_HEADER_BYTES));
  // a header takes some hundred bytes packed; what these few bytes can at most become is small
  const packed = readBytes(path, start, Math.min(entry.packedBytes, MAX_NPY_HEADER_BYTES));
  return inflated(member, packed, { finishFlush: constants.Z_SYNC_FLUSH });
}

/** A part of a member's bytes, in a buffer of its own. */
function memberBytes(member: Member, begin: number, byteLength: number): Uint8Array<ArrayBuffer> {
  const { path, title, entry, start } = member;
  if (entry.stored) return readBytes(path, start + begin, byteLength);
  const whole = inflated(member, readBytes(path, start, entry.packedBytes), {
    maxOutputLength: Math.max(entry.bytes, 1),
  });
  try {
    checkZipEntry(entry, whole);
  } catch (error) {
    throw broken(title, messageOf(error), error);
  }
  return new Uint8Array(whole.subarray(begin, begin + byteLength));
}

function inflated({ title }: Member, packed: Uint8Array, options: object): Uint8Array {
  try {
    return inflateRawSync(packed, options);
  } catch (error) {
    throw broken(title, messageOf(error), error);
  }
}

const messageOf = (error: unknown) =>
  printable(error instanceof Error ? error.message.replace(/\.$/, '') : String(error));

const broken = (title: string, what: string, cause?: unknown): IdatError =>
  new IdatError('backbone.npz', `${title}: ${what}; get the file again`, { cause });
