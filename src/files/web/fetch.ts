/** Files of a page: bytes that are given, or fetched from where the page says. */
import { IdatError } from '../../errors.js';

/** A file: its bytes, or the address it is fetched from. Nothing else is fetched. */
export type WebFile = Blob | ArrayBuffer | Uint8Array | string;

/** What a tab's memory can hold of one file. */
const MAX_FILE_BYTES = 2 ** 31;

/** The bytes of a file. @param name what messages call it @throws IdatError `fetch.failed`, `fetch.page`, `fetch.too-large`, `run.interrupted` */
export async function bytesOf(file: WebFile, name: string, control: WebFetchControl): Promise<Uint8Array> {
  if (file instanceof Uint8Array) return file;
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  if (typeof file === 'string') return fetched(file, name, control);
  if (file.size > MAX_FILE_BYTES) throw tooLarge(name, file.size);
  const bytes = await file.arrayBuffer().catch((error: Error) => {
    const what = 'cannot be read; it may have been changed or moved since it was chosen, or be too large for this tab';
    throw new IdatError('files.open', `${name}: ${what}`, { cause: error });
  });
  return new Uint8Array(bytes);
}

/** How a caller follows and stops it. */
export interface WebFetchControl {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (event: {
    kind: 'fetch';
    name: string;
    done: number;
    total: number | null;
    bytesPerSecond: number;
  }) => void;
}

/** The bytes of an address. @param name what messages call it @throws IdatError as `bytesOf` */
export async function fetched(url: string, name: string, { onProgress, signal }: WebFetchControl): Promise<Uint8Array> {
  const began = performance.now();
  const failed = (what: string, cause?: unknown) =>
    new IdatError('fetch.failed', `${name}: ${what} (${url}); check the address, or give the file itself`, { cause });
  try {
    const response = await fetch(url, signal ? { signal } : {});
    if (!response.ok || !response.body) throw failed(`the server answered ${response.status}`);
    if (/^text\/html\b/i.test(response.headers.get('content-type') ?? '')) {
      const what = 'the server answered with a page (HTML) where a file was expected';
      throw new IdatError('fetch.page', `${name}: ${what} (${url}); check the address`);
    }
    const total = lengthOf(response);
    if (total !== null && total > MAX_FILE_BYTES) throw tooLarge(name, total);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let done = 0;
    const reader = response.body.getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      parts.push(piece.value);
      done += piece.value.length;
      if (done > MAX_FILE_BYTES) throw tooLarge(name, done);
      const bytesPerSecond = (1000 * done) / Math.max(1, performance.now() - began);
      onProgress?.({ kind: 'fetch', name, done, total, bytesPerSecond });
    }
    if (total !== null && done !== total) throw failed(`${done} of ${total} bytes came`);
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch (error) {
    if (error instanceof IdatError) throw error;
    if (signal?.aborted) {
      throw new IdatError('run.interrupted', `stopped while ${name} was fetched; no training was lost`, {
        cause: error,
      });
    }
    throw failed(`it could not be fetched (${(error as Error).message})`, error);
  }
}

/** Null where it is not known: of another origin's answer a page is not told whether it was compressed on its way. */
function lengthOf({ headers, type }: Response): number | null {
  const promised = Number(headers.get('content-length') ?? Number.NaN);
  return Number.isFinite(promised) && !headers.has('content-encoding') && type !== 'cors' ? promised : null;
}

const tooLarge = (name: string, bytes: number) =>
  new IdatError('fetch.too-large', `${name}: ${(bytes / 1e9).toFixed(1)} GB are more than a browser tab can hold`);
