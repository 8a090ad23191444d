/** Text at a point; `turn` is in degrees. */
export function text(
  x: number,
  y: number,
  content: string,
  { size = 11, anchor = 'start', turn = 0 }: { size?: number; anchor?: 'start' | 'middle' | 'end'; turn?: number } = {},
): string {
  const turned = turn === 0 ? '' : ` transform="rotate(${turn} ${x} ${y})"`;
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" font-size="${size}" text-anchor="${anchor}" fill="#222222"${turned}>${escaped}</text>`;
}

export interface PanelOptions {
  /** Left edge of the plot area, which is 400 wide and from 60 to 430 high. */
  readonly x: number;
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Largest value. */
  readonly max: number;
}

const [width, top, bottom, span] = [400, 60, 430, 1000];

/** A plot over 0 … 1000 with axes, and what is drawn into it. */
export function panel({ x: left, title, xLabel, yLabel, max }: PanelOptions) {
  const toX = (value: number): number => round(left + (value / span) * width);
  const toY = (value: number): number => round(bottom - (Math.min(value, max) / max) * (bottom - top));
  const yTicks = ticks(max).map((value) => {
    const grid = `<path d="M${left} ${toY(value)}h${width}" stroke="#eeeeee"/>`;
    return grid + text(left - 6, toY(value) + 4, tickText(value), { anchor: 'end' });
  });
  const xTicks = [0, 200, 400, 600, 800, 1000].map((value) =>
    text(toX(value), bottom + 16, String(value), { anchor: 'middle' }),
  );
  return {
    frame: [
      ...yTicks,
      ...xTicks,
      `<rect x="${left}" y="${top}" width="${width}" height="${bottom - top}" fill="none" stroke="#999999"/>`,
      text(left + width / 2, top - 12, title, { size: 14, anchor: 'middle' }),
      text(left + width / 2, bottom + 38, xLabel, { anchor: 'middle' }),
      text(left - 50, (top + bottom) / 2, yLabel, { anchor: 'middle', turn: -90 }),
    ].join(''),
    /** One bar a value, as one outline. */
    bars: (values: readonly number[], colour: string): string =>
      `<path d="M${left} ${bottom}${values.map((v, k) => `V${toY(v)}H${toX(k + 1)}`).join('')}V${bottom}Z" fill="${colour}"/>`,
    /** A line through the middles of the bars. */
    line: (values: readonly number[], colour: string): string =>
      `<path d="M${values.map((v, k) => `${toX(k + 0.5)} ${toY(v)}`).join('L')}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
    vertical: (at: number, colour: string, dashes = ''): string =>
      `<path d="M${toX(at)} ${top}V${bottom}" stroke="${colour}"${dashes === '' ? '' : ` stroke-dasharray="${dashes}"`}/>`,
    legend: (entries: readonly (readonly [name: string, colour: string])[]): string =>
      entries
        .map(([name, colour], i) => {
          const y = top + 12 + 16 * i;
          return `<rect x="${left + 8}" y="${y}" width="12" height="8" fill="${colour}"/>${text(left + 25, y + 8, name)}`;
        })
        .join(''),
  };
}

/** Round numbers from 0 up to a largest value, about five. */
function ticks(max: number): number[] {
  const rough = max / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  return Array.from({ length: Math.floor(max / step) + 1 }, (_, k) => k * step);
}

const tickText = (value: number): string => String(Number(value.toPrecision(6)));

const round = (value: number): number => Math.round(value * 100) / 100;
