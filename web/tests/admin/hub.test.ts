import { describe, expect, it } from 'vitest';
import { crowdedOut, memoryShares, parameters, rateOf, secondsLeft, shareOf, shownPulls, stepOf, withSample, type Sample } from '../../src/workspace/admin/logic/hub';
import type { Pull } from '../../src/workspace/admin/types';

const samplesOf = (...pairs: [number, number][]): Sample[] => pairs.reduce<Sample[]>((all, [at, bytes]) => withSample(all, { at, bytes }), []);

describe('rateOf', () => {
  it('is bytes a second of the last seconds', () => {
    expect(rateOf(samplesOf([0, 0], [1000, 500], [2000, 2000]))).toBe(1000);
    const slowed = samplesOf([0, 0], [1000, 1_000_000], [10_000, 1_000_100], [12_000, 1_000_300]);
    expect(rateOf(slowed)).toBe(100);
  });
  it('is not told of an instant', () => {
    expect(rateOf([])).toBeNull();
    expect(rateOf(samplesOf([0, 10]))).toBeNull();
    expect(rateOf(samplesOf([0, 10], [100, 20]))).toBeNull();
  });
  it('begins anew with another file', () => {
    expect(samplesOf([0, 900], [1000, 950], [2000, 10])).toEqual([{ at: 2000, bytes: 10 }]);
  });
});

it('secondsLeft is told when size and rate are known', () => {
  expect(secondsLeft({ bytes_done: 50, bytes_total: 150 }, 20)).toBe(5);
  expect(secondsLeft({ bytes_done: 50, bytes_total: null }, 20)).toBeNull();
  expect(secondsLeft({ bytes_done: 50, bytes_total: 150 }, 0)).toBeNull();
  expect(secondsLeft({ bytes_done: 160, bytes_total: 150 }, 20)).toBe(0);
});

it('shareOf is never more than all, and all at the end', () => {
  expect(shareOf({ state: 'running', bytes_done: 160, bytes_total: 150 })).toBe(1);
  expect(shareOf({ state: 'running', bytes_done: 1, bytes_total: null })).toBeNull();
  expect(shareOf({ state: 'done', bytes_done: 0, bytes_total: null })).toBe(1);
});

it('shownPulls has the newest of each model, and those that went well only where that was seen', () => {
  const pull = (id: string, model: string, state: Pull['state'], error: string | null = null): Pull => ({
    id, model, state, error, code: null, values: {}, revision: null, file: null, bytes_done: 0, bytes_total: null, seconds: 0, message: null, name: null,
  });
  const pulls = [pull('5', 'a', 'running'), pull('4', 'a', 'failed', 'no'), pull('3', 'b', 'done'), pull('2', 'c', 'done'), pull('1', 'd', 'done', 'cannot be served')];
  expect(shownPulls(pulls, new Set(['2'])).map(({ id }) => id)).toEqual(['5', '2', '1']);
});

it.each([[134_515_008, '135M'], [1_720_000_000, '1.7B'], [7_615_616_512, '7.6B'], [70_553_706_496, '70.6B'], [52_000, '52K'], [999_900_000, '1B']])(
  '%d parameters are %s',
  (count, text) => expect(parameters('en', count)).toBe(text),
);

it('memoryShares never fill more than the bar', () => {
  expect(memoryShares({ total: 100, available: 60, used_by_models: 30 })).toEqual({ models: 0.3, free: 0.6 });
  expect(memoryShares({ total: 100, available: 60, used_by_models: 90 })).toEqual({ models: 0.4, free: 0.6 });
  expect(memoryShares({ total: null, available: 60, used_by_models: 30 })).toBeNull();
});

it('crowdedOut names the models that would leave', () => {
  expect(crowdedOut({ verdict: 'tight', code: 'others', text: '', values: { names: ['a', 'b'] } })).toEqual(['a', 'b']);
  expect(crowdedOut({ verdict: 'yes', code: 'free', text: '', values: { bytes: 1 } })).toEqual([]);
  expect(crowdedOut(null)).toEqual([]);
});

it('stepOf tells a step that is not the name itself', () => {
  expect(stepOf({ model: 'a/b:Q8_0', file: 'Downloading a/b' })).toBeNull();
  expect(stepOf({ model: 'smollm2:135m', file: 'Unpacking x.gguf' })).toEqual({ does: 'unpacking', file: 'x.gguf' });
  expect(stepOf({ model: 'smollm2:135m', file: null })).toBeNull();
});
