/** A headless browser with a page on which idat/browser is loaded, from a server of files on this machine alone. */
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { BROWSER } from './browser.js';

export const CHROMIUM: string = BROWSER ?? '';
export const hasChromium = BROWSER !== null;

const root = fileURLToPath(new URL('..', import.meta.url));
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.zip': 'application/zip',
};
const PAGE =
  '<!doctype html><title>idat</title><script type="module">import * as idat from "/dist/browser/idat.js"; window.idat = idat;</script>';

export interface FileServer {
  readonly url: string;
  /** Paths that are answered with 404. */
  readonly absent: Set<string>;
  close(): void;
}

/** Serves a folder on 127.0.0.1. What is not there is answered with the page, as many servers do. @param more files by their path */
export async function serve(
  folder = root,
  page = PAGE,
  more: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<FileServer> {
  const absent = new Set<string>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://localhost').pathname);
    if (absent.has(path)) {
      response.writeHead(404);
      response.end('nothing here');
      return;
    }
    const extra = more.get(path);
    if (extra) {
      response.writeHead(200, {
        'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
        'content-length': extra.length,
      });
      response.end(extra);
      return;
    }
    const file = normalize(join(folder, path));
    const found = file.startsWith(normalize(folder + sep)) && statSync(file, { throwIfNoEntry: false })?.isFile();
    if (!found) {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(page);
      return;
    }
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-length': statSync(file).size,
    });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, absent, close: () => server.close() };
}

/** What tests do with a tab of whichever browser. */
export interface TabPage {
  /** Runs a function in the page; what goes in and comes out is JSON. */
  evaluate<Result, Argument>(run: (argument: Argument) => Result, argument: Argument): Promise<Awaited<Result>>;
  evaluate<Result>(run: () => Result): Promise<Awaited<Result>>;
  close(): Promise<void>;
}

export interface Browser {
  /** A new page with `window.idat`. */
  open(): Promise<TabPage>;
  /** What pages and Workers asked other hosts for. */
  readonly foreign: string[];
  /** Ends the browser and starts it again with what it has stored. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface ChromiumBrowser extends Browser {
  open(): Promise<Page>;
}

/** @param more of Chromium's own flags */
export async function startBrowser(url: string, more: readonly string[] = []): Promise<ChromiumBrowser> {
  const profile = mkdtempSync(join(tmpdir(), 'idat-chromium-'));
  const foreign: string[] = [];
  const launch = async () => {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      // nothing but this machine can be reached: what trains needs nobody else
      args: [
        '--no-sandbox',
        '--disable-dev-shm-usage',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
        ...more,
      ],
    });
    context.on('request', (request) => {
      if (/^https?:/.test(request.url()) && !request.url().startsWith(url)) foreign.push(request.url());
    });
    return context;
  };
  let context: BrowserContext = await launch();
  return {
    foreign,
    open: async () => {
      const page = await context.newPage();
      await page.goto(`${url}/page`);
      await page.waitForFunction(() => 'idat' in window);
      return page;
    },
    restart: async () => {
      await context.close();
      context = await launch();
    },
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
