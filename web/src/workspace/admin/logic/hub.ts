/** Downloads and models as the page of this machine shows them. */

import type { Fit, HubModel, Pull } from '../types';

/** How much had come at a moment (milliseconds). */
export interface Sample {
  at: number;
  bytes: number;
}

const WINDOW_MS = 8000;

/** The samples with one more, without those that are too old to tell the present rate. A new file begins anew. */
export function withSample(samples: readonly Sample[], sample: Sample): Sample[] {
  const last = samples.at(-1);
  if (last && sample.bytes < last.bytes) return [sample];
  const recent = samples.filter((each, place) => sample.at - each.at <= WINDOW_MS || place === samples.length - 1);
  return [...recent, sample];
}

/** Bytes a second over the samples; null while they tell nothing. */
export function rateOf(samples: readonly Sample[]): number | null {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at - first.at < 500) return null;
  return (1000 * (last.bytes - first.bytes)) / (last.at - first.at);
}

/** Seconds until a download has come at this rate; null where that cannot be told. */
export function secondsLeft(pull: Pick<Pull, 'bytes_done' | 'bytes_total'>, rate: number | null): number | null {
  if (pull.bytes_total === null || rate === null || rate <= 0) return null;
  return Math.max(0, pull.bytes_total - pull.bytes_done) / rate;
}

/** How much of a download is done, 0..1; null where the size is not known. */
export function shareOf(pull: Pick<Pull, 'bytes_done' | 'bytes_total' | 'state'>): number | null {
  if (pull.state === 'done') return 1;
  return pull.bytes_total ? Math.min(1, pull.bytes_done / pull.bytes_total) : null;
}

/** What of a download is being done, where that says more than its name. */
export function stepOf(pull: Pick<Pull, 'model' | 'file'>): { does: 'downloading' | 'unpacking'; file: string } | null {
  const [, does, file = ''] = /^(Downloading|Unpacking) (.+)$/.exec(pull.file ?? '') ?? [];
  if (does === undefined || pull.model.startsWith(file)) return null;
  return { does: does === 'Unpacking' ? 'unpacking' : 'downloading', file };
}

/**
 * The downloads worth showing, of a list with the newest first: the newest of each model. What went well is told by the
 * model itself, but for downloads whose end was seen.
 */
export function shownPulls(pulls: readonly Pull[], seen: ReadonlySet<string>): Pull[] {
  const newest = pulls.filter((pull, place) => pulls.findIndex((other) => other.model === pull.model) === place);
  return newest.filter((pull) => pull.state !== 'done' || pull.error !== null || seen.has(pull.id));
}

/** "135M", "1.7B": parameters as models are named by them. */
export function parameters(language: string, count: number): string {
  const [value, unit] = count >= 999.5e6 ? [count / 1e9, 'B'] : count >= 999.5e3 ? [count / 1e6, 'M'] : [count / 1e3, 'K'];
  return new Intl.NumberFormat(language, { maximumSignificantDigits: value < 10 ? 2 : 3 }).format(value) + unit;
}

/** Whether something is going on that the page waits for. */
export const isChanging = (model: HubModel): boolean => model.state === 'loading' || model.state === 'unloading';

export const isInMemory = (model: HubModel): boolean => model.state === 'loaded' || isChanging(model);

/** What fills the bar of memory, as shares of all of it: models, other things, nothing. */
export function memoryShares(memory: { total: number | null; available: number | null; used_by_models: number }): { models: number; free: number } | null {
  if (!memory.total || memory.available === null) return null;
  const free = Math.min(1, memory.available / memory.total);
  return { models: Math.min(1 - free, memory.used_by_models / memory.total), free };
}

/** The names of models that leave when this one is loaded. */
export function crowdedOut(fit: Fit | null): string[] {
  const names = fit?.code === 'others' ? fit.values['names'] : null;
  return Array.isArray(names) ? names.map(String) : [];
}
