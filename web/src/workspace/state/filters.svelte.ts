/** Functions with a switch: what the chosen models offer, and which are on in the open chat. */

import type { Filter } from '../api/types';
import type { Choices } from './choices.svelte';
import type { Models } from './models.svelte';
import type { Talk } from './talk.svelte';

export class Filters {
  /** What was switched before the chat began; null: the models' own defaults hold. */
  private fresh: string[] | null = $state.raw(null);

  readonly all: Filter[] = $derived.by(() => {
    const offered = this.choices.models.flatMap((id) => this.models.find(id)?.filters ?? []);
    return [...new Map(offered.map((filter) => [filter.id, filter])).values()];
  });
  readonly on: string[] = $derived.by(() => {
    const defaults = this.all.flatMap((filter) => (filter.default ? [filter.id] : []));
    const chosen = this.talk.chat ? this.talk.chat.filter_ids : (this.fresh ?? defaults);
    return this.all.flatMap(({ id }) => (chosen.includes(id) ? [id] : []));
  });

  constructor(
    private readonly talk: Talk,
    private readonly models: Models,
    private readonly choices: Choices,
    private readonly onfault: (error: unknown) => void,
  ) {}

  toggle(id: string): void {
    const on = this.on.includes(id) ? this.on.filter((each) => each !== id) : [...this.on, id];
    if (this.talk.chat) this.talk.change({ filter_ids: on }).catch(this.onfault);
    else this.fresh = on;
  }

  /** The next new chat begins with the models' own defaults. */
  forget(): void {
    this.fresh = null;
  }
}
