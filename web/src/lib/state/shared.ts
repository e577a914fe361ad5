/** What the components of every page of the app need: the reader's preferences and what draws in answers. */

import { getContext, setContext } from 'svelte';
import type { Diagrams } from '../markdown/diagrams';
import type { Highlighter } from '../markdown/highlight';
import type { Typesetter } from '../markdown/typeset';
import type { Preferences } from './preferences.svelte';

export interface Shared {
  readonly preferences: Preferences;
  readonly highlighter: Highlighter;
  readonly typesetter: Typesetter;
  readonly diagrams: Diagrams;
}

const CONTEXT = Symbol('shared');

/** Gives it to every component below the caller. */
export function provideShared(shared: Shared): Shared {
  return setContext(CONTEXT, shared);
}

export function useShared(): Shared {
  return getContext<Shared>(CONTEXT);
}
