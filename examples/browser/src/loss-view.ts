import { curvePath, rangeOf } from './curve.ts';

/** A batch, as curve and table show it. */
export interface LossPoint {
  readonly batch: number;
  readonly step: number;
  readonly loss: number;
  readonly average: number;
}

const frame = { left: 56, top: 12, right: 628, bottom: 212 };
const rowsShown = 200;

/** The curve, the table that says the same, and a sentence for those who see neither. */
export function createLossView(curve: SVGElement, description: Element, rows: HTMLElement) {
  const loss = part('path', { class: 'loss' });
  const average = part('path', { class: 'average' });
  const axes = part('path', { d: `M${frame.left},${frame.top}V${frame.bottom}H${frame.right}` });
  const label = (x: number, y: number, anchor: string) => part('text', { x, y, 'text-anchor': anchor });
  const high = label(frame.left - 6, frame.top + 8, 'end');
  const low = label(frame.left - 6, frame.bottom, 'end');
  const first = label(frame.left, frame.bottom + 18, 'start');
  const last = label(frame.right, frame.bottom + 18, 'end');
  curve.append(axes, loss, average, high, low, first, last);

  let points: LossPoint[] = [];
  let expected = 1;
  let frameAsked = 0;

  function draw(): void {
    frameAsked = 0;
    const losses = points.map((point) => point.loss);
    const averages = points.map((point) => point.average);
    const range = rangeOf([losses, averages]);
    loss.setAttribute('d', curvePath(losses, expected, range, frame));
    average.setAttribute('d', curvePath(averages, expected, range, frame));
    const isEmpty = points.length === 0;
    high.textContent = isEmpty ? '' : range.high.toFixed(3);
    low.textContent = isEmpty ? '' : range.low.toFixed(3);
    first.textContent = isEmpty ? '' : 'batch 1';
    last.textContent = isEmpty ? '' : `${expected}`;
    description.textContent = describe(points);
    fillTable();
  }

  function fillTable(): void {
    const each = Math.max(1, Math.ceil(points.length / rowsShown));
    const shown = points.filter((_, i) => i % each === 0 || i === points.length - 1);
    rows.replaceChildren(
      ...shown.map(({ batch, step, loss: value, average: mean }) => {
        const row = document.createElement('tr');
        for (const text of [`${batch}`, `${step}`, value.toFixed(5), mean.toFixed(5)]) {
          row.insertCell().textContent = text;
        }
        return row;
      }),
    );
  }

  return {
    /** Empties both; `count` batches are to come. */
    reset(count: number): void {
      points = [];
      expected = count;
      draw();
    },
    add(point: LossPoint): void {
      points.push(point);
      expected = Math.max(expected, points.length);
      // not more often than the screen is drawn
      frameAsked ||= requestAnimationFrame(draw);
    },
    /** Draws what is there, also where the tab is hidden and the screen is not drawn. */
    finish(): void {
      cancelAnimationFrame(frameAsked);
      draw();
    },
  };
}

function describe(points: readonly LossPoint[]): string {
  const [start] = points;
  const end = points.at(-1);
  if (!start || !end) return 'No losses yet.';
  const { low, high } = rangeOf([points.map(({ loss }) => loss)]);
  return (
    `Losses of ${points.length} batches between ${low.toFixed(3)} and ${high.toFixed(3)}. ` +
    `The first is ${start.loss.toFixed(3)}, the last ${end.loss.toFixed(3)}, their average now ${end.average.toFixed(3)}.`
  );
}

function part(name: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name) as SVGElement;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
