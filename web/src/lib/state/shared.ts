/** What the components of every page of the app need: the reader's preferences and the highlighter of code. */

import { getContext, setContext } from 'svelte';
import type { Highlighter } from '../markdown/highlight';
import type { Preferences } from './preferences.svelte';

export interface Shared {
  readonly preferences: Preferences;
  readonly highlighter: Highlighter;
}

const CONTEXT = Symbol('shared');

/** Gives it to every component below the caller. */
export function provideShared(shared: Shared): Shared {
  return setContext(CONTEXT, shared);
}

export function useShared(): Shared {
  return getContext<Shared>(CONTEXT);
}
