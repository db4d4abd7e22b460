/**
 * Safetensors files on disk: the header is read when the file is opened, a tensor when it is asked for, so that a
 * checkpoint of gigabytes costs only the memory of the tensors in use.
 */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { IdatError, nearest } from '../errors.js';
import {
  type Dtype,
  decodeTensor,
  isFloatDtype,
  parseSafetensorsHeader,
  type SafetensorsFile,
  safetensorsHeaderEnd,
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

export interface OpenSafetensors {
  path: string;
  file: SafetensorsFile;
  /** @throws IdatError when there is no such tensor (offering the nearest names), or the file has shrunk meanwhile */
  read(name: string): Promise<TensorData>;
  /**
   * The same for F32, F16 and BF16 (exact) and F64 (rounded to nearest).
   * @throws IdatError as `read`, and when the tensor holds integers
   */
  readFloat32(name: string): Promise<Float32Array>;
  /** Must be called when the last tensor is read. Calling it again does nothing. */
  close(): Promise<void>;
}

/**
 * Opens a file and checks its header.
 *
 * @throws IdatError when the path leads to no regular, readable, well-formed safetensors file
 */
export async function openSafetensors(path: string): Promise<OpenSafetensors> {
  const handle = await openToRead(path);
  try {
    const file = await readHeader(handle, path);
    const readBytes = async (name: string) => {
      const entry = findTensor(file, name);
      return { entry, bytes: await readRange(handle, path, entry.offset, entry.byteLength) };
    };
    return {
      path,
      file,
      read: async (name) => {
        const { entry, bytes } = await readBytes(name);
        return { name, dtype: entry.dtype, shape: entry.shape, data: decodeTensor(bytes, entry.dtype) };
      },
      readFloat32: async (name) => {
        const { dtype } = findTensor(file, name);
        if (!isFloatDtype(dtype)) {
          throw new IdatError(
            'files.safetensors.dtype',
            `${path}: tensor ${name} holds ${dtype} where floating-point numbers (F64, F32, F16 or BF16) are needed: choose another file`,
          );
        }
        return toFloat32((await readBytes(name)).bytes, dtype);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openToRead(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK opening a named pipe would wait for a writer for ever. Windows has neither.
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    const reason =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? 'no such file: check the path'
        : code === 'EACCES' || code === 'EPERM'
          ? 'no permission to read it: change its access rights or choose another file'
          : `it cannot be opened (${(error as Error).message}): check the path`;
    throw new IdatError('files.open', `${path}: ${reason}`, { cause: error });
  }
}

async function readHeader(handle: FileHandle, path: string): Promise<SafetensorsFile> {
  const status = await handle.stat();
  if (!status.isFile()) {
    const found = status.isDirectory() ? 'this is a folder' : 'this is no regular file';
    throw new IdatError(
      'files.open',
      `${path}: ${found}, expected a .safetensors file: give the path of the file itself`,
    );
  }
  const first = await readRange(handle, path, 0, Math.min(16, status.size));
  const headerEnd = safetensorsHeaderEnd(first, status.size, path);
  return parseSafetensorsHeader(await readRange(handle, path, 0, headerEnd), status.size, path);
}

/** Loops because one read returns at most 2 GB, and less at the whim of the file system. */
async function readRange(handle: FileHandle, path: string, offset: number, byteLength: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(byteLength);
  for (let done = 0; done < byteLength; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(byteLength - done, 2 ** 30), offset + done);
    if (bytesRead === 0) {
      throw new IdatError(
        'files.safetensors.truncated',
        `${path}: the file became shorter while idat was reading it (no byte at ${(offset + done).toLocaleString('en-US')}): let nothing else write it and try again`,
      );
    }
    done += bytesRead;
  }
  return bytes;
}

function findTensor(file: SafetensorsFile, name: string): TensorEntry {
  const entry = file.tensors.get(name);
  if (entry) return entry;
  // Comparing names costs their lengths' product: a stranger's header must not make a message take minutes.
  const candidates = [...file.tensors.keys()].slice(0, 5000).filter((candidate) => candidate.length <= 200);
  const offer =
    candidates.length > 0 ? `the nearest are ${nearest(name, candidates).join(', ')}` : 'the file has no tensors';
  throw new IdatError('files.safetensors.missing', `${file.name}: there is no tensor ${name}: ${offer}`);
}
