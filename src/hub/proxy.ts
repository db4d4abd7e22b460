/** Requests by way of HTTPS_PROXY and HTTP_PROXY, which Node 20 does not do by itself. */
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { IdatError } from '../errors.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for an address, or null: lower-case variables win, NO_PROXY lists hosts, their parents, or `*`.
 * @throws IdatError `hub.environment` for a proxy that is not an http:// address
 */
export function proxyFor(url: URL, env: Environment = process.env): URL | null {
  const name = `${url.protocol.slice(0, -1)}_proxy`;
  const text = env[name] || env[name.toUpperCase()];
  if (!text || isExempt(url, env.no_proxy || env.NO_PROXY || '')) return null;
  const address = /^\w+:\/\//.test(text) ? text : `http://${text}`;
  if (URL.canParse(address) && address.startsWith('http://')) return new URL(address);
  throw new IdatError('hub.environment', `${name.toUpperCase()}: expected a proxy such as http://proxy.example:3128`);
}

function isExempt({ hostname, port, protocol }: URL, list: string): boolean {
  const ownPort = port || (protocol === 'https:' ? '443' : '80');
  return list.split(/[\s,]+/).some((entry) => {
    const [, host = '', wantedPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry) ?? [];
    if (entry === '*') return true;
    if (host === '' || (wantedPort !== undefined && wantedPort !== ownPort)) return false;
    return hostname === host || hostname.endsWith(`.${host}`);
  });
}

/** A request that has not been sent yet, by way of the proxy where there is one. */
export async function openRequest(
  url: URL,
  options: { method: string; headers: Record<string, string>; signal: AbortSignal },
): Promise<http.ClientRequest> {
  const proxy = proxyFor(url);
  const own = { ...options, agent: false as const };
  if (!proxy) return (url.protocol === 'https:' ? https : http).request(url, own);
  const authorisation = credentials(proxy);
  if (url.protocol === 'http:') {
    const headers = { ...options.headers, ...authorisation, host: url.host };
    return http.request({ ...own, headers, ...address(proxy), path: url.href });
  }
  const socket = await tunnel(proxy, url, authorisation, options.signal);
  const { agent: _, ...direct } = own;
  return https.request(url, { ...direct, createConnection: () => tls.connect({ socket, servername: url.hostname }) });
}

const address = ({ hostname, port }: URL) => ({ host: hostname.replace(/^\[|\]$/g, ''), port: port || 80 });

function credentials({ username, password }: URL): Record<string, string> {
  if (username === '') return {};
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(text).toString('base64')}` };
}

/** @see RFC 9110, section 9.3.6 */
function tunnel(proxy: URL, { hostname, port }: URL, headers: Record<string, string>, signal: AbortSignal) {
  const target = `${hostname}:${port || 443}`;
  return new Promise<Socket>((resolve, reject) => {
    const request = http.request({
      ...address(proxy),
      method: 'CONNECT',
      path: target,
      headers: { ...headers, host: target },
      agent: false,
      signal,
    });
    request.once('error', reject);
    request.once('connect', ({ statusCode }, socket) => {
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      const what = `the proxy ${proxy.host} refuses to connect to ${target} (status ${statusCode})`;
      reject(new IdatError('hub.proxy', `${what}; check HTTPS_PROXY and NO_PROXY`));
    });
    request.end();
  });
}
