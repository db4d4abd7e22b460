/**
 * Safetensors files on disk: the header is read when the file is opened, a tensor when it is asked for, so that a
 * checkpoint of gigabytes costs only the memory of the tensors in use.
 */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { IdatError } from '../../errors.js';
import { parseSafetensorsHeader, type SafetensorsFile, safetensorsHeaderEnd } from '../safetensors.js';
import { type SafetensorsReader, safetensorsReader } from '../safetensors-reader.js';

export interface OpenSafetensors extends SafetensorsReader {
  path: string;
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
    const reader = safetensorsReader(file, ({ offset, byteLength }) => readRange(handle, path, offset, byteLength));
    return { ...reader, path, close: () => handle.close() };
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
