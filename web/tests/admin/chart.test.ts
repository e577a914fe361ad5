import { describe, expect, it } from 'vitest';
import { areaPath, dayStarts, linePath, niceCeiling, placeInTime, ticks } from '../../src/workspace/admin/logic/chart';

describe('niceCeiling', () => {
  it.each([[0, 1], [-3, 1], [Number.NaN, 1], [1, 1], [1.1, 2], [23, 25], [26, 50], [51, 100], [0.3, 0.5], [1e6, 1e6]])(
    '%d -> %d',
    (value, top) => expect(niceCeiling(value)).toBeCloseTo(top, 12),
  );

  it('is never below the value and at most 2.5 times it', () => {
    for (let value = 0.013; value < 1e7; value *= 1.37) {
      const top = niceCeiling(value);
      expect(top).toBeGreaterThanOrEqual(value * (1 - 1e-9));
      expect(top).toBeLessThanOrEqual(value * 2.5);
    }
  });
});

it('ticks go from nothing to the top', () => expect(ticks(10, 2)).toEqual([0, 5, 10]));

describe('placeInTime', () => {
  const at = (...pairs: [number, number | null][]) => pairs.map(([time, value]) => ({ at: time, value }));
  it('puts the largest on top, nothing on the ground, clips what is above, and now at the right', () => {
    expect(placeInTime(at([0, 0], [500, 5], [1000, 20]), 1000, 1000, 30, 100, 10, 600)).toEqual([{ x: 0, y: 100 }, { x: 15, y: 50 }, { x: 30, y: 0 }]);
  });
  it('leaves out what is too old or to come', () => expect(placeInTime(at([0, 1], [3000, 1]), 2000, 1000, 30, 10, 1, 600)).toEqual([]));
  it('breaks where nothing is known and where nobody looked', () => {
    expect(placeInTime(at([0, 1], [100, null], [200, 1], [900, 1]), 1000, 1000, 10, 10, 1, 300)).toEqual([{ x: 0, y: 0 }, null, { x: 2, y: 0 }, null, { x: 9, y: 0 }]);
  });
});

describe('paths', () => {
  const points = [{ x: 0, y: 1 }, { x: 1, y: 2 }, null, { x: 3, y: 4 }];
  it('break at gaps', () => expect(linePath(points)).toBe('M0.0 1.0L1.0 2.0M3.0 4.0'));
  it('areas reach the ground and need two points', () => expect(areaPath(points, 9)).toBe('M0.0 9L0.0 1.0L1.0 2.0L1.0 9Z'));
  it('of nothing are nothing', () => expect([linePath([]), areaPath([], 5)]).toEqual(['', '']));
});

it('dayStarts are the starts of days by the reader’s clock', () => {
  const now = Date.parse('2026-03-01T02:00:00Z');
  expect(dayStarts(now, 0, 3)).toEqual(['2026-02-27', '2026-02-28', '2026-03-01'].map((day) => Date.parse(`${day}T00:00:00Z`)));
  expect(dayStarts(now, -180, 1)).toEqual([Date.parse('2026-02-28T03:00:00Z')]);
  expect(dayStarts(now, 480, 1)).toEqual([Date.parse('2026-02-28T16:00:00Z')]);
});
