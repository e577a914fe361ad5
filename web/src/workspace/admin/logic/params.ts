/** The numbers a model is asked with: those that a form shows, and all others, which it leaves as they are. */

import type { ModelParams } from '../types';

export const PARAMETERS = [
  { name: 'temperature', min: 0, max: 2, step: 'any' },
  { name: 'top_p', min: 0, max: 1, step: 'any' },
  { name: 'top_k', min: -1, max: 1_000_000, step: 1 },
  { name: 'min_p', min: 0, max: 1, step: 'any' },
  { name: 'max_tokens', min: 1, max: 10_000_000, step: 1 },
  { name: 'presence_penalty', min: -2, max: 2, step: 'any' },
  { name: 'frequency_penalty', min: -2, max: 2, step: 'any' },
  { name: 'repetition_penalty', min: 0, max: 10, step: 'any' },
  { name: 'seed', min: 0, max: 9_007_199_254_740_991, step: 1 },
] as const;

export type ParamName = (typeof PARAMETERS)[number]['name'];
/** null or undefined: an empty field. */
export type ParamState = Partial<Record<ParamName, number | null>>;

export function stateOf(params: ModelParams): ParamState {
  return Object.fromEntries(
    PARAMETERS.map(({ name }) => {
      const value = params[name];
      return [name, typeof value === 'number' ? value : null];
    }),
  );
}

/** The parameters with those of the form; an empty field takes its own away. */
export function paramsOf(before: ModelParams, state: ParamState): ModelParams {
  const shown = new Set<string>(PARAMETERS.map(({ name }) => name));
  const kept = Object.entries(before).filter(([name]) => !shown.has(name));
  const given = PARAMETERS.flatMap(({ name }) => {
    const value = state[name];
    return typeof value === 'number' && Number.isFinite(value) ? [[name, value] as const] : [];
  });
  return Object.fromEntries([...kept, ...given]);
}

/** The list with one of its items a step up or down; the same where there is no such place. */
export function moved<Item>(items: readonly Item[], from: number, step: 1 | -1): Item[] {
  const found = [...items];
  const to = from + step;
  const [one, other] = [found[from], found[to]];
  if (one === undefined || other === undefined) return found;
  found[from] = other;
  found[to] = one;
  return found;
}
