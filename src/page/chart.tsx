/** Curves over passes, small enough for a phone. */
import type { JSX } from 'preact';

export interface Curve {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const [WIDTH, HEIGHT] = [320, 130];
const [LEFT, RIGHT, TOP, BOTTOM] = [40, 8, 8, 20];

interface ChartProps {
  readonly title: string;
  readonly curves: readonly Curve[];
  /** End of the horizontal axis. */
  readonly last: number;
  /** Shares are drawn from 0 to 100 %. */
  readonly share?: boolean;
}

export function Chart({ title, curves, last, share = false }: ChartProps): JSX.Element {
  const values = curves.flatMap(({ points }) => points.map(([, y]) => y)).filter(Number.isFinite);
  const top = share ? 1 : rounded(Math.max(...values, 1e-6));
  const x = (epoch: number) => LEFT + ((WIDTH - LEFT - RIGHT) * (epoch - 1)) / Math.max(1, last - 1);
  const y = (value: number) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * Math.min(value, top)) / top;
  const ticks = [0, top / 2, top];
  const words = (value: number) => (share ? `${Math.round(100 * value)} %` : `${Number(value.toPrecision(2))}`);
  const now = curves.flatMap(({ name, points }) => {
    const end = points.at(-1);
    return end ? [`${name} ${share ? `${(100 * end[1]).toFixed(0)} %` : end[1].toPrecision(3)}`] : [];
  });
  return (
    <figure class="chart">
      <figcaption>
        <b>{title}</b>
        {curves.map(({ name, colour, points }) => (
          <span key={name}>
            <i style={{ background: colour }} />
            {name}
            {points.length > 0 && <em> {lastOf(points, share)}</em>}
          </span>
        ))}
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}: ${now.join(', ') || 'nothing yet'}`}>
        {ticks.map((value) => (
          <g key={value}>
            <line class="rule" x1={LEFT} x2={WIDTH - RIGHT} y1={y(value)} y2={y(value)} />
            <text x={LEFT - 6} y={y(value) + 4} text-anchor="end">
              {words(value)}
            </text>
          </g>
        ))}
        <text x={LEFT} y={HEIGHT - 4}>
          1
        </text>
        <text x={WIDTH - RIGHT} y={HEIGHT - 4} text-anchor="end">
          pass {last}
        </text>
        {curves.map(({ name, colour, points }) => (
          <g key={name} style={{ stroke: colour, fill: colour }}>
            <polyline fill="none" points={points.map(([epoch, value]) => `${x(epoch)},${y(value)}`).join(' ')} />
            {points.length > 0 && <circle cx={x(points.at(-1)![0])} cy={y(points.at(-1)![1])} r="3" stroke="none" />}
          </g>
        ))}
      </svg>
    </figure>
  );
}

function lastOf(points: Curve['points'], share: boolean): string {
  const [, value] = points.at(-1)!;
  return share ? `${(100 * value).toFixed(0)} %` : value.toPrecision(3);
}

/** The next of 1, 2, 5 and their tenfolds. */
function rounded(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * unit >= value) ?? 10) * unit;
}
