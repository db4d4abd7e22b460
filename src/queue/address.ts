/** Where a queue is: a URL of Redis or Valkey, taken apart so that its password appears in no message. */
import { IdatError } from '../errors.js';

/** A server, and the queue's name on it. */
export interface QueueAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  /** Several queues may lie on one server; default: idat. */
  readonly name: string;
  /** For messages: without user and password. */
  readonly shown: string;
}

/** What may stand in the environment and not in a URL, which a list of processes shows to everybody. */
export const QUEUE_USER = 'IDAT_QUEUE_USER';
export const QUEUE_PASSWORD = 'IDAT_QUEUE_PASSWORD';

const NAME = /^[a-z0-9][a-z0-9_-]{0,39}$/i;

/**
 * Reads `redis://[USER:PASSWORD@]HOST[:PORT][/DB][?queue=NAME]`, or `rediss://…` for TLS.
 * @param environment has the user and the password where the URL does not
 * @throws IdatError `config.queue`, without repeating the URL
 */
export function parseQueueUrl(
  text: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): QueueAddress {
  const wrong = (what: string) =>
    new IdatError(
      'config.queue',
      `the queue's address ${what}; expected redis://HOST:PORT, or rediss://HOST:PORT for TLS`,
    );
  if (!URL.canParse(text)) throw wrong('is no URL');
  const url = new URL(text);
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:') throw wrong('begins otherwise');
  if (url.hostname === '') throw wrong('names no host');
  const path = url.pathname.replace(/^\//, '');
  if (!/^\d{0,3}$/.test(path) || url.hash !== '') throw wrong('has more behind its host than the number of a database');
  const { queue = 'idat', ...others } = Object.fromEntries(url.searchParams);
  if (Object.keys(others).length > 0) throw wrong('has more parameters than queue=NAME');
  if (!NAME.test(queue)) throw wrong('has a queue whose name is not of letters, digits, - and _');
  const decoded = (part: string) => (part === '' ? undefined : decodeURIComponent(part));
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? 6379 : Number(url.port);
  const db = path === '' ? 0 : Number(path);
  const shownQueue = queue === 'idat' ? '' : `?queue=${queue}`;
  return {
    host,
    port,
    tls: url.protocol === 'rediss:',
    username: decoded(url.username) ?? (environment[QUEUE_USER] || undefined),
    password: decoded(url.password) ?? (environment[QUEUE_PASSWORD] || undefined),
    db,
    name: queue,
    shown: `${url.protocol}//${url.hostname}:${port}${db === 0 ? '' : `/${db}`}${shownQueue}`,
  };
}
