/** Asks the studio's server. */
import type { Refused, ShownIssue } from './api.js';

/** What the server refused, in its words. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly issues: readonly ShownIssue[] = [],
  ) {
    super(message);
  }
}

interface Asked {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Sent as JSON, or as it is where it is a Blob. */
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** @param path such as `api/run` @throws Refusal, in words that can be shown */
export async function ask<Answer>(
  path: string,
  { method = 'GET', body, query = {}, signal }: Asked = {},
): Promise<Answer> {
  const search = new URLSearchParams(query).toString();
  const raw = body instanceof Blob;
  const response = await fetch(`${path}${search === '' ? '' : `?${search}`}`, {
    method,
    ...(body !== undefined && { body: raw ? body : JSON.stringify(body) }),
    ...(body !== undefined && !raw && { headers: { 'content-type': 'application/json' } }),
    ...(signal && { signal }),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new Refusal('The studio does not answer: it has ended, or is busy.');
  });
  const text = await response.text();
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Refusal(text.trim().slice(0, 300) || `The studio answered ${response.status}.`);
  }
  if (response.ok) return answer as Answer;
  const { error } = answer as Refused;
  throw new Refusal(error.message, error.issues);
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
