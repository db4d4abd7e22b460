/**
 * What a server on one's own machine owes its user: only pages of its own may talk to it, under names that it knows.
 *
 * A browser lets any page of the web send requests to 127.0.0.1, and a name of the web may be made to point there (DNS
 * rebinding). The first shows in `Origin` and `Sec-Fetch-Site`, the second in `Host`.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';

export const LOOPBACK = '127.0.0.1';

/** Addresses that no other machine reaches. */
export const isLoopback = (host: string): boolean => /^(127(\.\d{1,3}){3}|::1|localhost)$/i.test(host);

/** In an address: IPv6 stands in brackets. */
export const hostInUrl = (host: string): string => (isIPv6(host) ? `[${host}]` : host);

/**
 * Names by which a server may be asked for, with its port.
 * @param host what it is bound to
 * @param others names that a proxy or a name server has for it; without a port a proxy's may be the usual one, of which
 *   browsers say nothing
 */
export function knownHosts(host: string, port: number, others: readonly string[] = []): ReadonlySet<string> {
  const own = ['localhost', '127.0.0.1', '::1'];
  const reached = isLoopback(host) ? [host] : [host, hostname(), ...addressesHere()];
  const withPort = (name: string) => `${hostInUrl(name)}:${port}`;
  const named = [...own, ...reached].flatMap((name) => [withPort(name), ...(port === 80 ? [hostInUrl(name)] : [])]);
  const proxied = others.flatMap((name) =>
    hasPort(name) ? [name, name.replace(/:(80|443)$/, '')] : [withPort(name), hostInUrl(name)],
  );
  return new Set([...named, ...proxied].map((name) => name.toLowerCase()));
}

const hasPort = (name: string): boolean => !isIPv6(name) && /:\d+$/.test(name);

const addressesHere = (): string[] =>
  Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));

/** 192 bits that nobody guesses. */
export const newToken = (): string => randomBytes(24).toString('base64url');

export interface GuardOptions {
  readonly hosts: () => ReadonlySet<string>;
  /** What must be known to be let in; null lets everybody in who reaches the server. */
  readonly token: string | null;
  /** Name of the cookie that keeps the token, if there is one; one for each server, as ports of one machine share their cookies. */
  readonly cookie: () => string;
  /** `Content-Security-Policy` of all answers that say nothing else. */
  readonly policy: string;
}

/**
 * Refuses foreign hosts and origins, asks for the token, and says in each answer what a page of it may do.
 *
 * Whoever opens `/?token=…` gets the token as a cookie that scripts cannot read and other sites do not send, and is sent on to
 * the same address without it; programs send `Authorization: Bearer …`.
 */
export function guard({ hosts, token, cookie, policy }: GuardOptions): MiddlewareHandler {
  return async (c, next) => {
    const refusal = refusalOf(c, hosts());
    if (refusal !== null) return denied(c, 403, refusal);
    if (token !== null) {
      const { pathname, searchParams } = new URL(c.req.url);
      const given = searchParams.get('token');
      if (pathname === '/' && c.req.method === 'GET' && given !== null && same(given, token)) {
        setCookie(c, cookie(), token, { httpOnly: true, sameSite: 'Strict', path: '/' });
        withHeaders(c, policy);
        return c.redirect('/', 303);
      }
      const bearer = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1];
      if (!same(bearer ?? getCookie(c, cookie()) ?? '', token)) {
        return denied(
          c,
          401,
          'This page needs the token that stands in the address the server printed when it was started.',
        );
      }
    }
    await next();
    withHeaders(c, policy);
  };
}

function refusalOf(c: Context, hosts: ReadonlySet<string>): string | null {
  const host = (c.req.header('host') ?? '').toLowerCase();
  if (!hosts.has(host)) return 'This server does not go by that name.';
  const origin = c.req.header('origin');
  if (origin !== undefined && !hosts.has(origin.toLowerCase().replace(/^https?:\/\//, ''))) {
    return 'Pages of other origins may not talk to this server.';
  }
  // a link or a typed address may come from anywhere; it shows the page and nothing else
  const site = c.req.header('sec-fetch-site');
  const foreign = site !== undefined && site !== 'same-origin' && site !== 'none';
  const opened = c.req.method === 'GET' && c.req.header('sec-fetch-mode') === 'navigate' && c.req.path === '/';
  return foreign && !opened ? 'Pages of other sites may not talk to this server.' : null;
}

/** Takes equally long whatever differs. */
function same(given: string, token: string): boolean {
  const [a, b] = [given, token].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(a!, b!);
}

function denied(c: Context, status: 401 | 403, message: string): Response {
  c.header('X-Content-Type-Options', 'nosniff');
  c.header('Cache-Control', 'no-store');
  return c.text(`${message}\n`, status);
}

function withHeaders(c: Context, policy: string): void {
  const preset = (name: string, value: string) => {
    if (!c.res.headers.has(name)) c.header(name, value);
  };
  preset('Content-Security-Policy', policy);
  preset('Cache-Control', 'no-store');
  c.header('X-Content-Type-Options', 'nosniff');
  c.header('X-Frame-Options', 'DENY');
  c.header('Referrer-Policy', 'no-referrer');
  c.header('Cross-Origin-Resource-Policy', 'same-origin');
  c.header('Cross-Origin-Opener-Policy', 'same-origin');
}
