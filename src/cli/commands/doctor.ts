/** idat doctor: what this machine can do. */
import { Command } from 'commander';
import { type Diagnosis, diagnose, type FolderFacts } from '../../bench/doctor.js';
import { INT8_LARGEST } from '../../graph/passes/quantise-frozen.js';
import { shortPath } from '../describe-run.js';
import { terminalWidth, wrapped } from '../fit-table.js';
import { print } from '../terminal.js';

export const doctor = new Command('doctor')
  .description('tell what this machine can do: devices, speed, memory, folders')
  .option('--network', 'also ask whether the Hugging Face hub answers; otherwise the network is left alone')
  .option('--json', 'print all of it as one JSON object')
  .action(async ({ network = false, json }: { network?: boolean; json?: true }) => {
    const status = (text: string) => process.stderr.isTTY && process.stderr.write(`\r\x1b[2K${text}`);
    status('trying the devices, then measuring for two seconds …');
    const found = await diagnose({ network }).finally(() => status(''));
    print(json ? `${JSON.stringify(found)}\n` : describe(found));
    if (found.findings.some(({ severity }) => severity === 'error')) process.exitCode = 1;
  });

function describe(found: Diagnosis): string {
  const { versions, machine, devices, speed, images, cache, temporary, telemetry, hub, findings } = found;
  const { cores, memory } = machine;
  const lines: [string, string][] = [
    ['idat', `${versions.idat}, Node ${versions.node}, ONNX Runtime ${versions.onnxruntime}`],
    ['processor', `${machine.cpu}, ${machine.platform}`],
    ['cores', `${coresInWords(cores)}${machine.load === null ? '' : `; load now ${machine.load.toFixed(1)}`}`],
    [
      'memory',
      `${gib(memory.available)} of ${gib(memory.total)} free${memory.limit === null ? '' : `, a limit of ${gib(memory.limit)} for this container`}`,
    ],
    ['instructions', instructionsInWords(found)],
    ...devices.map(({ device, works, reason }): [string, string] => [device, works ? 'works' : `no: ${reason}`]),
    ['speed', speedInWords(speed)],
    [
      'images',
      `${images.reads.join(', ')} (${images.decoder}${images.lacks.length > 0 ? `, without ${images.lacks.join(', ')}` : ''})`,
    ],
    ['cache', folderInWords(cache)],
    ['temporary', folderInWords(temporary)],
    ['telemetry', telemetry ? 'on, as ORT_DISABLE_TELEMETRY says' : 'off'],
    ...(hub
      ? ([
          ['hub', `${hub.endpoint}: ${hub.problem ?? 'answers'}`],
          ['hub cache', folderInWords(hub.cache)],
        ] as [string, string][])
      : []),
  ];
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  const shown = lines.map(([name, value]) => {
    const text = wrapped(value, '', terminalWidth() - width).replaceAll('\n', `\n${' '.repeat(width)}`);
    return `${name.padEnd(width)}${text}`;
  });
  const told = findings.map(({ severity, text }) => wrapped(`${severity}: ${text}`, '  '));
  return `${[shown.join('\n'), told.length > 0 ? told.join('\n') : 'All is well.'].join('\n\n')}\n`;
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
const gigabytes = (bytes: number): string =>
  bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;

function coresInWords({ machine, available, quota }: Diagnosis['machine']['cores']): string {
  const own = available === machine ? `${available}` : `${available} of ${machine}`;
  return quota === null ? own : `${own}, a quota of ${Number(quota.toFixed(2))} for this container`;
}

function instructionsInWords({ machine: { instructions }, devices }: Diagnosis): string {
  const largest = devices[0]!.int8;
  const exact =
    largest === INT8_LARGEST ? 'exact' : `overflow beyond ±${largest} (--frozen int8 rounds weights to that)`;
  const int8 = largest === null ? 'not known' : exact;
  const listed = instructions === null ? 'not listed by this system' : instructions.join(', ') || 'no vectors';
  return `${listed}; 8-bit products: ${int8}`;
}

function speedInWords(speed: Diagnosis['speed']): string {
  if (!speed) return 'not measured, as the runtime does not work';
  const { flopsPerSecond, imagesPerSecond, threads, disturbed } = speed;
  const least = disturbed ? 'at least ' : '';
  const rate = imagesPerSecond.toPrecision(2);
  return (
    `${least}${(flopsPerSecond / 1e9).toFixed(0)} GFLOP/s in matrix products on ${threads} ${threads === 1 ? 'thread' : 'threads'}; the bundled student trains at ` +
    `${least}${Number(rate).toLocaleString('en')} images/s, alone and with the default adapters (a second each; idat bench is thorough)`
  );
}

function folderInWords({ path, bytes, writable, freeBytes }: FolderFacts): string {
  const parts = [
    bytes === null ? null : gigabytes(bytes),
    writable ? 'writable' : 'not writable',
    freeBytes === null ? null : `${gigabytes(freeBytes)} free`,
  ].filter((part) => part !== null);
  return `${shortPath(path)} (${parts.join(', ')})`;
}
