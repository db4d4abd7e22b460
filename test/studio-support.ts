/** A studio of a folder, and one who asks it as a page or as a stranger would. */
import { request as httpRequest } from 'node:http';
import type { StudioEvent } from '../src/studio/page/api.js';
import { type ServedStudio, type ServeStudioOptions, serveStudio } from '../src/studio/server.js';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** By hand, as `fetch` lets nobody choose a host or an origin. */
export function askRaw(url: string, { method = 'GET', headers = {}, body }: AskOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(chunks).toString() }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

export interface TestStudio extends ServedStudio {
  /** Asks with the token. */
  ask(path: string, options?: AskOptions & { readonly json?: unknown }): Promise<Answer>;
  /** JSON of an answer that is no refusal. */
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it says more
  get<T = any>(path: string, options?: AskOptions & { readonly json?: unknown }): Promise<T>;
  /** The code of a refusal. */
  refusal(path: string, options?: AskOptions & { readonly json?: unknown }): Promise<string>;
}

export async function testStudio(folder: string, options: ServeStudioOptions = {}): Promise<TestStudio> {
  const served = await serveStudio(folder, { port: 0, intervalMs: 50, ...options });
  const ask: TestStudio['ask'] = (path, { json, headers, ...rest } = {}) =>
    askRaw(`${served.url}${path}`, {
      ...rest,
      ...(json !== undefined && { method: rest.method ?? 'POST', body: JSON.stringify(json) }),
      headers: { authorization: `Bearer ${served.token}`, ...headers },
    });
  return {
    ...served,
    ask,
    get: async (path, more) => {
      const { status, text } = await ask(path, more);
      if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
      return JSON.parse(text);
    },
    refusal: async (path, more) => {
      const { status, text } = await ask(path, more);
      if (status < 400) throw new Error(`${path} was not refused: ${text}`);
      return `${status} ${(JSON.parse(text) as { error: { code: string } }).error.code}`;
    },
  };
}

/** Reads a stream of events until one fits. @returns those that came, it among them */
export async function eventsUntil(
  studio: ServedStudio,
  fits: (event: StudioEvent) => boolean,
  { run, meanwhile }: { readonly run?: string; readonly meanwhile?: () => unknown } = {},
): Promise<StudioEvent[]> {
  const stop = new AbortController();
  const query = run === undefined ? '' : `?run=${encodeURIComponent(run)}`;
  const { body } = await fetch(`${studio.url}api/events${query}`, {
    headers: { authorization: `Bearer ${studio.token}` },
    signal: stop.signal,
  });
  const events: StudioEvent[] = [];
  let text = '';
  let begun = false;
  try {
    for await (const chunk of body! as unknown as AsyncIterable<Uint8Array>) {
      text += new TextDecoder().decode(chunk);
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
        text = text.slice(end + 2);
        if (data === undefined) continue;
        events.push(JSON.parse(data) as StudioEvent);
        if (fits(events.at(-1)!)) return events;
      }
      if (!begun) await meanwhile?.();
      begun = true;
    }
    throw new Error('the stream has ended');
  } finally {
    stop.abort();
  }
}
