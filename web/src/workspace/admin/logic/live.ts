/** From the server's samples of each second to what the live page shows. */

import type { LiveEvent, LiveModel, LiveSample } from '../types';

/** What the charts show, and what is kept. */
export const SPAN_MS = 300_000;
/** So long without a sample is a gap in a chart. */
export const GAP_MS = 3500;

/** The samples after an event, in order, each once, no older than the charts show. */
export function taken(samples: readonly LiveSample[], event: LiveEvent): LiveSample[] {
  if (event.type === 'sample') {
    const oldest = event.at - SPAN_MS;
    return [...samples.filter((each) => each.at >= oldest && each.at < event.at), event];
  }
  const all = new Map([...samples, ...event.samples].map((each) => [each.at, each]));
  const sorted = [...all.values()].sort((one, other) => one.at - other.at);
  const oldest = (sorted.at(-1)?.at ?? 0) - SPAN_MS;
  return sorted.filter((each) => each.at >= oldest);
}

export type Figure = 'running' | 'waiting' | 'prompt_tokens_per_second' | 'generation_tokens_per_second';

/** A figure of one model, or ('') of all together. Null while it is not known. */
export function summed(sample: LiveSample, model: string, figure: Figure): number | null {
  let sum: number | null = null;
  for (const each of chosen(sample, model)) {
    const value = each[figure];
    if (value !== null) sum = (sum ?? 0) + value;
  }
  return sum;
}

/** Share of the cache in use, 0 to 1: of one model, or of all caches together. Null where none is loaded. */
export function cacheUsed(sample: LiveSample, model: string): number | null {
  const loaded = chosen(sample, model).filter((each) => each.cache_tokens !== null);
  const room = loaded.reduce((sum, each) => sum + (each.cache_tokens ?? 0), 0);
  return room > 0 ? loaded.reduce((sum, each) => sum + each.cache_used * (each.cache_tokens ?? 0), 0) / room : null;
}

const chosen = (sample: LiveSample, model: string): LiveModel[] => sample.models.filter((each) => model === '' || each.name === model);

/** The two largest units of a time: [2, 'days'], [3, 'hours']. */
export function duration(seconds: number): [number, 'days' | 'hours' | 'minutes' | 'seconds'][] {
  const whole = Math.floor(seconds);
  const parts: [number, 'days' | 'hours' | 'minutes' | 'seconds'][] = [
    [Math.floor(whole / 86_400), 'days'],
    [Math.floor(whole / 3600) % 24, 'hours'],
    [Math.floor(whole / 60) % 60, 'minutes'],
    [whole % 60, 'seconds'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return first < 0 ? parts.slice(3) : parts.slice(first, first + 2).filter(([count], index) => index === 0 || count > 0);
}

/** Every `step` milliseconds the newest sample, the newest first: a table that can be read. */
export function thinned(samples: readonly LiveSample[], step: number): LiveSample[] {
  const found: LiveSample[] = [];
  for (const sample of [...samples].reverse()) {
    const last = found.at(-1);
    if (!last || last.at - sample.at >= step) found.push(sample);
  }
  return found;
}
