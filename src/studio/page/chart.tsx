/** A chart with its title and the names of its curves. */
import { useEffect, useRef } from 'preact/hooks';
import type { Curve, NumberFormat } from '../../report/curves.js';
import { darkOf } from '../../report/theme.js';
import { type LiveChart, liveChart } from './live-chart.js';

export interface ChartProps {
  readonly title: string;
  readonly says?: string;
  readonly format: NumberFormat;
  readonly curves: readonly Curve[];
  readonly tall?: boolean;
  readonly legend?: boolean;
}

export function Chart({ title, says, format, curves, tall = false, legend = curves.length > 1 }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<LiveChart | null>(null);
  useEffect(() => {
    chart.current = liveChart(place.current!);
    return () => {
      chart.current?.close();
      chart.current = null;
    };
  }, []);
  useEffect(() => chart.current?.draw(curves, format), [curves, format]);
  const last = curves.flatMap(({ name, points }) => (points.length > 0 ? [`${name} ${points.at(-1)![1]}`] : []));
  return (
    <figure class="card figure">
      <figcaption>
        <h3>{title}</h3>
        {says && <p>{says}</p>}
      </figcaption>
      {legend && (
        <ul class="legend">
          {curves.map(({ name, colour }) => (
            <li key={name}>
              <i class="swatch" style={`--l:${colour};--d:${darkOf(colour)}`} />
              {name}
            </li>
          ))}
        </ul>
      )}
      <div
        class={`chart${tall ? ' tall' : ''}`}
        ref={place}
        role="img"
        aria-label={`${title}; last: ${last.slice(0, 8).join(', ')}`}
      />
    </figure>
  );
}
