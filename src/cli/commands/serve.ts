/** idat serve: the page to train on one's own pictures in, on this machine or as files for any host. */
import { spawn } from 'node:child_process';
import { Command } from 'commander';
import { servePage } from '../../page/node/server.js';
import { writeSite } from '../../page/node/site.js';
import { wholeNumber } from '../arguments.js';
import { shortPath } from '../describe-run.js';
import { facts } from '../format.js';
import { interruptible } from '../interrupt.js';
import { print, tell } from '../terminal.js';

const PORT = 8377;

interface ServeFlags {
  port: number;
  open?: true;
  write?: string;
}

export const servePictures = new Command('serve')
  .description('a page to train on your own pictures in a browser, without anything leaving it')
  .option(
    '--port <number>',
    'the port to listen on, on this machine alone; a free one where it is taken',
    wholeNumber,
    PORT,
  )
  .option('--open', 'open it in the browser')
  .option('--write <folder>', 'write the page there instead, for any host of files to serve')
  .action(async ({ port, open, write }: ServeFlags) => {
    if (write !== undefined) {
      const { path, files, bytes } = await writeSite(write);
      const what = { page: shortPath(path), size: `${files} files, ${(bytes / 1e6).toFixed(1)} MB` };
      print(`${facts({ ...what, use: 'any host of files, in any folder of it, by https' })}\n`);
      return;
    }
    const server = await servePage(port);
    if (!server.asAsked) tell(`port ${port} is taken; another one was found\n`);
    print(`${server.url}\n`);
    tell('Ctrl-C ends it; pictures and models stay in the browser\n');
    if (open) openInBrowser(server.url);
    await interruptible(
      (signal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
      'ended',
    );
    await server.close();
  });

function openInBrowser(url: string): void {
  const [command, ...args] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '', url]
        : ['xdg-open', url];
  const started = spawn(command!, args, { stdio: 'ignore', detached: true });
  started.on('error', () => tell(`no browser could be opened; open ${url} yourself\n`));
  started.unref();
}
