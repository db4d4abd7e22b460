/** One request and the redirects it leads to, watched for silence. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { IdatError } from '../errors.js';
import type { Hub } from './environment.js';
import { openRequest } from './proxy.js';

/** What may be over when it is tried again. */
export class TransientError extends Error {
  /** Nobody answered at all. */
  readonly unreachable: boolean;
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | null;

  constructor(message: string, { unreachable = false, retryAfterMs = null as number | null, cause = null as unknown }) {
    super(message, { cause });
    this.unreachable = unreachable;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface Patience {
  /** The caller's wish to stop. */
  readonly signal: AbortSignal;
  /** Silence for this long ends a request. */
  readonly stallMs: number;
}

export interface Answer {
  /** Who answered in the end. */
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The headers of all answers on the way, the last included. */
  readonly hops: readonly IncomingHttpHeaders[];
  /** Ends by itself or throws a TransientError when it is broken off. Leaving the loop closes the connection. */
  chunks(): AsyncIterable<Uint8Array>;
  close(): void;
}

const MAX_REDIRECTS = 8;

/**
 * Sends a request, follows redirects, and gives the answer as soon as its headers are there. The token goes to the hub's
 * own address only, and nothing that began encrypted goes on unencrypted.
 *
 * @param enough whether an answer that redirects tells all that is wanted
 * @throws IdatError `hub.redirect`, `hub.certificate`, `hub.proxy`; TransientError; the signal's reason
 */
export async function request(
  { endpoint, token }: Hub,
  start: URL,
  { method, headers = {} }: { method: 'GET' | 'HEAD'; headers?: Record<string, string> },
  patience: Patience,
  enough: (headers: IncomingHttpHeaders) => boolean = () => false,
): Promise<Answer> {
  const hops: IncomingHttpHeaders[] = [];
  for (let url = start; hops.length <= MAX_REDIRECTS; ) {
    const authorisation: Record<string, string> =
      token !== null && url.origin === endpoint.origin ? { authorization: `Bearer ${token}` } : {};
    const common = { 'user-agent': 'idat', 'accept-encoding': 'identity' };
    const { response, ...body } = await send(url, method, { ...common, ...headers, ...authorisation }, patience);
    const status = response.statusCode ?? 0;
    hops.push(response.headers);
    const redirects = [301, 302, 303, 307, 308].includes(status);
    if (!redirects || enough(response.headers)) return { url, status, headers: response.headers, hops, ...body };
    body.close();
    url = redirectTarget(url, response.headers.location);
  }
  throw new IdatError('hub.redirect', `${start.host} redirects in circles (${start.href}); check HF_ENDPOINT`);
}

/** @throws IdatError `hub.redirect` for what is not followed */
export function redirectTarget(from: URL, location: string | undefined): URL {
  const target = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from.href) : null;
  const secure = target?.protocol === 'https:' || (target?.protocol === 'http:' && from.protocol === 'http:');
  if (target && secure && target.username === '') return target;
  const where = target ? `${target.protocol}//${target.host}` : 'nowhere';
  throw new IdatError(
    'hub.redirect',
    `${from.host} redirects to ${where}, which idat does not follow; check HF_ENDPOINT`,
  );
}

/** One request without redirects. */
async function send(url: URL, method: string, headers: Record<string, string>, { signal, stallMs }: Patience) {
  signal.throwIfAborted();
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), stallMs);
  const explain = (error: unknown) => {
    signal.throwIfAborted();
    if (!silence.signal.aborted) return explainFailure(url, error);
    return new TransientError(`${url.host} was silent for ${stallMs / 1000} s`, { cause: error });
  };
  let response: IncomingMessage;
  try {
    const options = { method, headers, signal: AbortSignal.any([signal, silence.signal]) };
    const opened = await openRequest(url, options);
    response = await new Promise<IncomingMessage>((resolve, reject) => {
      opened.once('response', resolve);
      opened.on('error', reject);
      opened.end();
    });
  } catch (error) {
    clearTimeout(timer);
    throw explain(error);
  }
  timer.refresh();
  response.on('error', () => {}); // one that nobody reads on may break off unseen
  response.once('close', () => clearTimeout(timer));
  async function* chunks() {
    try {
      for await (const chunk of response) {
        timer.refresh();
        yield chunk as Uint8Array;
      }
    } catch (error) {
      throw explain(error);
    }
  }
  return { response, chunks, close: () => void response.destroy() };
}

/** Failures of a connection that another attempt within seconds does not mend. */
const UNREACHABLE = ['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'EACCES'];

function explainFailure({ host }: URL, error: unknown): Error {
  if (error instanceof IdatError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (/CERT|ERR_TLS|UNABLE_TO/.test(code)) {
    const advice = 'where a proxy reads along, give its certificate in NODE_EXTRA_CA_CERTS';
    return new IdatError('hub.certificate', `${host} has no valid certificate (${code}); ${advice}`, { cause: error });
  }
  const unreachable = UNREACHABLE.includes(code);
  const what = unreachable
    ? `cannot reach ${host} (${code})`
    : `the connection to ${host} broke off (${code || message})`;
  return new TransientError(what, { unreachable, cause: error });
}
