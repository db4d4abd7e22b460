/**
 * Debian's Firefox, driven by WebDriver BiDi, which it speaks itself. playwright-core's Firefox is a build of its own, and puppeteer-core
 * brings 74 packages; what these tests need of the protocol is below.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import type { Browser, TabPage } from './browser-support.js';

export const FIREFOX = process.env.IDAT_FIREFOX ?? '/usr/bin/firefox-esr';
export const hasFirefox = existsSync(FIREFOX);

/** Nothing but this machine can be reached, and the browser keeps to itself. */
const PREFERENCES = {
  'network.proxy.type': 1,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.http_port': 9,
  'network.proxy.ssl': '127.0.0.1',
  'network.proxy.ssl_port': 9,
  'network.proxy.no_proxies_on': '127.0.0.1',
  'datareporting.policy.dataSubmissionEnabled': false,
  'toolkit.telemetry.reportingpolicy.firstRun': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.startup.page': 0,
};

/** Longer than anything that is asked of a page takes on a busy machine. */
const ANSWER_MS = 90_000;
const CLOSE_MS = 15_000;

interface Answer {
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly message?: string;
  readonly method?: string;
  readonly params?: { readonly request?: { readonly url: string } };
}

/** A session with one process of the browser. */
class Session {
  private readonly waiting = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  private next = 0;

  private constructor(
    private readonly process: ChildProcess,
    private readonly socket: WebSocket,
    onRequest: (url: string) => void,
  ) {
    socket.on('message', (text) => {
      const answer = JSON.parse(`${text}`) as Answer;
      if (answer.method === 'network.beforeRequestSent') onRequest(answer.params?.request?.url ?? '');
      const waiting = this.waiting.get(answer.id ?? -1);
      if (!waiting) return;
      this.waiting.delete(answer.id!);
      if (answer.result) waiting.resolve(answer.result as never);
      else waiting.reject(new Error(answer.message));
    });
    socket.on('close', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the browser has ended'));
      this.waiting.clear();
    });
  }

  static async start(profile: string, onRequest: (url: string) => void): Promise<Session> {
    const child = spawn(FIREFOX, ['--headless', '--remote-debugging-port=0', '--profile', profile, '--no-remote'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: '1' },
    });
    const address = await new Promise<string>((resolve, reject) => {
      let said = '';
      child.stderr!.on('data', (text) => {
        said += text;
        const found = /WebDriver BiDi listening on (ws:\S+)/.exec(said);
        if (found) resolve(found[1]!);
      });
      child.once('exit', () => reject(new Error(`Firefox ended: ${said.slice(-500)}`)));
    });
    const socket = new WebSocket(`${address}/session`, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const session = new Session(child, socket, onRequest);
    await session.send('session.new', { capabilities: {} });
    await session.send('session.subscribe', { events: ['network.beforeRequestSent'] });
    return session;
  }

  send<Result = unknown>(method: string, params: Readonly<Record<string, unknown>>): Promise<Result> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`Firefox has not answered ${method} in time`)), ANSWER_MS);
      const settled =
        <Value>(settle: (value: Value) => void) =>
        (value: Value) => {
          clearTimeout(late);
          settle(value);
        };
      this.waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    const late = setTimeout(() => this.process.kill('SIGKILL'), CLOSE_MS);
    await this.send('browser.close', {}).catch(() => this.process.kill());
    await ended;
    clearTimeout(late);
    this.socket.terminate();
  }
}

/** A tab of Firefox, with what Chromium's tabs do here besides. */
export interface FirefoxPage extends TabPage {
  goto(url: string): Promise<void>;
  /** Gives files to the input that a selector finds. */
  setFiles(selector: string, paths: readonly string[]): Promise<void>;
  /** As PNG. */
  screenshot(): Promise<Buffer>;
}

async function openTab(session: Session): Promise<FirefoxPage> {
  const { context } = await session.send<{ context: string }>('browsingContext.create', { type: 'tab' });
  const call = async (functionDeclaration: string, given: readonly unknown[]) => {
    const { type, result, exceptionDetails } = await session.send<{
      type: string;
      result: { value?: string; sharedId?: string };
      exceptionDetails?: { text: string };
    }>('script.callFunction', {
      ...{ functionDeclaration, awaitPromise: true, target: { context } },
      arguments: given.map((value) => ({ type: 'string', value })),
    });
    if (type !== 'success') throw new Error(exceptionDetails?.text);
    return result;
  };
  return {
    evaluate: async <Result, Argument>(run: (argument: Argument) => Result, argument?: Argument) => {
      const wrapped = `async (text) => JSON.stringify({ value: await (${run})(JSON.parse(text).value) })`;
      const { value } = await call(wrapped, [JSON.stringify({ value: argument })]);
      return (JSON.parse(value!) as { value: Awaited<Result> }).value;
    },
    goto: async (url) => {
      await session.send('browsingContext.navigate', { context, url, wait: 'complete' });
    },
    setFiles: async (selector, files) => {
      const { sharedId } = await call('(selector) => document.querySelector(selector)', [selector]);
      await session.send('input.setFiles', { context, element: { sharedId }, files });
    },
    screenshot: async () => {
      const { data } = await session.send<{ data: string }>('browsingContext.captureScreenshot', { context });
      return Buffer.from(data, 'base64');
    },
    close: async () => {
      await session.send('browsingContext.close', { context });
    },
  };
}

export interface FirefoxBrowser extends Browser {
  open(): Promise<FirefoxPage>;
  /** A tab of no page yet. */
  blank(): Promise<FirefoxPage>;
}

/**
 * @param url of a server whose page loads idat/browser
 * @param more preferences of the visitor's
 */
export async function startFirefox(
  url: string,
  more: Readonly<Record<string, boolean | number | string>> = {},
): Promise<FirefoxBrowser> {
  const profile = mkdtempSync(join(tmpdir(), 'idat-firefox-'));
  const lines = Object.entries({ ...PREFERENCES, ...more }).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
  );
  writeFileSync(join(profile, 'user.js'), `${lines.join('\n')}\n`);
  const foreign: string[] = [];
  const onRequest = (asked: string) => {
    if (/^https?:/.test(asked) && !asked.startsWith(url)) foreign.push(asked);
  };
  let session = await Session.start(profile, onRequest);
  return {
    foreign,
    open: async () => {
      const page = await openTab(session);
      await page.goto(`${url}/page`);
      while (!(await page.evaluate(() => 'idat' in window))) await new Promise((resolve) => setTimeout(resolve, 50));
      return page;
    },
    blank: () => openTab(session),
    restart: async () => {
      await session.close();
      session = await Session.start(profile, onRequest);
    },
    close: async () => {
      await session.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
