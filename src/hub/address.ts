/** A file from an address that somebody gives, into memory: bounded, and never a page in place of the file. */
import { IdatError } from '../errors.js';
import { hubOf, isOffline } from './environment.js';
import type { FetchControl } from './fetch.js';
import { request, TransientError } from './request.js';

/** What one ONNX file holds. */
const MAX_BYTES = 2 ** 31;

/**
 * The hub's token goes to the hub's own address only. Nothing is kept on the disk: an address says of no file whether it is
 * still the same.
 *
 * @param address of http or https
 * @param most bytes that are read
 * @throws IdatError `fetch.failed`, `fetch.page` where a page (HTML) came, `fetch.too-large`, `hub.offline` where the
 *   environment forbids to use the network, `hub.interrupted` when the signal stopped it, and those of `request`
 */
export async function fetchAddress(
  address: string,
  { signal, stallMs = 30_000, onProgress }: FetchControl = {},
  most = MAX_BYTES,
): Promise<Uint8Array> {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (!url || !/^https?:$/.test(url.protocol)) throw failed(address, 'is no address of http or https');
  const shown = `${url.origin}${url.pathname}`; // what follows may be a secret
  if (isOffline()) {
    const what = `${shown}: the environment forbids to use the network (HF_HUB_OFFLINE)`;
    throw new IdatError('hub.offline', `${what}; allow it, or give the file itself`);
  }
  const patience = { signal: signal ?? new AbortController().signal, stallMs };
  const began = performance.now();
  try {
    const answer = await request(await hubOf(), url, { method: 'GET' }, patience);
    try {
      if (answer.status !== 200) throw failed(shown, `the server answered ${answer.status}`);
      if (/^text\/html\b/i.test(answer.headers['content-type'] ?? '')) {
        const what = `${shown}: the server answered with a page (HTML) where a file was expected`;
        throw new IdatError('fetch.page', `${what}; check the address`);
      }
      const length = answer.headers['content-length'] ?? '';
      const total = /^\d{1,15}$/.test(length) ? Number(length) : null;
      if (total !== null && total > most) throw tooLarge(shown, most);
      const chunks: Uint8Array[] = [];
      let done = 0;
      for await (const chunk of answer.chunks()) {
        chunks.push(chunk);
        done += chunk.length;
        if (done > most) throw tooLarge(shown, most);
        onProgress?.(done, total, (1000 * done) / Math.max(1, performance.now() - began));
      }
      if (total !== null && done !== total) throw failed(shown, `${done} of ${total} bytes came`);
      return new Uint8Array(Buffer.concat(chunks));
    } finally {
      answer.close();
    }
  } catch (error) {
    if (error instanceof IdatError) throw error;
    if (signal?.aborted) throw new IdatError('hub.interrupted', `stopped while ${shown} was fetched`, { cause: error });
    if (error instanceof TransientError) throw failed(shown, error.message, error);
    throw error;
  }
}

const failed = (address: string, what: string, cause?: unknown): IdatError =>
  new IdatError('fetch.failed', `${address}: ${what}; check the address, or give the file itself`, { cause });

const tooLarge = (address: string, most: number): IdatError =>
  new IdatError(
    'fetch.too-large',
    `${address}: has more than the ${(most / 1e9).toFixed(1)} GB that idat takes; check the address`,
  );
