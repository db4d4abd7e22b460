/**
 * A contestant: a process of its own that answers requests, one JSON object a line on stdin and stdout, and is kept
 * alive so that its readings can take turns with those of others.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { IdatError } from '../src/errors.js';

/** How much of a contestant's stderr an error message repeats. */
const TAIL_CHARACTERS = 2000;

export interface Contestant<Greeting = object> {
  readonly greeting: Greeting;
  /**
   * Sends a request and waits for its answer; one at a time.
   * @throws IdatError when the contestant answers with an error, ends, or is silent for `limitSeconds` (it is killed then)
   */
  ask<Reply>(request: { task: string } & Record<string, unknown>, limitSeconds?: number): Promise<Reply>;
  close(): Promise<void>;
}

/** Starts a process and waits for its greeting, the first line it writes. */
export async function startContestant<Greeting>(
  name: string,
  command: string,
  args: readonly string[],
): Promise<Contestant<Greeting>> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const stderr = tailOf(child);
  const ended = new Promise<never>((_, reject) => {
    child.on('error', (error) => reject(new IdatError('bench.contestant', `${name}: cannot start (${error.message})`)));
    child.on('close', (code, signal) =>
      reject(new IdatError('bench.contestant', `${name} ended (${signal ?? `exit code ${code}`})\n${stderr()}`)),
    );
  });
  ended.catch(() => {}); // reported to whoever is waiting, and expected after close()
  child.stdin.on('error', () => {}); // writing to a process that has ended: `ended` says so
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await Promise.race([lines.next().then(valueOr(ended)), ended])) as string);

  const greeting = (await next()) as Greeting;
  const ask = async <Reply>(request: object, limitSeconds = 600): Promise<Reply> => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, limitSeconds * 1000);
    try {
      const reply = (await next()) as Reply & { error?: string };
      if (reply.error !== undefined) throw new IdatError('bench.contestant', `${name}: ${reply.error}`);
      return reply;
    } catch (error) {
      if (!timedOut) throw error;
      throw new IdatError('bench.time', `${name}: no answer within ${limitSeconds} s`);
    } finally {
      clearTimeout(timer);
    }
  };
  const close = async () => {
    child.stdin.end();
    await ended.catch(() => {});
  };
  return { greeting, ask, close };
}

/** The end of stdout comes a moment before the exit code, which says more. */
const valueOr = (ended: Promise<never>) => (line: IteratorResult<string>) => (line.done ? ended : line.value);

/** Collects a process's stderr, of which only the end is kept. */
function tailOf(child: ChildProcess): () => string {
  let text = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    text = (text + chunk).slice(-TAIL_CHARACTERS);
  });
  return () => text.trim();
}

/** The other side: greets, then answers each line of stdin with the named handler's result, until stdin ends. */
export async function serve(
  greeting: object,
  // biome-ignore lint/suspicious/noExplicitAny: each handler states what its requests hold
  handlers: Readonly<Record<string, (request: any) => Promise<object>>>,
): Promise<void> {
  const write = (reply: object) => process.stdout.write(`${JSON.stringify(reply)}\n`);
  write(greeting);
  for await (const line of createInterface({ input: process.stdin })) {
    const { task, ...request } = JSON.parse(line) as { task: string };
    try {
      write(await handlers[task]!(request));
    } catch (error) {
      write({ error: error instanceof Error ? error.message : String(error) });
    }
  }
}
