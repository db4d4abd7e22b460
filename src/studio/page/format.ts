/** Numbers and times as the page writes them. */

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;

/** `+2.8`, of percentage points. */
export const points = (difference: number): string =>
  `${difference < 0 ? '−' : '+'}${Math.abs(100 * difference).toFixed(1)}`;

/** `4:07`, `1:02:09` */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => `${value}`.padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** `just now`, `5 minutes ago`; older ones as a date. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (seconds < 60) return 'just now';
  const [count, unit] =
    seconds < 3600 ? [seconds / 60, 'minute'] : seconds < 86_400 ? [seconds / 3600, 'hour'] : [seconds / 86_400, 'day'];
  const whole = Math.floor(count);
  return unit === 'day' && whole > 6 ? iso.slice(0, 10) : `${whole} ${unit}${whole === 1 ? '' : 's'} ago`;
}

/** The last step of a run's name, and those before it. */
export function nameParts(name: string): { readonly last: string; readonly before: string } {
  const end = name.replace(/\/seed-\d+$/, ''); // a seed alone tells nothing of a run
  const at = end.lastIndexOf('/');
  return { last: name.slice(at + 1), before: at < 0 ? '' : name.slice(0, at) };
}
