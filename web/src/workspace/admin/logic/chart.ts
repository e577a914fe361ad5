/** Where things stand in a chart: scales, ticks and paths in the chart's own units. */

/** The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `value`; 1 for nothing. */
export function niceCeiling(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** Ticks from 0 to the top, `count` steps of one size. */
export function ticks(top: number, count = 4): number[] {
  return Array.from({ length: count + 1 }, (_, index) => (top * index) / count);
}

export interface Point {
  x: number;
  y: number;
}

/** A value at a moment, in milliseconds. Null: not known. */
export interface Timed {
  at: number;
  value: number | null;
}

/**
 * Places values over the last `span` milliseconds before `now`, which stands at the right end; the largest possible
 * (`top`) at height 0. What is not known, or more than `gap` milliseconds without a value, breaks the line (null).
 */
export function placeInTime(values: readonly Timed[], now: number, span: number, width: number, height: number, top: number, gap: number): (Point | null)[] {
  const points: (Point | null)[] = [];
  let last: number | null = null;
  for (const { at, value } of values) {
    if (at < now - span || at > now) continue;
    if (last !== null && at - last > gap) points.push(null);
    last = at;
    points.push(
      value === null ? null : { x: width - (width * (now - at)) / span, y: height - (height * Math.min(Math.max(value, 0), top)) / top },
    );
  }
  return points;
}

const at = ({ x, y }: Point): string => `${x.toFixed(1)} ${y.toFixed(1)}`;

/** The `d` of a line through the points; it breaks at gaps. */
export function linePath(points: readonly (Point | null)[]): string {
  let drawing = false;
  const parts: string[] = [];
  for (const point of points) {
    if (point) parts.push(`${drawing ? 'L' : 'M'}${at(point)}`);
    drawing = point !== null;
  }
  return parts.join('');
}

/** The `d` of what lies between the line and the ground, one shape for each stretch without a gap. */
export function areaPath(points: readonly (Point | null)[], height: number): string {
  const stretches: Point[][] = [[]];
  for (const point of points) {
    if (point) stretches.at(-1)?.push(point);
    else stretches.push([]);
  }
  return stretches
    .flatMap((stretch) => {
      const [first, last] = [stretch[0], stretch.at(-1)];
      if (!first || !last || stretch.length < 2) return [];
      return [`M${first.x.toFixed(1)} ${height}L${stretch.map(at).join('L')}L${last.x.toFixed(1)} ${height}Z`];
    })
    .join('');
}

const DAY_MS = 86_400_000;

/** The first milliseconds of the last `count` days, the oldest first, by a clock `minutesEast` of UTC, as the server cuts them. */
export function dayStarts(now: number, minutesEast: number, count: number): number[] {
  const offset = minutesEast * 60_000;
  const today = Math.floor((now + offset) / DAY_MS) * DAY_MS - offset;
  return Array.from({ length: count }, (_, index) => today - (count - 1 - index) * DAY_MS);
}
