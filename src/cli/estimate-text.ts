/** What a run will take, in a line or two, and what would be faster. */
import { flagOf } from '../settings/fields.js';
import type { Estimate, Faster } from '../train/progress.js';

/** Ways that are told. */
const TOLD = 3;

export function estimateText({ seconds, atMost, memoryBytes, diskBytes, faster }: Estimate): string {
  const what = [timeText(seconds), `${bytesText(memoryBytes)} of memory`, `${bytesText(diskBytes)} of disk`];
  const line = `estimate: ${atMost ? 'up to ' : ''}${what.join(', ')}`;
  return faster.length === 0 ? line : `${line}\nfaster: ${faster.slice(0, TOLD).map(wayText).join('; ')}`;
}

const wayText = ({ setting, value, seconds }: Faster): string => `--${flagOf(setting)} ${value}: ${timeText(seconds)}`;

/** To the precision that an estimate has. */
function timeText(seconds: number): string {
  if (seconds < 10) return 'a few seconds';
  if (seconds < 90) return `${10 * Math.ceil(seconds / 10)} seconds`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} minutes`;
  if (seconds < 48 * 3600) return `${(seconds / 3600).toFixed(1)} hours`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

function bytesText(bytes: number): string {
  if (bytes < 1e6) return 'under 1 MB';
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
