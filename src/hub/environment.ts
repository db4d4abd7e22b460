/** What the environment says about the Hugging Face hub, by the variables its own tools read. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IdatError } from '../errors.js';
import { homeFolder } from '../files/node/home-folder.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Hub {
  /** Where the hub is: https://huggingface.co, or HF_ENDPOINT. */
  readonly endpoint: URL;
  /** Sent to the endpoint and to nobody else; null without one. */
  readonly token: string | null;
  /** The folder of models that all of the hub's tools share. */
  readonly cacheDir: string;
}

/**
 * The shared folder of models: $HF_HUB_CACHE, $HF_HOME/hub, or ~/.cache/huggingface/hub; it need not exist.
 * @see https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 */
export function hubCacheFolder(env: Environment = process.env): string {
  return path(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(hubHome(env), 'hub'));
}

/** Whether the environment forbids to use the network. */
export function isOffline(env: Environment = process.env): boolean {
  return isTrue(env.HF_HUB_OFFLINE) || isTrue(env.TRANSFORMERS_OFFLINE);
}

/** @throws IdatError `hub.environment` for an HF_ENDPOINT or a token that cannot be one */
export async function hubOf(env: Environment = process.env): Promise<Hub> {
  return { endpoint: endpointOf(env), token: await tokenOf(env), cacheDir: hubCacheFolder(env) };
}

function endpointOf({ HF_ENDPOINT: text }: Environment): URL {
  if (!text) return new URL('https://huggingface.co/');
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    const problem = `HF_ENDPOINT: expected an address such as https://huggingface.co, got ${JSON.stringify(text)}`;
    throw new IdatError('hub.environment', url?.password ? 'HF_ENDPOINT: a password is not allowed in it' : problem);
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

async function tokenOf(env: Environment): Promise<string | null> {
  const file = path(env.HF_TOKEN_PATH || join(hubHome(env), 'token'));
  const given = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  const stored = isTrue(env.HF_HUB_DISABLE_IMPLICIT_TOKEN) ? '' : await readFile(file, 'utf8').catch(() => '');
  const token = (given || stored).trim();
  if (/^[\x21-\x7e]*$/.test(token)) return token || null;
  const source = given ? 'HF_TOKEN' : file;
  throw new IdatError(
    'hub.environment',
    `${source}: a token has neither spaces nor letters beyond ASCII; copy it again`,
  );
}

const hubHome = (env: Environment): string =>
  path(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homeFolder(), '.cache'), 'huggingface'));

const path = (text: string): string => resolve(text.replace(/^~(?=$|[\\/])/, () => homeFolder()));

const isTrue = (text: string | undefined): boolean => /^(1|on|yes|true)$/i.test(text ?? '');
