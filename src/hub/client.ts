/**
 * What idat asks the Hugging Face hub: what a file is, and its bytes from a position on.
 *
 * Written on Node's own http rather than on @huggingface/hub (2.17 was read), whose download neither goes on where it
 * broke off, nor checks hash or length, nor notes where main is, and lets two processes write into one file; nor on
 * `fetch`, which knows no proxy in Node 20.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { IdatError } from '../errors.js';
import { isCommit } from './cache.js';
import type { Hub } from './environment.js';
import { type Answer, type Patience, request, TransientError } from './request.js';

/** A file as the hub describes it. */
export interface RemoteFile {
  readonly repo: string;
  readonly file: string;
  /** The commit that was asked for, or that main is at. */
  readonly commit: string;
  /** In hexadecimal digits, and the blob's name in the cache: sha256 of the bytes, or git's sha1 of them as a blob. */
  readonly hash: string;
  /** Bytes; null when the hub does not say. */
  readonly size: number | null;
}

/**
 * @param revision a commit, or main
 * @throws IdatError `hub.missing`, `hub.access`, `hub.answer` and those of `request`; TransientError
 */
export async function describeFile(
  hub: Hub,
  { repo, file, revision }: { repo: string; file: string; revision: string },
  patience: Patience,
): Promise<RemoteFile> {
  const complete = (headers: IncomingHttpHeaders) => 'x-repo-commit' in headers && 'x-linked-etag' in headers;
  const answer = await request(hub, fileAddress(hub, repo, revision, file), { method: 'HEAD' }, patience, complete);
  answer.close();
  const { status, headers, hops, url } = answer;
  if (!complete(headers)) checkStatus(hub, answer, repo, file);
  const first = (name: string) => hops.map((hop) => hop[name]).find((value) => value !== undefined);
  const commit = String(first('x-repo-commit'));
  const hash = unquoted(String(first('x-linked-etag') ?? headers.etag));
  if (!isCommit(commit) || !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash)) {
    const what = `${url.host} does not say which commit and hash ${repo}/${file} has`;
    throw new IdatError('hub.answer', `${what}; it is no Hugging Face hub, check HF_ENDPOINT`);
  }
  const length = String(first('x-linked-size') ?? (status === 200 ? headers['content-length'] : ''));
  return { repo, file, commit, hash, size: /^\d{1,15}$/.test(length) ? Number(length) : null };
}

/** A list beyond this is none that is wanted. */
const MAX_LIST_BYTES = 32 * 2 ** 20;

/**
 * The files of a repository as it is on main.
 * @param repo with what the hub's interface calls its kind, such as `datasets/ORG/NAME`
 * @throws as `describeFile`
 */
export async function listFiles(
  hub: Hub,
  repo: string,
  patience: Patience,
): Promise<{ commit: string; files: string[] }> {
  const answer = await request(hub, new URL(`api/${repo}/revision/main`, hub.endpoint), { method: 'GET' }, patience);
  try {
    checkStatus(hub, answer, repo, '');
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of answer.chunks()) {
      bytes += chunk.length;
      if (bytes > MAX_LIST_BYTES) throw new Error('the list has no end');
      chunks.push(chunk);
    }
    const { sha, siblings } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
    const files = (siblings as { rfilename: unknown }[]).map(({ rfilename }) => rfilename);
    if (!isCommit(String(sha)) || !files.every((file) => typeof file === 'string')) throw new Error('no list');
    return { commit: String(sha), files: files as string[] };
  } catch (error) {
    if (error instanceof IdatError || error instanceof TransientError || patience.signal.aborted) throw error;
    throw new IdatError('hub.answer', `${answer.url.host} does not list the files of ${repo}; check HF_ENDPOINT`, {
      cause: error,
    });
  } finally {
    answer.close();
  }
}

export interface Body extends Pick<Answer, 'chunks'> {
  /** Where in the file it begins: at what was asked for, or at 0 from a server that gives no parts. */
  readonly start: number;
}

/**
 * Asks for a file's bytes from a position on. The address names the commit, so that no `If-Range` is needed for all parts
 * to be of one file; the hash tells in the end.
 *
 * @throws as `describeFile`
 */
export async function openBody(
  hub: Hub,
  { repo, file, commit, hash }: RemoteFile,
  start: number,
  patience: Patience,
): Promise<Body> {
  const headers: Record<string, string> = start > 0 ? { range: `bytes=${start}-` } : {};
  const answer = await request(hub, fileAddress(hub, repo, commit, file), { method: 'GET', headers }, patience);
  const { status, chunks } = answer;
  try {
    if (status === 416) {
      // it has less than lies here already: no byte of this answer counts, and the next attempt begins anew
      answer.close();
      return { start: 0, chunks: async function* () {} };
    }
    checkStatus(hub, answer, repo, file);
    if (answer.hops.some(({ 'x-linked-etag': etag }) => etag !== undefined && unquoted(String(etag)) !== hash)) {
      throw new IdatError('hub.answer', `${repo}/${file} changed while it was fetched; run the command again`);
    }
    if (status !== 206) return { start: 0, chunks };
    const from = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1];
    if (Number(from) === start) return { start, chunks };
    throw new TransientError(`${answer.url.host} gave another part of the file than was asked for`, {});
  } catch (error) {
    answer.close();
    throw error;
  }
}

const fileAddress = ({ endpoint }: Hub, repo: string, revision: string, file: string): URL =>
  new URL(`${repo}/resolve/${revision}/${file}`, endpoint);

/** @see RFC 9110, section 8.8.3: an entity tag stands in quotation marks, perhaps behind W/ */
const unquoted = (etag: string): string => etag.replace(/^W\//, '').replaceAll('"', '');

function checkStatus({ endpoint, token }: Hub, { status, headers, url }: Answer, repo: string, file: string): void {
  if (status === 200 || status === 206) return;
  const ownAddress = url.origin === endpoint.origin;
  // what the hub redirects to is signed for a while: the next attempt gets a new signature
  if ((status === 403 && !ownAddress) || status === 408 || status === 429 || status >= 500) {
    const what = status === 429 ? 'asks to come back later' : 'has a problem';
    const retryAfterMs = retryAfter(headers['retry-after']);
    throw new TransientError(`${url.host} ${what} (status ${status})`, { retryAfterMs });
  }
  const page = new URL(repo, endpoint).href;
  const code = headers['x-error-code'];
  if (status === 401 || status === 403) {
    const signIn =
      token === null ? 'give your token in HF_TOKEN (or run: hf auth login)' : 'check that your token may read it';
    const what =
      code === 'GatedRepo'
        ? `${page} wants its terms accepted first: do so there, and `
        : `${page} does not exist or is private: `;
    throw new IdatError('hub.access', `${what}${signIn} (status ${status})`);
  }
  if (status === 404) {
    const what =
      code === 'EntryNotFound'
        ? `${page} has no file ${file}`
        : file === ''
          ? `${page} does not exist`
          : `${page} or its file ${file} does not exist`;
    throw new IdatError('hub.missing', `${what}; check the name, and that the repository has weights in this format`);
  }
  throw new IdatError('hub.answer', `${url.host} answers with status ${status} to a request for ${repo}/${file}`);
}

/** Seconds or a date, as milliseconds from now. @see RFC 9110, section 10.2.3 */
function retryAfter(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = /^\d+$/.test(text) ? 1000 * Number(text) : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}
